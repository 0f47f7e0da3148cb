"""Sums of the counters by budget, for the metrics."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

from proxy.budgets.base import BALANCE, BudgetCounter
from proxy.budgets.rules import NANO, UNBOUNDED
from proxy.observe.gauges import BudgetSample

PORTION: Final = 1000  # counters: less than a millisecond


def totals_by_budget(counters: Iterable[BudgetCounter], now: float) -> Generator[None, None, list[BudgetSample]]:
    """A sample for each budget with counters. Yields after every ``PORTION``. ``now``: Unix seconds.

    Balances are left out: their metric is ``user_balance``. So are windows that have ended.
    """
    found: dict[str, BudgetSample] = {}
    for number, counter in enumerate(counters, 1):
        budget = counter.budget
        if budget.name != BALANCE and (counter.ends is None or counter.ends > now):
            sample = found.get(budget.name)
            unit = NANO if budget.unit == "usd" else 1
            if sample is None:
                cap = None if budget.cap == UNBOUNDED else budget.cap / unit
                sample = found[budget.name] = BudgetSample(budget.name, budget.unit, cap)
            spent = counter.base + counter.spent
            sample.spent += spent / unit
            sample.held += counter.held / unit
            sample.used = max(sample.used, spent / counter.cap if counter.cap else 1.0)
        if not number % PORTION:
            yield
    return list(found.values())
