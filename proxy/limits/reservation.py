"""What one exchange was granted of the limits, from the first bucket to the account at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from math import ceil

from msgspec import Struct

from proxy.dialects.call import Call
from proxy.dialects.openai_estimate import output_tokens, prompt_tokens
from proxy.errors import RateLimited
from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.prepared import NO_COSTS, Granted, part_of
from proxy.limits.rules import SHARED_KEY, Costs
from proxy.limits.snapshot import LimiterSnapshot
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import Endpoint

ROUNDING = 1e-3  # of a request or token: what floating point makes of 68 is 67.9999999
_NOTHING: Costs = ()


class Grant(Struct):
    """What was taken for one deployment; ``asked`` is how many attempts the exchange had made before.

    It has a lease of its own: two attempts that run side by side at one provider hold two of its slots.
    """

    costs: Costs
    asked: int
    lease: int


class Reservation(Struct, eq=False):
    """One exchange's ``proxy.exchange.Hold``; ``lease`` is its name at the store, where there are slots.

    One is made for each request, by position: a Struct, since Python's own ``__init__`` costs three times as much.
    """

    _snapshot: LimiterSnapshot
    _client: Client | None
    _attempts: list[Attempt]
    lease: int
    _requests: Costs  # what is asked for before the body is read
    _tightest: Granted = NO_COSTS  # of all buckets so far, or the one that refused the exchange
    _grants: dict[Deployment, Grant] = {}
    _above: Costs = ()  # tokens of the levels that all deployments share, once they are taken
    _endpoint: Endpoint | None = None
    _call: Call | None = None
    _prompt: int | None = None  # tokens of the request, once estimated
    _passed: Verdict | None = None  # of the one that refused the last deployment
    _level: str = ""  # whose limit refused the exchange
    _refused: bool = False  # after something had been granted

    def __repr__(self) -> str:
        """Without the call, whose words are the client's."""
        return f"<Hold {len(self._grants)} grants, lease {self.lease}>"

    # -- taking -----------------------------------------------------------------------------------

    def begin(self, verdict: Verdict) -> None:
        """What the store said before the body was read, where it did not grant it at once. Raises RateLimited."""
        if not verdict.admitted:
            self._requests = ()
            raise self._told(verdict)
        self._tightest = part_of(verdict), verdict.limit

    def set_call(self, endpoint: Endpoint, call: Call | None) -> None:
        """What tokens are estimated from is known now; there is no call in what is not read."""
        if self._snapshot.rules.counts_tokens:
            self._endpoint, self._call = endpoint, call

    def reserve(self, deployment: Deployment) -> bool | Awaitable[bool]:
        """Whether its model and its provider have room. Raises RateLimited where nobody else's would help.

        It answers at once where the store does: a coroutine for each attempt would seconds more than the taking.
        """
        grants, snapshot = self._grants, self._snapshot
        if grants:
            if deployment in grants:
                return True
            self._leave()
        prepared, above, lease = snapshot.deployment_costs((deployment.name, deployment.provider.name)), _NOTHING, 0
        own, rules = prepared.costs, snapshot.rules
        if rules.gives_back:
            if rules.has_slots:
                lease = next(snapshot.leases)
            if rules.counts_tokens:
                tokens, above = self._tokens(deployment)
                own += tokens
                prepared = prepared.with_more(snapshot.prepared_store.prepare(tokens + above))
        answer = snapshot.prepared_store.grant(prepared, lease)
        if not isinstance(answer, tuple):
            if not isinstance(answer, Verdict):
                return self._later(deployment, own, above, lease, answer)
            if not self._granted(answer):
                return False
        elif answer[0] > self._tightest[0]:
            self._tightest = answer
        grants[deployment] = Grant(own, len(self._attempts), lease)
        if above:
            self._above = above
        return True

    async def _later(
        self, deployment: Deployment, own: Costs, above: Costs, lease: int, verdict: Awaitable[Verdict]
    ) -> bool:
        if not self._granted(await verdict):
            return False
        self._grants[deployment] = Grant(own, len(self._attempts), lease)
        self._above = self._above or above  # another attempt may have entered meanwhile
        return True

    def _granted(self, verdict: Verdict) -> bool:
        limit = verdict.limit
        if limit is None:
            return True
        if not verdict.admitted:
            if limit.level not in ("model", "provider"):
                self._refused = True
                raise self._told(verdict)
            self._passed = verdict
            return False
        part = part_of(verdict)
        if part > self._tightest[0]:
            self._tightest = part, limit
        return True

    def refusal(self) -> RateLimited | None:
        """Why the last deployment had no room, where that ends the exchange."""
        if self._passed is None:
            return None
        self._refused = True
        return self._told(self._passed)

    # -- what is needed ---------------------------------------------------------------------------

    def _tokens(self, deployment: Deployment) -> tuple[Costs, Costs]:
        """For this deployment alone, and, if it is the first, for the exchange: only now its tokens are known."""
        rules, tokens = self._snapshot.rules, self._estimate(deployment)
        limits = ((rules.model.tokens, deployment.name), (rules.provider.tokens, deployment.provider.name))
        return _reserved(limits, tokens), () if self._above else _reserved(self._shared(), tokens)

    def _shared(self) -> list[tuple[Limit | None, str]]:
        """The token limits above the deployment's, and whose bucket it is."""
        rules, client = self._snapshot.rules, self._client
        found = [(rules.shared.tokens, SHARED_KEY)]
        if client is not None:
            found.append((rules.client(client.limits).tokens, client.id))
            if client.address:
                found.append((rules.address.tokens, client.address))
        return found

    def _estimate(self, deployment: Deployment) -> int:
        call, estimate = self._call, self._snapshot.rules.estimates
        if self._prompt is None and call is not None:
            self._prompt = prompt_tokens(call, estimate.per_image, estimate.per_audio)
        elif self._prompt is None:
            self._prompt = self._unread()
        if call is None or self._endpoint is None or not self._endpoint.dialect.generates:
            return self._prompt
        most = deployment.model.max_output_tokens if deployment.model is not None else 0
        return self._prompt + output_tokens(call, most, estimate.output)

    def _unread(self) -> int:
        """The tokens of a form, of which only the kind is known."""
        estimates = self._snapshot.rules.estimates
        path = self._endpoint.path if self._endpoint is not None else ""
        if path.startswith("audio/"):
            return estimates.per_audio
        return estimates.per_image if path.startswith("images/") else 0

    # -- giving back ------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Another deployment is asked: those whose attempts have ended hold back nobody any more."""
        running = [attempt.deployment for attempt in self._attempts if attempt.ended is None]
        for deployment, grant in self._grants.items():
            if grant.costs and deployment not in running:
                self._give(self._unused(deployment, grant), grant.costs, grant.lease)
                grant.costs = ()

    def _give(self, corrections: list[Cost], costs: Costs, lease: int) -> None:
        """Correct what was taken, and free whatever slots are among the costs."""
        slots = [cost for cost in costs if not cost.limit.rate] if self._snapshot.rules.has_slots else []
        if corrections or slots:
            self._snapshot.store.settle(corrections, slots, lease)

    def _unused(self, deployment: Deployment, grant: Grant) -> list[Cost]:
        """Of a deployment that brought nothing: its tokens, and the request too if it was not even asked."""
        asked = any(attempt.deployment is deployment for attempt in self._attempts[grant.asked :])
        return [_back(cost) for cost in grant.costs if cost.limit.rate and (_is_tokens(cost) or not asked)]

    def _told(self, verdict: Verdict) -> RateLimited:
        told = _told(verdict)
        self._tightest = part_of(verdict), verdict.limit
        self._level = told.limit
        return told

    def settle(self, exchange: Exchange) -> None:
        """Synchronously, once. A request that a later limit refused has used nothing."""
        snapshot = self._snapshot
        if self._level:
            snapshot.tally.limited(self._level)
        elif exchange.error != "limiter_unavailable":
            snapshot.tally.admitted()
        if self._refused or snapshot.rules.gives_back:
            self._give_back(exchange)

    def _give_back(self, exchange: Exchange) -> None:
        """What was reserved and not used, and slots."""
        answering = _answering(exchange.attempts)
        used = self._used(exchange)
        for deployment, grant in self._grants.items():
            brought = deployment is answering and used != 0
            corrections = _corrected(grant.costs, used) if brought else self._unused(deployment, grant)
            self._give(corrections, grant.costs, grant.lease)
        corrections = _corrected(self._above, used)
        if self._refused:
            corrections += [_back(cost) for cost in self._requests if cost.limit.rate]
        self._give(corrections, self._requests, self.lease)

    def _used(self, exchange: Exchange) -> int | None:
        """Tokens; ``None`` where the estimate is the best that is known."""
        usage = exchange.usage
        if usage is not None:
            return (usage.total_input or 0) + (usage.total_output or 0)
        if exchange.events:  # a stream that does not say: mostly an event is a token
            return (self._prompt or 0) + exchange.events
        return None if exchange.outcome == "ok" else 0

    # -- telling ----------------------------------------------------------------------------------

    def header_lines(self) -> bytes:
        """``X-RateLimit-...`` of the tightest bucket: its configured rate, the amount that may be taken from it now,
        and when it is full again, in Unix seconds.
        """
        part, limit = self._tightest
        if limit is None:
            return b""
        return b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: %d\r\n" % (
            limit.quota,
            remaining(limit, part),
            ceil(self._snapshot.wall() + part * limit.refill),
        )


def remaining(limit: Limit, part: float) -> int:
    """What may be taken now from a bucket of which ``part`` is used; whole requests, tokens or slots."""
    return int((1.0 - part) * limit.capacity + ROUNDING) if part < 1.0 else 0


def _told(verdict: Verdict) -> RateLimited:
    limit = verdict.limit
    assert limit is not None
    retry_after = max(1, ceil(verdict.retry_after))
    return RateLimited(limit.level, limit.unit, quota=limit.quota, burst=int(limit.capacity), retry_after=retry_after)


def _answering(attempts: list[Attempt]) -> Deployment | None:
    """Whose tokens the exchange has used: who did not fail, else the last one."""
    found = next((attempt for attempt in reversed(attempts) if not attempt.failure), attempts[-1] if attempts else None)
    return None if found is None else found.deployment


def _is_tokens(cost: Cost) -> bool:
    return cost.limit.unit == "tokensPerMinute"


def _reserved(limits: Iterable[tuple[Limit | None, str]], tokens: int) -> Costs:
    """As much as is estimated, but never more than a bucket can hold: that could never be granted."""
    return tuple(Cost(limit, key, min(float(tokens), limit.capacity)) for limit, key in limits if limit is not None)


def _corrected(costs: Iterable[Cost], used: int | None) -> list[Cost]:
    """The difference between what was reserved and what was used."""
    if used is None:
        return []
    found = [Cost(cost.limit, cost.key, used - cost.amount) for cost in costs if _is_tokens(cost)]
    return [cost for cost in found if cost.amount]


def _back(cost: Cost) -> Cost:
    return Cost(cost.limit, cost.key, -cost.amount)
