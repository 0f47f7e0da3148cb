"""The reservation of one exchange: what it has taken from the limits, until it is settled."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from math import ceil

from msgspec import Struct

from proxy.config.schema import TokenEstimate
from proxy.dialects.call import Call
from proxy.errors import RateLimited
from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.prepared import NO_COSTS, Granted, part_of
from proxy.limits.rules import SHARED_KEY, Costs
from proxy.limits.snapshot import LimiterSnapshot
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import Endpoint

ROUNDING = 1e-3  # of a request or token: floating point turns 68 into 67.9999999
_NOTHING: Costs = ()


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
    _grants: dict[Deployment, Grant] = {}
    _above: Costs = ()  # tokens taken from the levels above deployments
    _prompt: int | None = None  # tokens of the request, once estimated
    _refusal: Verdict | None = None  # for the last deployment that was refused
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
        """Take from the buckets of a deployment's model and provider; ``False`` if they refuse.

        Tokens are estimated from ``call``; ``None``: the body is not read. Raises RateLimited if another deployment
        would not help. Returns an awaitable only if the store has to wait: a coroutine per attempt would cost more than
        the take.
        """
        grants, snapshot = self._grants, self._snapshot
        if grants:
            if deployment in grants:
                return True
            self._return_ended()
        prepared, above, lease = snapshot.deployment_costs((deployment.name, deployment.provider.name)), _NOTHING, 0
        own, rules = prepared.costs, snapshot.rules
        if rules.gives_back:
            if rules.has_slots:
                lease = next(snapshot.leases)
            if rules.counts_tokens:
                tokens, above = self._tokens(deployment, endpoint, call)
                own += tokens
                prepared = prepared.with_more(snapshot.prepared_store.prepare(tokens + above))
        answer = snapshot.prepared_store.grant(prepared, lease)
        if not isinstance(answer, tuple):
            if not isinstance(answer, Verdict):
                return self._wait(deployment, own, above, lease, answer)
            if not self._granted(answer):
                return False
        elif answer[0] > self._tightest[0]:
            self._tightest = answer
        grants[deployment] = Grant(own, len(self._attempts), lease)
        if above:
            self._above = above
        return True

    async def _wait(
        self, deployment: Deployment, own: Costs, above: Costs, lease: int, verdict: Awaitable[Verdict]
    ) -> bool:
        if not self._granted(await verdict):
            return False
        self._grants[deployment] = Grant(own, len(self._attempts), lease)
        self._above = self._above or above  # a concurrent attempt may have set it
        return True

    def _granted(self, verdict: Verdict) -> bool:
        limit = verdict.limit
        if limit is None:
            return True
        if not verdict.admitted:
            if limit.level not in ("model", "provider"):
                self._refused = True
                raise self._error(verdict)
            self._refusal = verdict
            return False
        part = part_of(verdict)
        if part > self._tightest[0]:
            self._tightest = part, limit
        return True

    def refusal(self) -> RateLimited | None:
        """The error for the last refused deployment, if the exchange ends with it."""
        if self._refusal is None:
            return None
        self._refused = True
        return self._error(self._refusal)

    # -- estimates --------------------------------------------------------------------------------

    def _tokens(self, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> tuple[Costs, Costs]:
        """Costs in tokens for this deployment, and, for the first one, for the levels above."""
        rules, tokens = self._snapshot.rules, self._estimate(deployment, endpoint, call)
        limits = ((rules.model.tokens, deployment.name), (rules.provider.tokens, deployment.provider.name))
        return _reserved(limits, tokens), () if self._above else _reserved(self._shared(), tokens)

    def _shared(self) -> list[tuple[Limit | None, str]]:
        """The token limits of the levels above deployments, each with its key."""
        rules, client = self._snapshot.rules, self._client
        found = [(rules.shared.tokens, SHARED_KEY)]
        if client is not None:
            found.append((rules.client(client.limits).tokens, client.id))
            if client.address:
                found.append((rules.address.tokens, client.address))
        return found

    def _estimate(self, deployment: Deployment, endpoint: Endpoint, call: Call | None) -> int:
        estimate, requests = self._snapshot.rules.estimates, endpoint.dialect.requests
        if self._prompt is None and call is not None:
            self._prompt = requests.prompt_tokens(call, estimate.per_image, estimate.per_audio)
        elif self._prompt is None:
            self._prompt = _unread(estimate, endpoint.path)
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
                self._send(self._unused(deployment, grant), grant.costs, grant.lease)
                grant.costs = ()

    def _send(self, corrections: list[Cost], costs: Costs, lease: int) -> None:
        """Send corrections, and release the slots among the costs."""
        slots = [cost for cost in costs if not cost.limit.rate] if self._snapshot.rules.has_slots else []
        if corrections or slots:
            self._snapshot.store.settle(corrections, slots, lease)

    def _unused(self, deployment: Deployment, grant: Grant) -> list[Cost]:
        """Corrections for a deployment without a response: its tokens, and the request if it made no attempt."""
        attempted = any(attempt.deployment is deployment for attempt in self._attempts[grant.attempts_before :])
        return [_back(cost) for cost in grant.costs if cost.limit.rate and (_is_tokens(cost) or not attempted)]

    def _error(self, verdict: Verdict) -> RateLimited:
        error = _error(verdict)
        self._tightest = part_of(verdict), verdict.limit
        self._level = error.limit
        return error

    def settle(self, exchange: Exchange) -> None:
        """Settle everything. Synchronous; called once. A request that a limit refused later has used nothing."""
        snapshot = self._snapshot
        if self._level:
            snapshot.tally.limited(self._level)
        elif exchange.error != "limiter_unavailable":
            snapshot.tally.admitted.value += 1
        if self._refused or snapshot.rules.gives_back:
            self._settle(exchange)

    def _settle(self, exchange: Exchange) -> None:
        """Return what was reserved and not used, and release slots."""
        answering = _answering(exchange.attempts)
        used = self._used(exchange)
        for deployment, grant in self._grants.items():
            answered = deployment is answering and used != 0
            corrections = _corrected(grant.costs, used) if answered else self._unused(deployment, grant)
            self._send(corrections, grant.costs, grant.lease)
        corrections = _corrected(self._above, used)
        if self._refused:
            corrections += [_back(cost) for cost in self._requests if cost.limit.rate]
        self._send(corrections, self._requests, self.lease)

    def _used(self, exchange: Exchange) -> int | None:
        """Tokens used by the exchange; ``None`` if the estimate is the best value."""
        usage = exchange.usage
        if usage is not None:
            return (usage.total_input or 0) + (usage.total_output or 0)
        if exchange.events:  # a stream without usage: most events are one token
            return (self._prompt or 0) + exchange.events
        return None if exchange.outcome == "ok" else 0

    # -- reporting --------------------------------------------------------------------------------

    def header_lines(self) -> bytes:
        """``X-RateLimit-...`` of the tightest bucket: configured rate, remaining amount, and Unix time when full."""
        part, limit = self._tightest
        if limit is None:
            return b""
        return b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n" % (
            limit.quota,
            remaining(limit, part),
            ceil(self._snapshot.wall() + part * limit.refill),
        )


def remaining(limit: Limit, part: float) -> int:
    """Whole requests, tokens or slots left in a bucket, from its used part."""
    return int((1.0 - part) * limit.capacity + ROUNDING) if part < 1.0 else 0


def _unread(estimate: TokenEstimate, path: str) -> int:
    """Estimated tokens of a multipart form for the endpoint ``path``, which is not read."""
    if path.startswith("audio/"):
        return estimate.per_audio
    return estimate.per_image if path.startswith("images/") else 0


def _error(verdict: Verdict) -> RateLimited:
    limit = verdict.limit
    assert limit is not None
    retry_after = max(1, ceil(verdict.retry_after))
    return RateLimited(limit.level, limit.unit, quota=limit.quota, burst=int(limit.capacity), retry_after=retry_after)


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
