"""What clients and deployments ask a store for is made ready once; and a store that is no quicker is asked the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from proxy.config.schema import Limits, RateLimiting
from proxy.identity import Client
from proxy.limits.base import Cost, Store, Verdict
from proxy.limits.memory import Memory
from proxy.limits.prepared import NOTHING_WANTED
from proxy.limits.rules import Rules
from proxy.limits.snapshot import MOST_CLIENTS, MOST_DEPLOYMENTS, Demands, LimiterSnapshot
from proxy.observe.metrics import Metrics

TWO = Limits(requests_per_minute=2)


class Plain:
    """A store without a quicker face."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Cost]] = []

    def take(self, wants: Sequence[Cost], lease: int) -> Verdict:
        self.asked.append(wants)
        return Verdict(True, wants[0].limit, 1.0, 30.0, 0.0)

    def settle(self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int) -> None: ...

    async def close(self) -> None: ...


def terms(store: Store, **levels: Limits) -> LimiterSnapshot:
    rules = Rules.of(RateLimiting(enabled=True, **levels))
    return LimiterSnapshot(rules, store, itertools.count(1), lambda: 0.0, Metrics())


def test_what_is_asked_for_is_made_once_and_not_kept_without_end() -> None:
    made = terms(Memory(lambda: 0.0, 100), per_client=TWO, per_model=TWO)
    before, at = made.before(Client("client:0")), made.at(("0", "p"))
    assert made.before(Client("client:0")) is before
    assert made.at(("0", "p")) is at
    for number in range(MOST_CLIENTS):
        made.before(Client(f"client:{number + 1}"))
    for number in range(MOST_DEPLOYMENTS):
        made.at((f"{number + 1}", "p"))
    assert made.before(Client("client:0")) is not before
    assert made.at(("0", "p")) is not at


def test_never_more_demands_are_kept_than_may_be() -> None:
    demands: Demands[int] = Demands(lambda key: Memory(lambda: 0.0, 100).prepare(()), 3)
    for key in range(10):
        assert demands[key] is demands[key]
        assert len(demands) <= 3


def test_it_asks_for_what_the_rules_say() -> None:
    for store in (Memory(lambda: 0.0, 100), Plain()):
        made = terms(store, global_=TWO, per_client=TWO, per_provider=TWO)
        for client in (None, Client("client:a")):
            assert made.before(client).wants == made.rules.before(client) != ()
        assert made.at(("m", "p")).wants == made.rules.at("m", "p") != ()


def test_a_store_without_a_quicker_face_is_asked_for_the_wants_and_never_for_nothing() -> None:
    store = Plain()
    made = terms(store, per_client=TWO)
    assert made.prepared.grant(made.before(None), 1) == NOTHING_WANTED
    assert store.asked == []
    ask = made.before(Client("client:a"))
    assert isinstance(made.prepared.grant(ask, 1), Verdict)
    assert store.asked == [ask.wants]


def test_two_asks_are_one_whose_wants_stand_in_order() -> None:
    slot, concurrent = Limits(concurrent=2), Limits(requests_per_minute=2, concurrent=2)
    made = terms(Memory(lambda: 0.0, 100), per_client=concurrent, per_model=concurrent, per_provider=slot)
    first, more = made.before(Client("client:a")), made.at(("m", "p"))
    both, once = first.with_more(more), made.prepared.prepare(first.wants + more.wants)
    assert (both.wants, both.buckets, both.slots) == (once.wants, once.buckets, once.slots)
    assert len(both.slots) == 3
