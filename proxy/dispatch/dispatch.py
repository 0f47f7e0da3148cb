"""The loop over the candidates of one exchange.

The steps for each candidate: limits, key, breaker, one attempt. After a failure, ``next_candidate.py`` applies the
rules table (``routing/rules.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy import router_metadata
from proxy.dispatch.attempt import AttemptRun
from proxy.dispatch.cooldowns import probe_at
from proxy.dispatch.exhausted import exhausted
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.next_candidate import first_free, next_after, next_turn, switch
from proxy.exchange import Attempt
from proxy.routing import rules

if TYPE_CHECKING:
    from proxy.config.schema import Routing
    from proxy.dispatch.dispatcher import Dispatcher
    from proxy.dispatch.waiting import WaitBudget
    from proxy.exchange import Exchange, RefusedBy
    from proxy.relay.upstream_request import UpstreamRequest
    from proxy.responder import Responder
    from proxy.routing.deployment import Deployment
    from proxy.routing.plan import Plan

MOST_SKIPPED: Final = 20  # skipped deployments that the router metadata lists

# Runs one attempt; ``None``: the client has its answer, or the error of a stream that had begun.
RunAttempt = Callable[[AttemptRun], Awaitable[AttemptFailure | None]]
MakeRequest = Callable[[AttemptRun], "UpstreamRequest"]


class Dispatch(Struct, eq=False):
    """One exchange and its candidates. Call ``run`` once.

    ``repeatable``: a second run of the request costs tokens at most. ``pings``: the client waits for a stream.
    ``deadline`` is in seconds of the loop's clock.
    """

    dispatcher: Dispatcher
    responder: Responder
    exchange: Exchange
    plan: Plan
    routing: Routing
    make_request: MakeRequest
    deadline: float
    repeatable: bool = False
    pings: bool = False
    fallback: Deployment | None = None  # once the plan has proposed it
    keyless: tuple[Deployment, ...] = ()  # skipped: their provider has no usable key
    limited: tuple[tuple[Deployment, RefusedBy], ...] = ()  # skipped because of the gateway's own limits and budgets
    waits: WaitBudget | None = None  # once the exchange had to wait
    fetching: asyncio.Lock | None = None  # so that attempts that race fetch the same content once

    def __repr__(self) -> str:
        return f"<Dispatch of {self.exchange!r}, {len(self.exchange.attempts)} attempts>"

    async def run(
        self,
        run_attempt: RunAttempt,
        conclude: Callable[[Dispatch, AttemptFailure | None], None] | None = None,
    ) -> None:
        """Try candidates until one answers. If none does, call ``conclude`` (default: ``conclude_exchange``).

        Raises GatewayError, ClientGone.
        """
        failure: AttemptFailure | None = None
        exchange, plan, current_time = self.exchange, self.plan, self.dispatcher.now
        now = current_time()
        deployment = plan.next(now)
        if deployment is None:
            deployment = await first_free(self)
            now = current_time()
        while deployment is not None:
            reservation = exchange.reservation
            admitted = reservation is None or reservation.reserve(deployment, exchange.endpoint, self.responder.call)
            if admitted is not True:
                admitted = await self.admitted(deployment, admitted)
                now = current_time()
            run = self.begin(deployment, now) if admitted else None
            if run is None:
                deployment = switch(self) or (await next_turn(self, deployment) if admitted else None)
                now = current_time()
                continue
            failure = await run_attempt(run)
            if failure is None:
                return
            deployment = await next_after(self, failure)
            if deployment is not None:
                self.responder.attempt_lines, exchange.dropped = b"", ()
            now = current_time()
        (conclude or conclude_exchange)(self, failure)

    async def admitted(self, deployment: Deployment, answer: bool | Awaitable[bool]) -> bool:
        """Whether the gateway's limits and budgets admit ``deployment``.

        ``answer``: ``reserve``'s, ``False`` or an awaitable. Raises RateLimited if they admit no deployment.
        """
        admitted = answer if isinstance(answer, bool) else await answer
        reservation = self.exchange.reservation
        if not admitted and reservation is not None:
            self.limited += ((deployment, reservation.refused_by),)
        return admitted

    def begin(self, deployment: Deployment, now: float) -> AttemptRun | None:
        """Begin an attempt; ``None`` if the provider has no usable key, or the breaker opened meanwhile."""
        key = deployment.provider.keys.take(now)
        if key is None:
            self.keyless += (deployment,)
            return None
        exchange, plan, responder = self.exchange, self.plan, self.responder
        live, endpoint = deployment.live, exchange.endpoint
        permit = live.breaker.acquire(endpoint.path, now)
        if not permit:
            permit = live.breaker.acquire(endpoint.path, now, early=plan.probe_early)
            if not permit:
                return None
        quota = live.quota
        if quota.refused_until > now >= quota.cooldown_until:
            quota.probe(now, probe_at(self.routing, now))
        attempt = Attempt(deployment, permit, key, now, self.dispatcher.wall())
        exchange.attempts.append(attempt)
        if deployment is self.fallback:
            exchange.fallback_used = True
        if plan.skip_reasons is not None or self.limited or self.keyless:
            exchange.skipped = self._skipped()
        responder.set_deployment(deployment)
        if responder.request.rare and responder.wants_decision:
            responder.attempt_lines = attempt.decision = router_metadata.decision(plan.explain())
        # By position: a Struct made by keywords costs twice as much.
        return AttemptRun(self, attempt, responder, responder.outlet, self.deadline, self.pings)

    def _skipped(self) -> tuple[tuple[str, str], ...]:
        """Labels of the deployments skipped so far, with the reason."""
        found: list[tuple[str, str]] = [(each.label, reason) for each, reason in self.limited]
        found += [(each.label, "keys_resting") for each in self.keyless]
        found += [(each.label, reason) for each, reason in self.plan.skipped]
        return tuple(found[:MOST_SKIPPED])


def _hides_others(exchange: Exchange, failure: AttemptFailure) -> bool:
    """Whether the last candidate could not take the request, but others could, and failed."""
    untranslatable = rules.FailureKind.UNTRANSLATABLE
    return failure.kind is untranslatable and any(each.failure != untranslatable for each in exchange.attempts)


def conclude_exchange(dispatch: Dispatch, failure: AttemptFailure | None) -> None:
    """Answer with an error, as no candidate succeeded: the provider's own, or one with the reasons of all attempts.

    ``failure`` is that of the last attempt, ``None`` if there was none. Raises GatewayError.
    """
    exchange, responder = dispatch.exchange, dispatch.responder
    if failure is None and dispatch.limited and exchange.reservation is not None:
        refusal = exchange.reservation.refusal()
        if refusal is not None:
            raise refusal
    if failure is None or failure.kind not in rules.RETURNS_ERROR or _hides_others(exchange, failure):
        if responder.wants_decision:
            responder.attempt_lines = router_metadata.decision(dispatch.plan.explain())
        raise exhausted(exchange, dispatch.plan, failure, dispatch.dispatcher.now(), dispatch.keyless, dispatch.limited)
    if failure.answer is not None:
        responder.relay_error(failure.answer)
    elif failure.fault is not None:
        if failure.fault.status == 429:
            failure.fault.should_retry = False  # as ``relay_error`` does
        raise failure.fault
