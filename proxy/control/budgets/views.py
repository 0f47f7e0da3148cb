"""Budgets in answers.

Exact amounts are whole nano-USD or tokens; beside them, those in USD are in the currency of balances.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from proxy.budgets.base import BALANCE, BudgetCounter, BudgetUnit, SpendBudget
from proxy.budgets.refusal import OWN
from proxy.budgets.rules import UNBOUNDED
from proxy.control.budgets.standing import BudgetStanding, Standing, standing_of, window_now
from proxy.pricing.currency import ExchangeRate


class ExactSums(Struct, rename="camel"):
    """In nano-USD or tokens. ``spent`` and ``held`` (reserved by running calls): by this process. ``base``: by all
    other processes, with a shared store also what they hold. ``left``: ``cap`` less all of it, at least 0."""

    cap: int
    spent: int
    held: int
    base: int
    left: int


class MoneySums(Struct, rename="camel"):
    """The same in the currency of balances."""

    cap: float
    spent: float
    held: float
    base: float
    left: float


class BudgetCounterView(Struct, rename="camel"):
    """``percent``: of the cap, what is spent by all processes. ``amounts``: ``null`` for a budget in tokens.

    ``refusing``: this process refused a call within the last 5 minutes, which would not fit now either."""

    key: str
    subject: str
    percent: float
    refusing: bool
    sums: ExactSums
    amounts: MoneySums | None


class BudgetView(Struct, rename="camel"):
    """``per`` is whose spend is counted, as in the configuration. ``cap``: nano-USD or tokens; ``null``: each client
    caps its own run. ``begins`` and ``renews``: Unix seconds; ``null``: never.

    ``counters``: of the present window, the highest share first; ``truncated``: there are more."""

    name: str
    per: str
    unit: BudgetUnit
    cap: int | None
    cap_amount: float | None
    window: Literal["day", "week", "month", "total", "run"]
    timezone: str
    soft: bool
    thresholds: Sequence[int]
    only: Sequence[str]
    begins: float | None
    renews: float | None
    counters: Sequence[BudgetCounterView]
    truncated: bool


class BudgetsView(Struct, rename="camel"):
    """``missing``: why not all counters are shown; ``""``: all are. ``balances``: accounts have one, which calls need.
    ``usdRate``: units of ``currency`` for one USD."""

    now: float
    currency: str
    usd_rate: float
    balances: bool
    missing: str
    budgets: Sequence[BudgetView]


class OwnBudgetView(Struct):
    """A budget of the caller. ``unit``: the currency of balances, or ``tokens``; ``cap``, ``spent``, ``reserved`` (by
    running calls) and ``left`` are in it. They and ``percent``, of the cap that is spent, are ``null`` where the
    budget is shared with others.

    ``left`` of a balance is negative where the account owes. ``exhausted``: nothing is left. ``refusing``: a call was
    refused within the last 5 minutes, which would not fit now either. A ``soft`` budget refuses nothing. ``begins``
    and ``renews``: ISO 8601; ``null``: never."""

    name: str
    per: str
    unit: str
    window: str
    timezone: str
    soft: bool
    exhausted: bool
    refusing: bool
    begins: str | None
    renews: str | None
    percent: float | None
    cap: float | None
    spent: float | None
    reserved: float | None
    left: float | None


class OwnBudgetList(Struct):
    """``balance`` is the budget of the account, if accounts have balances."""

    data: Sequence[OwnBudgetView]
    object: Literal["list"] = "list"


class BudgetViews:
    """Makes answers. ``units`` of ``currency`` are one USD; ``now``: Unix seconds."""

    def __init__(self, currency: str, units: float, now: float) -> None:
        self._currency = currency
        self._rate = ExchangeRate(units)
        self._now = now

    def all(self, found: Sequence[BudgetStanding], missing: str, *, balances: bool) -> BudgetsView:
        shown = [self._budget(each) for each in found]
        return BudgetsView(round(self._now, 3), self._currency, self._rate.units, balances, missing, shown)

    def own(self, counters: Sequence[BudgetCounter]) -> OwnBudgetList:
        return OwnBudgetList([self._own(each) for each in counters])

    def _budget(self, found: BudgetStanding) -> BudgetView:
        budget, window = found.budget, found.window
        capped = budget.cap != UNBOUNDED
        return BudgetView(
            name=budget.name,
            per=per_of(budget),
            unit=budget.unit,
            cap=budget.cap if capped else None,
            cap_amount=self._rate.amount(budget.cap) if capped and budget.unit == "usd" else None,
            window=budget.window,
            timezone=budget.zone.key,
            soft=budget.soft,
            thresholds=budget.thresholds,
            only=sorted(budget.only),
            begins=window.begins or None,
            renews=window.ends,
            counters=[self._counter(budget, each) for each in found.counters],
            truncated=found.truncated,
        )

    def _counter(self, budget: SpendBudget, each: Standing) -> BudgetCounterView:
        sums = each.cap, each.spent, each.held, each.base, each.left
        amounts = MoneySums(*map(self._rate.amount, sums)) if budget.unit == "usd" else None
        return BudgetCounterView(each.key, each.subject, each.percent, each.refusing, ExactSums(*sums), amounts)

    def _own(self, counter: BudgetCounter) -> OwnBudgetView:
        budget, standing = counter.budget, standing_of(counter, self._now)
        window = window_now(budget, self._now)
        left = standing.cap - standing.used - standing.held if budget.name == BALANCE else standing.left
        usd, shown = budget.unit == "usd", budget.level in OWN

        def amount(value: int) -> float | None:
            if not shown or value >= UNBOUNDED >> 1:
                return None
            return self._rate.amount(value) if usd else value

        return OwnBudgetView(
            name=budget.name,
            per=per_of(budget),
            unit=self._currency if usd else "tokens",
            window=budget.window,
            timezone=budget.zone.key,
            soft=budget.soft,
            exhausted=standing.left == 0,
            refusing=standing.refusing,
            begins=_iso_moment(window.begins) if window.begins else None,
            renews=None if counter.ends is None else _iso_moment(counter.ends),
            percent=standing.percent if shown and budget.name != BALANCE else None,
            cap=amount(standing.cap),
            spent=amount(standing.used),
            reserved=amount(standing.held),
            left=amount(left),
        )


def per_of(budget: SpendBudget) -> str:
    """As in the configuration."""
    return f"label:{budget.label}" if budget.level == "label" else budget.level


def _iso_moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
