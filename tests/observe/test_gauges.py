"""Gauges of breakers, components and connections, and their bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from proxy.observe.family import Count, Family
from proxy.observe.gauges import (
    PORTION,
    STATES,
    BreakerSample,
    BudgetSample,
    ReceiverSample,
    RecorderSample,
    breaker_states,
    budget_amounts,
    components_up,
    open_connections,
    receiver_events,
    user_balances,
)

OTHER = ("other", "other", "other")


def gathered(standing: Iterable[BreakerSample], most: int = 500) -> tuple[Family[Count], int]:
    """The family, and the number of batches."""
    steps, work = 1, breaker_states(standing, most)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, steps
        steps += 1


def values(family: Family[Count]) -> dict[tuple[str, ...], float]:
    return {labels: count.value for labels, count in family.cells.items() if count.value}


def test_each_breaker_is_one_for_its_state_and_zero_for_the_others() -> None:
    family, _ = gathered([BreakerSample("p/m", "p", "up-m", "half_open")])
    assert {labels: count.value for labels, count in family.cells.items()} == {
        ("p/m", "p", "up-m", state): int(state == "half_open") for state in STATES
    }


def test_breakers_with_the_same_labels_are_summed() -> None:
    family, _ = gathered([BreakerSample("p/other", "p", "other", state) for state in ("open", "open", "closed")])
    assert values(family) == {("p/other", "p", "other", "open"): 2, ("p/other", "p", "other", "closed"): 1}


def test_breakers_beyond_the_bound_are_summed() -> None:
    family, _ = gathered([BreakerSample(f"p/{n}", "p", "m", "open") for n in range(7)], most=3)
    assert len(family.cells) == 4 * len(STATES)
    assert values(family) == {**{(f"p/{n}", "p", "m", "open"): 1 for n in range(3)}, (*OTHER, "open"): 4}


def test_breakers_are_scanned_in_batches() -> None:
    assert gathered([])[1] == 1
    assert gathered([BreakerSample(f"p/{n}", "p", "m", "open") for n in range(PORTION * 3)])[1] == 4


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(STATES))), st.integers(1, 4))
def test_no_breaker_is_lost_under_any_bound(standing: list[tuple[str, str]], most: int) -> None:
    family, _ = gathered([BreakerSample(name, "p", name, state) for name, state in standing], most)  # type: ignore[arg-type]
    assert len(family.cells) <= (most + 1) * len(STATES)
    found: Counter[str] = Counter()
    for labels, value in values(family).items():
        found[labels[-1]] += int(value)
    assert found == Counter(state for _, state in standing)


def test_components_are_up_or_down() -> None:
    assert values(components_up({"limiter": True, "database": False}, 9)) == {("limiter",): 1}
    assert ("database",) in components_up({"database": False}, 9).cells


def test_connections_beyond_the_bound_are_summed() -> None:
    assert values(open_connections({"a": 1, "b": 2, "c": 3}, 2)) == {("a",): 1, ("other",): 5}


def test_each_user_has_a_balance_of_its_own() -> None:
    family = user_balances({"alice": 12.5, "https://id.example.org|bob": -1e-9})
    assert values(family) == {("alice",): 12.5, ("https://id.example.org|bob",): -1e-9}
    assert (family.name, family.labels) == ("user_balance", ("user",))


def test_each_budget_has_its_amounts() -> None:
    samples = [BudgetSample("own", "usd", 5.0, 4.0, 0.5, 0.6), BudgetSample("run", "usd", None, 2.0, 0.0, 0.5)]
    found = {family.name: values(family) for family in budget_amounts(samples, 10)}
    assert found == {
        "budget_spent": {("own", "usd"): 4.0, ("run", "usd"): 2.0},
        "budget_held": {("own", "usd"): 0.5},
        "budget_cap": {("own", "usd"): 5.0},
        "budget_used_ratio": {("own",): 0.6, ("run",): 0.5},
    }


def test_budgets_beyond_the_bound_are_summed() -> None:
    spent, *_ = budget_amounts([BudgetSample(f"b{number}", "usd", 1.0, 1.0) for number in range(9)], 3)
    assert values(spent) == {("b0", "usd"): 1, ("b1", "usd"): 1, ("other", "other"): 7}


def test_events_of_each_receiver() -> None:
    receivers = [ReceiverSample("broker", 3, 1.5, 40, 2, 0), ReceiverSample("webhook:a:1", 0, 0.0, 5, 9, 4)]
    families = {each.name: each for each in receiver_events(RecorderSample(0, 0.0, 0, receivers, 7, 6), 10)}
    found = {name: [cell.value for cell in each.cells.values()] for name, each in families.items()}
    assert found == {
        "events_waiting": [3, 0],
        "events_oldest_seconds": [1.5, 0.0],
        "events_sent_total": [40, 5],
        "events_failed_total": [2, 9],
        "events_dead": [0, 4],
        "events_forgotten_total": [6],
        "events_dead_letters": [7],
    }
    assert [*families["events_dead"].cells] == [("broker",), ("webhook:a:1",)]


def test_without_receivers_there_are_no_families_of_events() -> None:
    assert list(receiver_events(RecorderSample(0, 0.0, 0), 10)) == []
    unknown = RecorderSample(0, 0.0, 0, [ReceiverSample("broker", 0, 0.0, 0, 0, 0)])
    assert "events_dead_letters" not in {each.name for each in receiver_events(unknown, 10)}
