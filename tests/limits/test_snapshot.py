"""Prepared costs of clients and deployments, with and without a prepared store."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from proxy.budgets.base import Charge, Wants
from proxy.config.limit_schema import Limits
from proxy.config.schema import RateLimiting
from proxy.identity import Client
from proxy.limits.base import Cost, Store, Verdict
from proxy.limits.memory import Memory
from proxy.limits.prepared import NO_COSTS
from proxy.limits.rules import Rules
from proxy.limits.snapshot import MOST_CLIENTS, MOST_DEPLOYMENTS, LimiterSnapshot, _PreparedCache
from proxy.observe.metrics import Metrics

TWO = Limits(requests_per_minute=2)


class Plain:
    """A store without a quicker face."""

    def __init__(self) -> None:
        self.taken: list[Sequence[Cost]] = []

    def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict:
        self.taken.append(costs)
        return Verdict(True, costs[0].limit, 1.0, 30.0, 0.0)

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None: ...

    async def close(self) -> None: ...


def snapshot(store: Store, **levels: Limits) -> LimiterSnapshot:
    rules = Rules.of(RateLimiting(enabled=True, **levels))
    return LimiterSnapshot(rules, store, itertools.count(1), lambda: 0.0, Metrics())


def test_prepared_costs_are_cached_and_bounded() -> None:
    made = snapshot(Memory(lambda: 0.0, 100), per_client=TWO, per_model=TWO)
    before, at = made.client_costs(Client("client:0")), made.deployment_costs(("0", "p"))
    assert made.client_costs(Client("client:0")) is before
    assert made.deployment_costs(("0", "p")) is at
    for number in range(MOST_CLIENTS):
        made.client_costs(Client(f"client:{number + 1}"))
    for number in range(MOST_DEPLOYMENTS):
        made.deployment_costs((f"{number + 1}", "p"))
    assert made.client_costs(Client("client:0")) is not before
    assert made.deployment_costs(("0", "p")) is not at


def test_the_cache_of_prepared_costs_is_bounded() -> None:
    prepared: _PreparedCache[int] = _PreparedCache(lambda key: Memory(lambda: 0.0, 100).prepare(()), 3)
    for key in range(10):
        assert prepared[key] is prepared[key]
        assert len(prepared) <= 3


def test_prepared_costs_follow_the_rules() -> None:
    for store in (Memory(lambda: 0.0, 100), Plain()):
        made = snapshot(store, global_=TWO, per_client=TWO, per_provider=TWO)
        for client in (None, Client("client:a")):
            assert made.client_costs(client).costs == made.rules.client_costs(client) != ()
        assert made.deployment_costs(("m", "p")).costs == made.rules.deployment_costs("m", "p") != ()


def test_a_plain_store_takes_costs_and_skips_empty_ones() -> None:
    store = Plain()
    made = snapshot(store, per_client=TWO)
    assert made.prepared_store.grant(made.client_costs(None), 1) == NO_COSTS
    assert store.taken == []
    ask = made.client_costs(Client("client:a"))
    assert isinstance(made.prepared_store.grant(ask, 1), Verdict)
    assert store.taken == [ask.costs]


def test_prepared_costs_can_be_joined() -> None:
    slot, concurrent = Limits(concurrent=2), Limits(requests_per_minute=2, concurrent=2)
    made = snapshot(Memory(lambda: 0.0, 100), per_client=concurrent, per_model=concurrent, per_provider=slot)
    first, more = made.client_costs(Client("client:a")), made.deployment_costs(("m", "p"))
    both, once = first.with_more(more), made.prepared_store.prepare(first.costs + more.costs)
    assert (both.costs, both.buckets, both.slots) == (once.costs, once.buckets, once.slots)
    assert len(both.slots) == 3
