"""The reservation of one exchange: what it has taken from the limits, until it is settled."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from math import ceil
from typing import Final

from msgspec import Struct

from proxy.budgets.base import Charge, Wants
from proxy.budgets.book import Counters
from proxy.budgets.holds import Holds
from proxy.budgets.refusal import no_price
from proxy.dialects.call import Call
from proxy.errors import GatewayError, RateLimited
from proxy.exchange import NOTHING_HELD, Attempt, Exchange, HeldSpend, RefusedBy
from proxy.identity import Client
from proxy.limits.base import Cost, Limit, Store, Verdict
from proxy.limits.prepared import NO_COSTS, NO_PREPARED, Granted, part_of
from proxy.limits.rules import Costs
from proxy.limits.snapshot import LimiterSnapshot
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import Endpoint
from proxy.routing.estimate import unread_input

ROUNDING = 1e-3  # of a request or token: floating point turns 68 into 67.9999999
UNDECIDED: Final = ("limiter_unavailable", "budgets_unavailable")  # errors of exchanges that no limit admitted
_NOTHING: Costs = ()
# Which refusal a client is told of: a limit ends soon, a budget later, and a price is for the operator to add.
_RANKS: Final[dict[RefusedBy, int]] = {"no_price": 0, "budget": 1, "limit": 2}


class Grant(Struct):
    """What was taken for one deployment. ``attempts_before``: number of attempts that the exchange had made before.

    It has a lease of its own, since two concurrent attempts at one provider hold two of its slots.
    """

    costs: Costs
    attempts_before: int
    lease: int


class Reservation(Struct, eq=False):
    """A ``proxy.exchange.LimitReservation``. ``lease`` identifies it at the store, if there are slots.

    A Struct, since one is made per request, and Python's own ``__init__`` costs three times as much.
    """

    _snapshot: LimiterSnapshot
    _client: Client | None
    _attempts: list[Attempt]
    lease: int
    _requests: Costs  # taken before the body is read
    _tightest: Granted = NO_COSTS  # of all buckets so far, or the one that refused the exchange
    holds: Holds | None = None  # in budgets
    _grants: dict[Deployment, Grant] = {}
    _above: Costs = ()  # tokens taken from the levels above deployments
    _prompt: int | None = None  # tokens of the request, once estimated
    refused_by: RefusedBy = "limit"  # for the last deployment that was refused
    _refusal: Verdict | GatewayError | None = None  # for the last one of the highest rank
    _told: RefusedBy = "no_price"  # what that is
    _level: str = ""  # of the limit that refused the exchange
    _refused: bool = False  # refused after something was taken

    def __repr__(self) -> str:
        """Without the call, which contains the client's text."""
        return f"<Reservation {len(self._grants)} grants, lease {self.lease}>"

    # -- taking -----------------------------------------------------------------------------------

    def begin(self, verdict: Verdict) -> None:
        """Record the verdict of a store that had to wait, before the body is read. Raises RateLimited."""
        if not verdict.admitted:
            self._requests = ()
            raise self._error(verdict)
        self._tightest = part_of(verdict), verdict.limit

    def reserve(self, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> bool | Awaitable[bool]:
        """Take from the buckets of a deployment's model and provider, and hold what it may cost in budgets; ``False``
        if they refuse.

        Tokens are estimated from ``call``; ``None``: the body is not read. Raises RateLimited if another deployment
        would not help. Returns an awaitable only if the store has to wait: a coroutine per attempt would cost more than
        the take.
        """
        grants, holds = self._grants, self.holds
        if grants:
            if holds is not None:  # first, as an attempt that is tried again at its deployment holds anew
                _bill(self._snapshot.store, self.lease, holds, holds.of_ended())
            if deployment not in grants:
                self._return_ended()
            elif holds is None or holds.covers(deployment):
                return True
        if holds is None:
            return self._take(deployment, endpoint, call, ())
        counters = holds.counters(deployment)
        for counter in counters:
            if not counter.seeded:
                return self._seeded(holds, counters, deployment, endpoint, call)
        return self._hold(holds, counters, deployment, endpoint, call)

    def _hold(
        self, holds: Holds, counters: Counters, deployment: Deployment, endpoint: Endpoint, call: Call | None
    ) -> bool | Awaitable[bool]:
        wants = holds.wants(counters, deployment, endpoint, call) if counters else ()
        if wants is None:
            return self._refuse("no_price", no_price(deployment.name))
        return self._take(deployment, endpoint, call, wants)

    async def _seeded(
        self, holds: Holds, counters: Counters, deployment: Deployment, endpoint: Endpoint, call: Call | None
    ) -> bool:
        """Hold once it is known what was spent before. Raises Overloaded if that is not to be had."""
        await holds.seed([counter for counter in counters if not counter.seeded])
        held = self._hold(holds, counters, deployment, endpoint, call)
        return held if isinstance(held, bool) else await held

    def _take(
        self, deployment: Deployment, endpoint: Endpoint, call: Call | None, wants: Wants
    ) -> bool | Awaitable[bool]:
        snapshot, above, lease = self._snapshot, _NOTHING, 0
        own, rules, prepared = _NOTHING, snapshot.rules, NO_PREPARED
        if deployment not in self._grants:  # its buckets count a deployment once, its budgets each attempt
            prepared = snapshot.deployment_costs((deployment.name, deployment.provider.name))
            own = prepared.costs
            if rules.gives_back:
                if rules.has_slots:
                    lease = next(snapshot.leases)
                if rules.counts_tokens:
                    tokens, above = self._tokens(deployment, endpoint, call)
                    own += tokens
                    prepared = prepared.with_more(snapshot.prepared_store.prepare(tokens + above))
        answer = snapshot.prepared_store.grant(prepared, lease, wants)
        if not isinstance(answer, tuple):
            if not isinstance(answer, Verdict):
                return self._wait(deployment, Grant(own, len(self._attempts), lease), above, wants, answer)
            if not self._granted(answer):
                return False
        elif answer[0] > self._tightest[0]:
            self._tightest = answer
        self._note(deployment, Grant(own, len(self._attempts), lease), above, wants)
        return True

    async def _wait(
        self, deployment: Deployment, grant: Grant, above: Costs, wants: Wants, verdict: Awaitable[Verdict]
    ) -> bool:
        if not self._granted(await verdict):
            return False
        self._note(deployment, grant, above, wants)
        return True

    def _note(self, deployment: Deployment, grant: Grant, above: Costs, wants: Wants) -> None:
        """Note what a store has granted."""
        self._grants.setdefault(deployment, grant)
        if above:
            self._above = self._above or above  # a concurrent attempt may have set it
        if wants and self.holds is not None:
            self.holds.held(deployment, wants)

    def _granted(self, verdict: Verdict) -> bool:
        limit = verdict.limit
        if verdict.budget is not None:
            return self._refuse("budget", verdict)
        if limit is None:
            return True
        if not verdict.admitted:
            if limit.level not in ("model", "provider"):
                self._refused = True
                raise self._error(verdict)
            return self._refuse("limit", verdict)
        part = part_of(verdict)
        if part > self._tightest[0]:
            self._tightest = part, limit
        return True

    def _refuse(self, by: RefusedBy, refusal: Verdict | GatewayError) -> bool:
        """Note why a deployment is refused. Always ``False``."""
        self.refused_by = by
        if _RANKS[by] >= _RANKS[self._told]:
            self._refusal, self._told = refusal, by
        return False

    def refusal(self) -> GatewayError | None:
        """The error for a refused deployment, if the exchange ends with it."""
        last = self._refusal
        if last is None:
            return None
        self._refused = True
        if isinstance(last, Verdict) and last.budget is None:
            return self._error(last)
        self._level = "budget"
        if isinstance(last, GatewayError):
            return last
        assert self.holds is not None
        assert last.budget is not None
        return self.holds.refusal(last.budget)

    def held(self, deployment: Deployment) -> HeldSpend:
        """What budgets hold for an attempt at a deployment."""
        return NOTHING_HELD if self.holds is None else self.holds.of_attempt(deployment)

    # -- estimates --------------------------------------------------------------------------------

    def _tokens(self, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> tuple[Costs, Costs]:
        """Costs in tokens for this deployment, and, for the first one, for the levels above."""
        rules, tokens = self._snapshot.rules, self._estimate(deployment, endpoint, call)
        limits = ((rules.model.tokens, deployment.name), (rules.provider.tokens, deployment.provider.name))
        return _reserved(limits, tokens), () if self._above else _reserved(rules.shared_tokens(self._client), tokens)

    def _estimate(self, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> int:
        estimate, requests = self._snapshot.rules.estimates, endpoint.dialect.requests
        if self._prompt is None and call is not None:
            self._prompt = requests.prompt_tokens(call, estimate.per_image, estimate.per_audio)
        elif self._prompt is None:
            self._prompt = unread_input(endpoint, estimate)
        if call is None or not endpoint.dialect.generates:
            return self._prompt
        most = deployment.model.max_output_tokens if deployment.model is not None else 0
        return self._prompt + requests.output_tokens(call, most, estimate.output)

    # -- settlement -------------------------------------------------------------------------------

    def _return_ended(self) -> None:
        """Return what was taken for deployments whose attempts have ended."""
        running = [attempt.deployment for attempt in self._attempts if attempt.ended is None]
        for deployment, grant in self._grants.items():
            if grant.costs and deployment not in running:
                self._send(_unused(deployment, grant, self._attempts, self._prompt), grant.costs, grant.lease)
                grant.costs = ()

    def _send(self, corrections: list[Cost], costs: Costs, lease: int) -> None:
        """Send corrections, and release the slots among the costs."""
        slots = [cost for cost in costs if not cost.limit.rate] if self._snapshot.rules.has_slots else []
        if corrections or slots:
            self._snapshot.store.settle(corrections, slots, lease)

    def _error(self, verdict: Verdict) -> RateLimited:
        error = rate_limited(verdict)
        self._tightest = part_of(verdict), verdict.limit
        self._level = error.limit
        return error

    def settle(self, exchange: Exchange) -> None:
        """Settle everything. Synchronous; called once. A request that a limit refused later has used nothing."""
        snapshot = self._snapshot
        if self._level:
            snapshot.tally.limited(self._level)
        elif exchange.error not in UNDECIDED:
            snapshot.tally.admitted.value += 1
        if self.holds is not None:
            _bill(snapshot.store, self.lease, self.holds, self.holds.settle())
        if self._refused or snapshot.rules.gives_back:
            self._settle(exchange)

    def _settle(self, exchange: Exchange) -> None:
        """Return what was reserved and not used, and release slots."""
        answering = _answering(exchange.attempts)
        used = _used(exchange, self._prompt)
        for deployment, grant in self._grants.items():
            answered = deployment is answering and used != 0
            if answered:
                corrections = _corrected(grant.costs, used)
            else:
                corrections = _unused(deployment, grant, self._attempts, self._prompt)
            self._send(corrections, grant.costs, grant.lease)
        if used is not None and self._above:
            used += _used_in_vain(exchange.attempts, self._prompt or 0)
        corrections = _corrected(self._above, used)
        if self._refused:
            corrections += [_back(cost) for cost in self._requests if cost.limit.rate]
        self._send(corrections, self._requests, self.lease)

    # -- reporting --------------------------------------------------------------------------------

    def header_lines(self) -> bytes:
        """``X-RateLimit-...`` of the tightest bucket: configured rate, remaining amount, and Unix time when full.

        ``x-router-budget`` of budgets that have reached a threshold.
        """
        budgets = b"" if self.holds is None else self.holds.header_line()
        part, limit = self._tightest
        if limit is None:
            return budgets
        return budgets + limit_lines(limit, part, self._snapshot.wall())


def limit_lines(limit: Limit, part: float, wall: float) -> bytes:
    """``X-RateLimit-...`` of a bucket, of which ``part`` is used, at a Unix time."""
    return b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n" % (
        limit.quota,
        remaining(limit, part),
        ceil(wall + part * limit.refill),
    )


def remaining(limit: Limit, part: float) -> int:
    """Whole requests, tokens or slots left in a bucket, from its used part."""
    return int((1.0 - part) * limit.capacity + ROUNDING) if part < 1.0 else 0


def _bill(store: Store, lease: int, holds: Holds, charges: list[Charge]) -> None:
    if charges:
        store.settle((), (), lease, charges)
        holds.charged(charges)


def rate_limited(verdict: Verdict) -> RateLimited:
    limit = verdict.limit
    assert limit is not None
    retry_after = max(1, ceil(verdict.retry_after))
    return RateLimited(limit.level, limit.unit, quota=limit.quota, burst=int(limit.capacity), retry_after=retry_after)


def _unused(deployment: Deployment, grant: Grant, attempts: list[Attempt], prompt: int | None) -> list[Cost]:
    """Corrections for a deployment without a response: its tokens, and the request if it made no attempt.

    ``prompt``: estimated tokens of the input, which count for each attempt that was given up, with its output.
    """
    own = [attempt for attempt in attempts[grant.attempts_before :] if attempt.deployment is deployment]
    found = _corrected(grant.costs, _used_in_vain(own, prompt or 0))
    return found if own else found + [_back(cost) for cost in grant.costs if cost.limit.rate and not _is_tokens(cost)]


def _used_in_vain(attempts: Iterable[Attempt], prompt: int) -> int:
    """Tokens of attempts whose provider read the request, and that ended before any content, as ``billing`` has it."""
    return sum(
        prompt + each.unseen_output
        for each in attempts
        if each.given_up and each.first_content is None and each.usage is None
    )


def _used(exchange: Exchange, prompt: int | None) -> int | None:
    """Tokens used by the exchange; ``None`` if the estimate is the best value. ``prompt``: estimated."""
    usage = exchange.usage
    if usage is not None:
        return (usage.total_input or 0) + (usage.total_output or 0)
    if exchange.events:  # a stream without usage: most events are one token
        return (prompt or 0) + exchange.events
    return None if exchange.outcome == "ok" else 0


def _answering(attempts: list[Attempt]) -> Deployment | None:
    """The deployment that the tokens are counted for: of the last attempt that did not fail, else of the last one."""
    found = next((attempt for attempt in reversed(attempts) if not attempt.failure), attempts[-1] if attempts else None)
    return None if found is None else found.deployment


def _is_tokens(cost: Cost) -> bool:
    return cost.limit.unit == "tokensPerMinute"


def _reserved(limits: Iterable[tuple[Limit | None, str]], tokens: int) -> Costs:
    """Costs in tokens, capped by the capacity: more could never be granted."""
    return tuple(Cost(limit, key, min(float(tokens), limit.capacity)) for limit, key in limits if limit is not None)


def _corrected(costs: Iterable[Cost], used: int | None) -> list[Cost]:
    """Corrections from what was reserved to what was used."""
    if used is None:
        return []
    found = [Cost(cost.limit, cost.key, used - cost.amount) for cost in costs if _is_tokens(cost)]
    return [cost for cost in found if cost.amount]


def _back(cost: Cost) -> Cost:
    return Cost(cost.limit, cost.key, -cost.amount)
