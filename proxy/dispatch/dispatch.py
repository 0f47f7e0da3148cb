"""One exchange on its way through the candidates: ask, hear what went wrong, look the rule up, ask the next.

The rules are the table in ``routing/rules.py``; which candidate comes next is the plan's affair
(``routing/plan.py``). Here is the order in which both are consulted, and the account of every attempt.
Once per attempt: ``_try``. What follows a setback is allowed to cost.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from proxy import router_metadata
from proxy.dialects import openai_error
from proxy.dialects.openai_answer import AnswerInfo
from proxy.dialects.openai_error import ProviderError
from proxy.dispatch import account, cooldowns
from proxy.dispatch.exhausted import exhausted
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.patience import Patience
from proxy.dispatch.race import Lost, Race
from proxy.errors import ClientGone, ErrorInStream, GatewayError, UpstreamFault
from proxy.exchange import Attempt
from proxy.net.clocks import NEVER
from proxy.relay.collect import Answer
from proxy.relay.upstream_request import UpstreamRequest
from proxy.responder import Responder
from proxy.routing import rules
from proxy.routing.deployment import Deployment
from proxy.routing.plan import Plan
from proxy.routing.rules import Kind, Next
from proxy.server.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from proxy.dispatch.dispatcher import Dispatcher

MOST_SKIPPED = 20


class Dispatch:
    """``run`` it once. ``_ask`` makes the request for one attempt."""

    _repeats = False  # twice harms nobody but the bill
    _pings = False  # the client waits for a stream
    _race: Race | None = None  # another attempt runs beside (hedging.py)
    # What only setbacks change; most exchanges have none.
    _resort: Deployment | None = None  # the fallback, once it was its turn
    _keyless: tuple[Deployment, ...] = ()  # every key of theirs rests
    _limited: tuple[Deployment, ...] = ()  # our own limits hold them back
    _patience: Patience | None = None

    def __init__(self, dispatcher: Dispatcher, responder: Responder, plan: Plan) -> None:
        self._dispatcher = dispatcher
        self._now = dispatcher.now
        self._responder = responder
        self._exchange = exchange = responder.exchange
        self._endpoint = exchange.endpoint.path
        self._hold = exchange.hold
        self._plan = plan
        self._routing = routing = exchange.catalog.config.routing
        self._deadline = exchange.began + routing.deadline_secs if routing.deadline_secs else NEVER

    def _ask(self, attempt: Attempt) -> UpstreamRequest:
        raise NotImplementedError

    def _repeatable(self, failure: AttemptFailure) -> bool:
        """Whether another attempt can do no harm after this one: the provider has not run the request."""
        return self._repeats or not rules.may_have_run(failure.kind, failure.fault)

    async def run(self) -> None:
        """Bring the client an answer. Raises GatewayError when nothing helped, ClientGone."""
        failure: AttemptFailure | None = None
        now = self._now()
        deployment = self._plan.next(now)
        if deployment is None:
            deployment = await self._first_free()
            now = self._now()
        while deployment is not None:
            admitted = self._hold is None or self._hold.enter(deployment)
            if admitted is not True:
                admitted = await self._entered(deployment, admitted)
                now = self._now()
            attempt = self._begin(deployment, now) if admitted else None
            if attempt is None:
                deployment = self._switch() or (await self._next_turn(deployment) if admitted else None)
                now = self._now()
                continue
            failure = await self._try(attempt)
            if failure is None:
                return
            deployment = await self._after(failure)
            now = self._now()
        self._conclude(failure)

    # -- once per attempt -------------------------------------------------------------------------

    async def _entered(self, deployment: Deployment, answer: bool | Awaitable[bool]) -> bool:
        """Whether our own limits leave room for it, where the hold said no, or that it has to be waited for.

        Raises RateLimited where they leave none for the exchange.
        """
        admitted = answer if isinstance(answer, bool) else await answer
        if not admitted:
            self._limited += (deployment,)
        return admitted

    def _begin(self, deployment: Deployment, now: float) -> Attempt | None:
        """The trial, or ``None`` if every key of the provider rests, or the breaker opened at the attempt before."""
        key = deployment.provider.keys.take(now)
        if key is None:
            self._keyless += (deployment,)
            return None
        exchange, live = self._exchange, deployment.live
        entry = live.breaker.acquire(self._endpoint, now)
        if not entry:
            entry = live.breaker.acquire(self._endpoint, now, early=self._plan.early)
            if not entry:
                return None
        if live.quota.refused_until > now >= live.quota.rests_until:
            live.quota.probe(now, self._probe_at(now))
        attempt = Attempt(deployment, entry, key, now)
        exchange.attempts.append(attempt)
        if deployment is self._resort:
            exchange.fallback_used = True
        if self._plan.passed is not None or self._limited or self._keyless:
            exchange.skipped = self._skipped()
        self._responder.chose(deployment)
        if self._responder.explains:
            self._responder.decision = attempt.decision = router_metadata.decision(self._plan.explain())
        return attempt

    def _skipped(self) -> tuple[tuple[str, str], ...]:
        """Who was passed over so far, and why; no more than a client wants to read."""
        found = [(each.label, "limit") for each in self._limited]
        found += [(each.label, "keys_resting") for each in self._keyless]
        found += [(each.label, reason) for each, reason in self._plan.skipped]
        return tuple(found[:MOST_SKIPPED])

    async def _try(self, attempt: Attempt) -> AttemptFailure | None:
        """``None`` when the client has its answer, or was told in-band that it broke."""
        responder, live = self._responder, attempt.deployment.live
        upstream_call = self._dispatcher.upstream_call(responder, attempt, self._ask(attempt), self._reply())
        live.in_flight += 1
        race, request = self._race, responder.request
        request.flow = upstream_call if race is None else race.entered_by(attempt, upstream_call)
        try:
            try:
                answer = await upstream_call.run()
            finally:
                upstream_call.finish()
            if answer is None:
                return self._streamed(attempt)
            if answer.status >= 400:
                attempt.status = answer.status
                return self._refused(attempt, answer)
            told = self._claim(attempt, answer)
            attempt.ended = now = self._now()
            account.answered(attempt, self._endpoint, now)
            responder.deliver(answer, told)
            return None
        except UpstreamFault as fault:
            self._exchange.error_detail = fault.detail
            return self._failed(attempt, fault)
        except BaseException as end:
            kind = account.cut_short(attempt, _cut_short(end), upstream_call.waited, self._endpoint, self._now())
            attempt.failure = kind.value
            raise
        finally:
            if race is None or race.left_by(attempt):
                request.flow = None
            live.in_flight -= 1
            attempt.connected, attempt.headers = upstream_call.sent_at, upstream_call.headed_at
            if attempt.ended is None:
                attempt.ended = self._now()

    def _reply(self) -> Outlet:
        """Where the attempt's answer goes."""
        return self._responder.outlet

    def _claim(self, attempt: Attempt, answer: Answer) -> AnswerInfo:
        """A collected answer is about to go to the client. Raises UpstreamFault if it is none."""
        return self._responder.checked(answer)

    def _committed(self, attempt: Attempt) -> None:
        """The content commit of a stream: the answer is this deployment's, whatever comes of it."""
        account.committed(attempt, self._now())

    def _streamed(self, attempt: Attempt) -> AttemptFailure | None:
        """What went out as it came has ended, well or not; ``None``: nothing can follow."""
        now, exchange = self._now(), self._exchange
        fault = exchange.fault
        if fault is None:
            account.succeeded(attempt, self._endpoint, now)
            return None
        kind = rules.of_fault(fault)
        attempt.failure, attempt.reason = kind.value, _in_our_words(fault)
        account.failed(attempt, kind, exchange.error, exchange.attempts, self._endpoint, now)
        return None

    # -- after a setback --------------------------------------------------------------------------

    def _refused(self, attempt: Attempt, answer: Answer) -> AttemptFailure:
        kind_of_provider = attempt.deployment.provider.kind
        found = kind_of_provider.read_refusal(answer.status, answer.headers, answer.body, self._dispatcher.wall())
        kind, provider = rules.of_refusal(found), attempt.deployment.provider
        error = openai_error.refused(answer.body)
        if error is not None:
            error.message = provider.redact(error.message)
        self._exchange.error_detail = detail = error.message if error is not None else ""
        if kind is Kind.NOT_FOUND:
            # Mostly a wrong address: it has to be seen, and only the operator may see it.
            where = attempt.deployment.site.url(self._exchange.endpoint.path)
            self._exchange.error_detail = (
                f"{detail or 'status 404'} (asked at {where}: check providers.{provider.name})"
            )
        if kind is Kind.AUTH:
            error = None  # it is about the gateway's credential: for the log only
        return self._account(
            AttemptFailure(attempt, kind, found.retry_after, answer, error=error), f"status {answer.status}"
        )

    def _failed(self, attempt: Attempt, fault: UpstreamFault) -> AttemptFailure:
        error = None
        if isinstance(fault, ErrorInStream):
            fault.message = attempt.deployment.provider.redact(fault.message)
            error = ProviderError(fault.message, code=fault.code)
        return self._account(
            AttemptFailure(attempt, rules.of_fault(fault), fault=fault, error=error), _in_our_words(fault)
        )

    def _account(self, failure: AttemptFailure, reason: str) -> AttemptFailure:
        """What the breaker, the statistics, and everybody who would ask the same make of it."""
        attempt, kind, now = failure.attempt, failure.kind, self._now()
        attempt.failure, attempt.reason = kind.value, reason
        key_rests = False
        if rules.RULES[kind].breaker == "key":
            key_rests = cooldowns.cool_key(self._dispatcher, failure, now)
        elif kind is Kind.RATE_LIMITED:
            attempts, delay = self._asked(attempt.deployment), self._routing.retry_delay
            cooldowns.cool_deployment(self._dispatcher, failure, attempts, delay, now, self._probe_at(now))
        elif kind is Kind.CONTEXT_LENGTH:
            self._plan.demand_context(attempt.deployment.context_size)
        account.failed(attempt, kind, kind.value, self._exchange.attempts, self._endpoint, now, key_rests=key_rests)
        return failure

    async def _after(self, failure: AttemptFailure) -> Deployment | None:
        """Who is asked next; ``None``: nobody."""
        attempt, deployment, following = failure.attempt, failure.attempt.deployment, rules.RULES[failure.kind].next
        if self._now() >= self._deadline or not self._repeatable(failure):
            return None
        match following:
            case Next.SAME_NOW:
                return deployment
            case Next.KEY | Next.KEY_OR_TELL:
                return self._another_key(failure)
            case Next.REST:
                return await self._rested(deployment)
            case Next.SAME:
                return await self._again(attempt) or self._switch()
            case Next.NEXT_OR_SAME | Next.SAME_OR_TELL:
                return self._switch(fallback=False) or await self._once_more(failure) or self._last_resort()
            case Next.TELL | Next.STOP:
                return None
        return self._switch()

    def _switch(self, *, fallback: bool = True) -> Deployment | None:
        """The next candidate while ``maxRetries`` leaves room for one, else the fallback."""
        found = self._plan.next(self._now()) if self._has_budget() else None
        return found or (self._last_resort() if fallback else None)

    def _has_budget(self) -> bool:
        """Whether ``maxRetries`` leaves room for another deployment; it counts the first one, not the fallback."""
        tried = {attempt.deployment for attempt in self._exchange.attempts if attempt.deployment is not self._resort}
        return len(tried) < max(1, self._routing.max_retries)

    def _last_resort(self) -> Deployment | None:
        """The fallback, but not where one of our own limits, or a name that nobody knows, is the reason for it."""
        if self._limited and not (self._routing.fallback is not None and self._routing.fallback.on_limit):
            return None
        if _names_no_model(self._exchange.attempts):
            return None
        self._resort = self._plan.fallback(self._now())
        return self._resort

    async def _rested(self, deployment: Deployment) -> Deployment | None:
        """After a 429: another key, an equal candidate, the same when it has rested, another candidate."""
        now, keys = self._now(), deployment.provider.keys
        if len(keys) > 1 and keys.free_at() <= now:
            return deployment
        equal = self._plan.equal(now) if self._has_budget() else None
        if equal is not None:
            return equal
        patience = self._waiting()
        again = self._may_repeat(deployment) and await patience.cooled(deployment, self._deadline)
        if again and self._plan.may_ask(deployment, self._now()):
            return deployment
        other = self._switch()
        if other is None and again and await patience.readmitted(self._plan, deployment, self._deadline):
            return deployment
        return other

    def _probe_at(self, now: float) -> float:
        """When a provider that refuses requests for long is sent the next one all the same."""
        return now + (self._routing.max_retry_after_secs or inf)

    async def _next_turn(self, passed: Deployment) -> Deployment | None:
        """The one that could not be tried after all, once a rate limit on its keys, or a probe, is over."""
        keys, patience = passed.provider.keys, self._waiting()
        left = keys.free_at() - self._now()
        if left > 0:
            if not keys.limited or not await patience.wait(left, self._deadline):
                return None
            self._keyless = tuple(each for each in self._keyless if each is not passed)
        return passed if await patience.readmitted(self._plan, passed, self._deadline) else None

    async def _first_free(self) -> Deployment | None:
        """The fallback where no candidate may be tried now, else who is the first to be free of a rate limit."""
        found = self._last_resort()
        if found is not None:
            return found
        return await self._waiting().found(self._plan, self._switch, self._deadline)

    async def _again(self, attempt: Attempt) -> Deployment | None:
        """After a reset: the same, a moment later."""
        deployment = attempt.deployment
        return await self._later(deployment, self._asked(deployment) - 1) if self._may_repeat(deployment) else None

    def _may_repeat(self, deployment: Deployment) -> bool:
        """Whether it may be asked again after a 429 or a reset."""
        routing = self._routing
        return bool(routing.max_retries) and self._asked(deployment) <= routing.rate_limit_retries

    async def _once_more(self, failure: AttemptFailure) -> Deployment | None:
        """After a 5xx with nobody else left: the same once more, unless nothing is to be tried twice."""
        deployment = failure.attempt.deployment
        if self._asked(deployment) > 1 or not self._routing.max_retries:
            return None
        return await self._later(deployment, 0, failure.retry_after or 0.0)

    async def _later(self, deployment: Deployment, retry: int, least: float = 0.0) -> Deployment | None:
        """The same after the backoff, and not before the ``least`` seconds that the provider asked for."""
        routing = self._routing
        delay = rules.backoff(routing.retry_delay, retry, self._dispatcher.random, routing.max_retry_delay)
        delay = max(least, delay)
        if await self._waiting().wait(delay, self._deadline) and self._plan.may_ask(deployment, self._now()):
            return deployment
        return None

    def _another_key(self, failure: AttemptFailure) -> Deployment | None:
        """After a refused key: another one, at most once in an exchange and provider, else another candidate."""
        deployment, kind = failure.attempt.deployment, failure.kind
        refused = [
            t for t in self._exchange.attempts if t.deployment.provider is deployment.provider and t.failure == kind
        ]
        keys = deployment.provider.keys
        if len(keys) > 1 and len(refused) == 1 and keys.free_at() <= self._now() < failure.attempt.key.rests_until:
            return deployment
        return None if kind is Kind.AUTH and self._routing.on_auth_error == "fail" else self._switch()

    def _waiting(self) -> Patience:
        if self._patience is None:
            self._patience = Patience(self._dispatcher, self._responder, pings=self._pings)
        return self._patience

    def _asked(self, deployment: Deployment) -> int:
        return sum(attempt.deployment is deployment for attempt in self._exchange.attempts)

    # -- the end ----------------------------------------------------------------------------------

    def _conclude(self, failure: AttemptFailure | None) -> None:
        """Nothing helped: the client hears the provider's own words where they are its affair, else the reasons."""
        if failure is None and self._limited and self._hold is not None:
            refusal = self._hold.refusal()
            if refusal is not None:
                raise refusal
        if failure is None or failure.kind not in rules.TELLING:
            if self._responder.explains:
                self._responder.decision = router_metadata.decision(self._plan.explain())
            raise exhausted(self._exchange, self._plan, failure, self._now(), self._keyless, self._limited)
        if failure.answer is not None:
            self._responder.relay_error(failure.answer)
        elif failure.fault is not None:
            if failure.fault.status == 429:
                failure.fault.should_retry = False  # as ``relay_error`` does
            raise failure.fault


def _cut_short(end: BaseException) -> Kind:
    """What an attempt came to that others ended."""
    if isinstance(end, Lost):
        return Kind.OUTRUN
    return rules.of_fault(end) if isinstance(end, (GatewayError, ClientGone)) else Kind.OURS


def _names_no_model(attempts: Iterable[Attempt]) -> bool:
    """Whether each provider said that it has no such model, and the configuration has none either: a typing error."""
    failed = [each.failure == Kind.MODEL_MISSING and each.deployment.model is None for each in attempts]
    return bool(failed) and all(failed)


def _in_our_words(fault: GatewayError) -> str:
    return "the provider told an error instead of an answer" if isinstance(fault, ErrorInStream) else fault.message
