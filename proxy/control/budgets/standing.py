"""What the counters of budgets stand at: those of this process, and those that only the database knows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from heapq import heappush, heappushpop, nlargest
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from proxy.budgets.base import BudgetCounter, SpendBudget, is_refusing
from proxy.budgets.book import Book
from proxy.budgets.rules import CAPPED_RUN
from proxy.budgets.window import Window, window_of
from proxy.control.live import LiveConfig
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.database.spend import CounterSpend

STRIDE: Final = 2000  # counters that are looked at before other tasks run: about a millisecond
DOWN: Final = "The database does not answer, so counters that this process has not used since its start are not shown."


class Standing(Struct, frozen=True):
    """A counter in nano-USD or tokens. ``spent`` and ``held``: by this process. ``base``: by all others.

    ``refusing``: this process refused a call in the last minutes, which would not fit now either.
    """

    key: str
    subject: str
    cap: int
    spent: int
    held: int
    base: int
    refusing: bool = False

    @property
    def used(self) -> int:
        return self.spent + self.base

    @property
    def left(self) -> int:
        """What the next call may cost at most."""
        return max(self.cap - self.used - self.held, 0)

    @property
    def share(self) -> float:
        """The part of the cap that is spent or held."""
        return (self.used + self.held) / self.cap if self.cap > 0 else 1.0

    @property
    def percent(self) -> float:
        """What is spent, in percent of the cap."""
        return round(100 * self.used / self.cap, 1) if self.cap > 0 else 100.0


class BudgetStanding(Struct, frozen=True):
    """``counters``: those of ``window`` with the highest shares first. ``truncated``: there are more."""

    budget: SpendBudget
    window: Window
    counters: list[Standing]
    truncated: bool


class StandingFilter(Struct, frozen=True):
    """``budget``: a name. ``text``: part of a subject, where the case of ASCII letters is ignored. ``""``: all."""

    budget: str = ""
    text: str = ""
    limit: int = 100


def standing_of(counter: BudgetCounter, now: float) -> Standing:
    """As this process knows it. ``now``: Unix seconds."""
    refusing = is_refusing(counter, now)
    return Standing(counter.key, counter.subject, counter.cap, counter.spent, counter.held, counter.base, refusing)


def window_now(budget: SpendBudget, now: float) -> Window:
    """``now``: Unix seconds. Of runs: that of all of them."""
    return Window("run", 0.0, None) if budget.window == "run" else window_of(budget.window, budget.zone, now)


class BudgetSurvey:
    """``database`` is the one that pages read."""

    def __init__(self, book: Book, database: LazyEngine, live: LiveConfig) -> None:
        self._book = book
        self._database = database
        self._live = live

    async def survey(self, wanted: StandingFilter) -> tuple[list[BudgetStanding], str]:
        """All budgets in the order of their names, and why counters may be missing (``""``: none is)."""
        now = self._book.wall()
        budgets = {CAPPED_RUN.name: CAPPED_RUN, **self._book.rules.by_name}
        shown = [each for name, each in sorted(budgets.items()) if wanted.budget in ("", name)]
        windows = {each.name: window_now(each, now) for each in shown}
        prefixes = {name: f"{name}/{window.label}/" for name, window in windows.items()}
        found = await self._of_book(prefixes, wanted)
        missing = await self._add_from_database(shown, prefixes, found, wanted)
        standings = [_highest(each, windows[each.name], found[each.name].values(), wanted.limit) for each in shown]
        return [each for each in standings if each.budget is not CAPPED_RUN or each.counters], missing

    async def _of_book(self, prefixes: Mapping[str, str], wanted: StandingFilter) -> dict[str, dict[str, Standing]]:
        """By budget and key: of each budget one counter more than are shown. Other tasks run in between."""
        text, most = _folded(wanted.text), wanted.limit + 1
        heaps: dict[str, list[tuple[float, str, BudgetCounter]]] = {name: [] for name in prefixes}
        for number, counter in enumerate(self._book, 1):
            if not number % STRIDE:
                await asyncio.sleep(0)
            prefix = prefixes.get(counter.budget.name)
            if prefix is None or not counter.key.startswith(prefix) or (text and text not in _folded(counter.subject)):
                continue
            heap, entry = heaps[counter.budget.name], (counter.used / max(counter.cap, 1), counter.key, counter)
            if len(heap) < most:
                heappush(heap, entry)
            else:
                heappushpop(heap, entry)
        now = self._book.wall()
        return {name: {key: standing_of(counter, now) for _, key, counter in heap} for name, heap in heaps.items()}

    async def _add_from_database(
        self,
        budgets: Iterable[SpendBudget],
        prefixes: Mapping[str, str],
        found: Mapping[str, dict[str, Standing]],
        wanted: StandingFilter,
    ) -> str:
        """Returns why that is not possible."""
        config = self._live.config
        if not config.has_ledger:
            return ""
        try:
            engine = self._database.get()
        except ConfigError as error:
            return " ".join(error.mistakes)
        from proxy.database.spend import SpendTable, WindowQuery

        asked = [each for each in budgets if each is not CAPPED_RUN]  # their caps are in the book alone
        queries = [
            WindowQuery(
                prefixes[each.name],
                "nano" if each.unit == "usd" else "tokens",
                _folded(wanted.text),
                wanted.limit + 1,
            )
            for each in asked
        ]
        try:
            answers = await SpendTable(engine).highest(queries, self._book.process)
        except Unreachable:
            return DOWN
        for budget, query, spends in zip(asked, queries, answers, strict=True):
            own = found[budget.name]
            for each in spends:
                own[each.key] = self._joined(budget, each, each.key.removeprefix(query.prefix))
        return ""

    def _joined(self, budget: SpendBudget, spend: CounterSpend, subject: str) -> Standing:
        """A counter that this process uses is known better here. One that it has not used lately is read again."""
        others = spend.spent - spend.own
        counter = self._book.find(spend.key)
        if counter is None:
            return Standing(spend.key, subject, budget.cap, spend.own, 0, others)
        known = standing_of(counter, self._book.wall())
        if counter.seeded:
            return known
        return replace(known, subject=subject, spent=max(known.spent, spend.own), base=max(known.base, others))


def _highest(budget: SpendBudget, window: Window, counters: Iterable[Standing], limit: int) -> BudgetStanding:
    first = nlargest(limit + 1, counters, key=lambda each: (each.share, each.key))
    return BudgetStanding(budget, window, first[:limit], len(first) > limit)


def _folded(text: str) -> str:
    """As the database compares: only ASCII letters have no case."""
    return text.encode(errors="surrogatepass").lower().decode(errors="surrogatepass")
