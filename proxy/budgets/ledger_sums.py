"""What the ledger says of budget counters: of their own rows, and of the time before there was such a counter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from proxy.budgets.base import BALANCE, BudgetCounter, SpendBudget
from proxy.budgets.book import Book
from proxy.budgets.ledger_spend import Earlier
from proxy.budgets.rules import BudgetRules
from proxy.budgets.window import window_of

if TYPE_CHECKING:
    from proxy.database.spend import Spent

UNUSED_SECS: Final = 1.0  # from one refresh to the next

SpentBy = Mapping[str, "Spent"]  # by process
_Identity = tuple[object, ...]


class SeedSource(Protocol):
    """``ledger_spend.LedgerSpend``. Every method raises SeedsUnavailable."""

    async def spent(self, keys: Sequence[str]) -> Mapping[str, SpentBy]: ...

    async def begin(self, asked: Sequence[Earlier], now: float) -> Mapping[str, SpentBy]: ...

    async def credits(self, accounts: Sequence[str], *, opens: bool) -> Mapping[str, int]: ...


class LedgerSums:
    """``share`` is called with what other processes spent of a counter, by process, if a shared store counts.

    ``wall`` is in Unix seconds.
    """

    def __init__(self, source: SeedSource, book: Book, wall: Callable[[], float]) -> None:
        self.share: Callable[[BudgetCounter, Mapping[str, int]], None] | None = None
        self._source = source
        self._book = book
        self._wall = wall
        self._since = _noted(book.rules, {}, wall())  # when each budget was new to this process
        self._shared: dict[BudgetCounter, Mapping[str, int]] = {}  # what ``share`` was last called with

    def adopt(self, rules: BudgetRules) -> None:
        self._since = _noted(rules, self._since, self._wall())

    async def found(self, counters: Sequence[BudgetCounter]) -> Mapping[str, SpentBy]:
        """What was spent of counters, before they existed included. Raises SeedsUnavailable."""
        found = await self.counted(counters)
        older = [counter for counter in counters if self.had_no_counter(counter, found)]
        return {**found, **await self.begin(older)} if older else found

    async def counted(self, counters: Sequence[BudgetCounter]) -> Mapping[str, SpentBy]:
        """What was spent of counters since they exist. Raises SeedsUnavailable."""
        return await self._source.spent([counter.key for counter in counters])

    async def begin(self, counters: Sequence[BudgetCounter]) -> Mapping[str, SpentBy]:
        """What was spent before these counters existed, too. It may take long. Raises SeedsUnavailable."""
        return await self._source.begin([_earlier(counter) for counter in counters], self._wall())

    def apply(self, counter: BudgetCounter, spent: SpentBy) -> None:
        """Set what all other processes spent, and at least what the ledger has of this one."""
        amounts = amounts_of(counter, spent)
        own = self._book.process
        # Rows are written a moment after their call. Only a counter that was forgotten has spent less.
        counter.spent = max(counter.spent, amounts.get(own, 0))
        others = {process: amount for process, amount in amounts.items() if process != own}
        base = sum(others.values())
        if self.share is None:
            counter.base = base
            return
        # The store has told what others spent last, and hold. That is old for a counter that is not used here.
        unused = not counter.held and self._wall() - counter.used_at > UNUSED_SECS
        counter.base = base if unused else max(counter.base, base)
        if others and self._shared.get(counter) != others:
            self._shared[counter] = others
            self.share(counter, others)

    def sweep(self) -> None:
        """Forget what was shared of counters that the book has forgotten."""
        find = self._book.find
        self._shared = {counter: told for counter, told in self._shared.items() if find(counter.key) is counter}

    def had_no_counter(self, counter: BudgetCounter, found: Mapping[str, SpentBy]) -> bool:
        """Whether calls within the window may have been made that did not count."""
        if found.get(counter.key) or counter.seeded or counter.budget.window == "run" or counter.budget.name == BALANCE:
            return False
        since = self._since.get(_identity(counter.budget))
        return since is not None and _begins(counter) < since


def amounts_of(counter: BudgetCounter, spent: SpentBy) -> dict[str, int]:
    """By process, in nano-USD or tokens."""
    usd = counter.budget.unit == "usd"
    return {process: each.nano if usd else each.tokens for process, each in spent.items()}


def _noted(rules: BudgetRules, before: Mapping[_Identity, float], now: float) -> dict[_Identity, float]:
    """Since when there are these budgets. What was spent before in their window is in no counter."""
    return {found: before.get(found, now) for found in map(_identity, rules.by_name.values())}


def _identity(budget: SpendBudget) -> _Identity:
    """What decides whose spend a budget counts, and when."""
    return budget.name, budget.level, budget.label, budget.window, budget.zone.key


def _earlier(counter: BudgetCounter) -> Earlier:
    budget = counter.budget
    per = f"label:{budget.label}" if budget.level == "label" else budget.level
    return Earlier(counter.key, per, counter.subject, _begins(counter))


def _begins(counter: BudgetCounter) -> float:
    """When the window of a counter began, in Unix seconds."""
    window, ends = counter.budget.window, counter.ends
    if ends is None or window == "run":
        return 0.0
    return window_of(window, counter.budget.zone, ends - 1).begins
