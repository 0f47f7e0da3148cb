"""The report of a threshold that a budget has reached: for the log, metrics, the dashboard and webhooks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from proxy.budgets.base import BALANCE, BudgetCounter, BudgetUnit
from proxy.events.base import event_id
from proxy.events.cloudevent import rfc3339

NANO: Final = 1_000_000_000


class BudgetThreshold(Struct, frozen=True, rename="camel", kw_only=True):
    """``threshold`` and ``used``: percent of the cap. Where a call was refused, ``used`` may be below 100.

    ``per``: whose spend is counted, ``subject``: whose this is, ``""`` for everyone. ``spent`` and ``cap``: USD, or
    tokens. ``renews``: when the window ends; ``null``: it does not. ``at``: Unix seconds. ``id``: of its event.
    """

    id: str
    at: float
    budget: str
    per: str
    subject: str
    window: str
    threshold: int
    used: int
    unit: BudgetUnit
    spent: float
    cap: float
    soft: bool
    renews: str | None

    @property
    def key(self) -> str:
        """The key of its counter."""
        return f"{self.budget}/{self.window}/{self.subject}"


def report_of(counter: BudgetCounter, percent: int, spent: int, now: float) -> BudgetThreshold:
    """``spent``: nano-USD or tokens. ``now``: Unix seconds."""
    budget = counter.budget
    unit = NANO if budget.unit == "usd" else 1
    window = counter.key.split("/", 2)[1]
    # All are reported again if the cap was changed or an account was topped up, a balance also on another day.
    again = f"{rfc3339(now)[:10]} {counter.cap}" if budget.name == BALANCE else counter.cap
    return BudgetThreshold(
        id=event_id("budget_threshold", counter.key, percent, again),
        at=round(now, 3),
        budget=budget.name,
        per=f"label:{budget.label}" if budget.level == "label" else budget.level,
        subject=counter.subject.encode("utf-8", "replace").decode(),  # a model's name may have half a surrogate pair
        window=window,
        threshold=percent,
        used=used_percent(counter, spent),
        unit=budget.unit,
        spent=spent / unit,
        cap=counter.cap / unit,
        soft=budget.soft,
        renews=renewal(counter.ends),
    )


def used_percent(counter: BudgetCounter, spent: int) -> int:
    """The part of the cap, rounded down; 100 if the cap is 0."""
    return spent * 100 // counter.cap if counter.cap > 0 else 100


def renewal(ends: float | None) -> str | None:
    """The end of a window in UTC (RFC 3339)."""
    return None if ends is None else datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
