"""Limits of requests to services."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import pytest

from proxy.budgets.base import Charge, Wants
from proxy.config.limit_schema import Limits
from proxy.config.schema import RateLimiting
from proxy.errors import RateLimited
from proxy.identity import Client
from proxy.limits.base import Cost, Store, Verdict
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.requests import RequestLimits, RequestReservation
from proxy.limits.rules import Rules
from proxy.observe.metrics import Metrics

ANN, BOB = Client("key:ann"), Client("key:bob")
TWO = Limits(requests_per_minute=2)


class Slow:
    """A store that has to wait."""

    def __init__(self) -> None:
        self._memory = Memory(lambda: 0.0, 100)

    async def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict:
        return self._memory.take(costs, lease, wants)

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None:
        self._memory.settle(corrections, slots, lease, charges)

    async def close(self) -> None: ...


def limits(store: Store | None = None, **levels: Limits) -> RequestLimits:
    rules = Rules.of(RateLimiting(enabled=bool(levels), **levels))
    return RequestLimits(Limiter(store or Memory(lambda: 0.0, 100), rules, lambda: 100.0, Metrics()))


def taken(made: RequestLimits, client: Client = ANN, route: str = "r", own: Limits | None = None) -> RequestReservation:
    found = made.take(client, route, own)
    assert isinstance(found, RequestReservation)
    return found


def test_without_limits_nothing_is_taken() -> None:
    assert limits().take(ANN, "r", None) is None
    assert limits().take(ANN, "r", Limits(enabled=False, requests_per_minute=1)) is None


def test_a_request_takes_from_its_clients_buckets() -> None:
    made = limits(per_client=TWO)
    lines = [taken(made).header_lines() for _ in range(2)]
    assert lines[1] == b"X-RateLimit-Limit: 2\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 160\r\n"
    with pytest.raises(RateLimited) as caught:
        made.take(ANN, "r", None)
    assert (caught.value.limit, caught.value.retry_after) == ("client", 30)
    taken(made, BOB)


def test_the_limits_of_a_route_are_for_all_clients_together_also_without_others() -> None:
    made = limits()
    taken(made, ANN, "r", TWO)
    taken(made, BOB, "r", TWO)
    with pytest.raises(RateLimited, match="for this route"):
        made.take(ANN, "r", TWO)
    taken(made, ANN, "other", TWO)


def test_slots_are_released_at_the_end() -> None:
    made, one = limits(per_client=Limits(concurrent=5)), Limits(concurrent=1)
    first = taken(made, own=one)
    with pytest.raises(RateLimited, match="concurrent"):
        made.take(BOB, "r", one)
    first.settle()
    taken(made, BOB, own=one)


async def test_a_store_that_waits_is_awaited() -> None:
    made = limits(Slow(), per_client=TWO)
    for _ in range(2):
        waiting = made.take(ANN, "r", None)
        assert isinstance(waiting, Awaitable)
        assert (await waiting).header_lines()
    refused = made.take(ANN, "r", None)
    assert isinstance(refused, Awaitable)
    with pytest.raises(RateLimited):
        await refused
