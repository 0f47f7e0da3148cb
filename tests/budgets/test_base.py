"""What a counter covers, holds and is charged."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.base import (
    REFUSES_SECS,
    BudgetCounter,
    SpendBudget,
    adopt_cap,
    charge,
    hold,
    is_refusing,
    note_refused,
    shortfall,
)


def counter(cap: int, *, soft: bool = False, base: int = 0, name: str = "daily") -> BudgetCounter:
    budget = SpendBudget(name, "owner", "usd", cap, "day", ZoneInfo("UTC"), soft=soft)
    return BudgetCounter(f"{name}/2026-11-29/alice", budget, "alice", None, cap, base=base)


def test_the_first_counter_that_is_too_small_refuses() -> None:
    wide, full, small = counter(100), counter(10, base=10), counter(1)
    found = shortfall(((wide, 5), (full, 1), (small, 5)))
    assert found is not None
    assert (found.counter, found.needed, found.used) == (full, 1, 10)
    assert shortfall(((wide, 100),)) is None


def test_a_soft_budget_refuses_nothing() -> None:
    assert shortfall(((counter(1, soft=True), 100),)) is None


def test_a_counter_refuses_as_long_as_the_smallest_refused_call_would_not_fit() -> None:
    one = counter(100, base=81)
    assert not is_refusing(one, 1000.0)
    note_refused(one, 30, 1000.0)
    note_refused(one, 20, 1001.0)
    note_refused(one, 90, 1002.0)
    assert is_refusing(one, 1002.0 + REFUSES_SECS)
    assert not is_refusing(one, 1003.0 + REFUSES_SECS)  # nobody calls any more
    adopt_cap(one, 101)
    assert not is_refusing(one, 1002.0)  # 20 fit now
    note_refused(one, 90, 1003.0 + REFUSES_SECS)
    assert is_refusing(one, 1003.0 + REFUSES_SECS)  # 20 was long ago
    one.budget = counter(100, soft=True).budget
    assert not is_refusing(one, 1003.0 + REFUSES_SECS)


def test_what_others_spend_counts() -> None:
    shared = counter(10, base=6)
    assert shortfall(((shared, 4),)) is None
    assert shortfall(((shared, 5),)) is not None


@given(st.integers(0, 1000), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=30))
def test_no_cap_is_passed_and_money_is_conserved(cap: int, calls: list[tuple[int, int]]) -> None:
    """Calls that cost at most what they hold, each settled later than the next begins."""
    one, running, paid = counter(cap), [], 0
    for most, cost in calls:
        wants = ((one, most),)
        if shortfall(wants) is None:
            hold(wants)
            running.append((one, most, min(cost, most)))
        assert one.used <= cap
        if len(running) > 2:
            billed = running.pop(0)
            charge([billed])
            paid += billed[2]
    charge(running)
    assert (one.held, one.spent) == (0, paid + sum(spent for _, _, spent in running))
    assert one.spent <= cap
