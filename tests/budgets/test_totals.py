from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import pytest

from proxy.budgets.base import BALANCE, BudgetCounter, SpendBudget
from proxy.budgets.rules import UNBOUNDED
from proxy.budgets.totals import PORTION, totals_by_budget
from proxy.observe.gauges import BudgetSample
from tests.budgets.rig import NOON

NANO = 1_000_000_000
OWN = SpendBudget("own", "owner", "usd", 5 * NANO, "day", ZoneInfo("UTC"))
TOKENS = SpendBudget("tokens", "team", "tokens", 1000, "total", ZoneInfo("UTC"))
RUN = SpendBudget("run", "run", "usd", UNBOUNDED, "run", ZoneInfo("UTC"))


def counter_of(
    budget: SpendBudget, spent: int, held: int = 0, base: int = 0, ends: float | None = None, cap: int = 0
) -> BudgetCounter:
    return BudgetCounter(
        f"{budget.name}/x/{spent}", budget, "x", ends, cap or budget.cap, spent=spent, held=held, base=base
    )


def totals(counters: Iterable[BudgetCounter]) -> tuple[list[BudgetSample], int]:
    """The samples, and the number of portions."""
    steps, work = 1, totals_by_budget(counters, NOON)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return sorted(end.value, key=lambda sample: sample.name), steps
        steps += 1


def test_counters_of_a_budget_are_summed_and_the_highest_part_is_shown() -> None:
    found, _ = totals(
        [
            counter_of(OWN, 2 * NANO, NANO // 2, NANO, NOON + 1),
            counter_of(OWN, NANO, ends=NOON + 1),
            counter_of(TOKENS, 1200),
        ]
    )
    own, tokens = found
    assert (own.name, own.unit, own.cap, own.spent, own.held) == ("own", "usd", 5.0, 4.0, 0.5)
    assert own.used == pytest.approx(0.6)
    assert (tokens.unit, tokens.cap, tokens.spent, tokens.used) == ("tokens", 1000.0, 1200.0, 1.2)


def test_windows_that_have_ended_and_balances_are_left_out() -> None:
    balance = SpendBudget(BALANCE, "owner", "usd", UNBOUNDED, "total", ZoneInfo("UTC"))
    assert totals([counter_of(OWN, NANO, ends=NOON), counter_of(balance, NANO)])[0] == []


def test_runs_that_only_their_clients_cap_have_no_common_cap() -> None:
    ((run,), _) = totals([counter_of(RUN, NANO, cap=2 * NANO), counter_of(RUN, NANO, cap=4 * NANO)])
    assert (run.cap, run.spent, run.used) == (None, 2.0, 0.5)


def test_counters_are_summed_in_portions() -> None:
    counters = [counter_of(OWN, NANO) for _ in range(2 * PORTION + 1)]
    ((own,), steps) = totals(counters)
    assert (own.spent, steps) == (2 * PORTION + 1, 3)
