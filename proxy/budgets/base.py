"""Budgets, and their counters in this process.

A counter is one budget for one subject in one window: what the owner ``alice`` spends on one day. Each process keeps
two sums of its own: what it ``spent``, and what it holds (``held``) for attempts that are not billed yet. ``base`` is
what all other processes spent and hold. Amounts are nano-USD or tokens, as the budget's ``unit`` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from proxy.config.billing_schema import WindowKind

BALANCE: Final = "balance"  # the budget of an account: its cap is what was credited to it

REFUSES_SECS: Final = 300.0  # for which a refusal is shown, unless the call would fit by then

NEVER: Final = 1 << 62  # an amount that no counter reaches

BudgetUnit = Literal["usd", "tokens"]


class SpendBudget(Struct, frozen=True, eq=False):
    """A configured budget. ``level`` is ``per``; ``label``: the name of a label; ``cap``: nano-USD or tokens.

    ``only``: empty: every subject has one. ``thresholds``: percent, rising.
    """

    name: str
    level: str
    unit: BudgetUnit
    cap: int
    window: WindowKind | Literal["run"]
    zone: ZoneInfo
    label: str = ""
    only: frozenset[str] = frozenset()
    soft: bool = False
    thresholds: tuple[int, ...] = ()


class BudgetCounter(Struct, eq=False):
    """``key``: ``budget/window/subject``. ``ends``: Unix seconds, ``None``: it does not end.

    ``seeded``: ``base`` was read; until then it is 0. ``fired``: the highest threshold, in percent, that was told.
    ``next_at``: the spend at which the next one is.
    """

    key: str
    budget: SpendBudget
    subject: str
    ends: float | None
    cap: int
    spent: int = 0
    held: int = 0
    base: int = 0
    seeded: bool = False
    fired: int = 0
    next_at: int = NEVER
    used_at: float = 0.0  # Unix seconds: the last call of a run; else the last use that was noticed
    marked: bool = False  # thresholds reached before this process counted are taken as reported
    quiet_until: float = 0.0  # Unix seconds: a balance is not reported before
    warned_at: int = -1  # percent in ``warning``
    refused_at: float = 0.0  # Unix seconds: the last refusal by this process
    refused: int = 0  # the smallest amount that was refused lately
    warning: bytes = b""  # what answers say of it, see ``headers.py``

    @property
    def used(self) -> int:
        """What all processes spent and hold, as far as this one knows."""
        return self.base + self.spent + self.held

    def __repr__(self) -> str:
        return f"<BudgetCounter {self.key}: {self.spent} spent, {self.held} held, {self.base} elsewhere, of {self.cap}>"


# Plain tuples, as several are made for each request: a named one takes ten times as long.
# An amount that an attempt may spend at most of a counter, nano-USD or tokens.
Want: TypeAlias = tuple[BudgetCounter, int]
Wants: TypeAlias = tuple[Want, ...]
# What is billed to a counter: the first amount is released of what it holds, the second is added to what was spent.
Charge: TypeAlias = tuple[BudgetCounter, int, int]


class Shortfall(Struct, frozen=True):
    """A counter that does not cover what an attempt may cost. ``used``: when it was asked, what is held included."""

    counter: BudgetCounter
    needed: int
    used: int


def next_threshold(counter: BudgetCounter) -> int:
    """The spend at which the counter reaches the next threshold of its budget."""
    for percent in counter.budget.thresholds:
        if percent > counter.fired:
            return -(-counter.cap * percent // 100)
    return NEVER


def mark_reported(counter: BudgetCounter, earlier: int) -> None:
    """Take the thresholds as reported that ``earlier`` has reached: what was spent before this process counted."""
    for percent in counter.budget.thresholds:
        if percent > counter.fired and earlier * 100 >= counter.cap * percent:
            counter.fired = percent
    counter.marked, counter.next_at = True, next_threshold(counter)


def adopt_cap(counter: BudgetCounter, cap: int) -> None:
    """Replace the cap. Thresholds that are not reached any more will be reported again."""
    counter.cap = cap
    spent = counter.base + counter.spent
    counter.fired = max(
        (each for each in counter.budget.thresholds if each <= counter.fired and spent * 100 >= cap * each), default=0
    )
    counter.next_at = next_threshold(counter)


def note_refused(counter: BudgetCounter, needed: int, now: float) -> None:
    """Note that a call was refused, which needed that much. ``now``: Unix seconds."""
    lately = now - counter.refused_at <= REFUSES_SECS
    counter.refused = min(counter.refused, needed) if lately else needed
    counter.refused_at = now


def is_refusing(counter: BudgetCounter, now: float) -> bool:
    """Whether this process refused a call lately, and would still refuse it."""
    lately = now - counter.refused_at <= REFUSES_SECS
    return lately and not counter.budget.soft and counter.used + counter.refused > counter.cap


def shortfall(wants: Wants) -> Shortfall | None:
    """The first counter that cannot cover its want; ``None``: all can."""
    for counter, amount in wants:
        used = counter.base + counter.spent + counter.held
        if used + amount > counter.cap and not counter.budget.soft:
            return Shortfall(counter, amount, used)
    return None


def hold(wants: Wants) -> None:
    """Hold all of them."""
    for counter, amount in wants:
        counter.held += amount


def charge(charges: Iterable[Charge]) -> None:
    """Release what was held, and add what was spent."""
    for counter, held, spent in charges:
        counter.held -= held
        counter.spent += spent
