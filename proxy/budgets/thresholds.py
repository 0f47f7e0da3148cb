"""Thresholds of budgets: each is reported once in a window, when what was spent has reached it.

Of several that one charge reaches, the highest is reported, and the others count as reported.
What a counter spent before it was known to this process has been reported by another one. Over replicas with Redis one
process reports; without Redis each does, once, and under the same event id.

The cap of a balance moves, so it has no thresholds. It is reported when it does not cover a call: once a day if at
least 90 % of what was credited is spent, and once a day if all is. While more is left, a refused call was too large.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from proxy.budgets.base import BALANCE, BudgetCounter, Shortfall, next_threshold
from proxy.budgets.reports import BudgetThreshold, report_of

NEARLY: Final = 90  # percent
USED_UP: Final = 100
DAY: Final = 86400.0
# Seconds for which a claim is kept where no window ends: of a run until it is forgotten, else for long.
RUN_SECS: Final = 2 * DAY
TOTAL_SECS: Final = 400 * DAY
LOOK_SECS: Final = 0.1  # until a store that is shared has what this process spent

Listener = Callable[[BudgetThreshold], None]


class SpendUnavailable(Exception):
    """What processes know together cannot be read now."""


class SharedSpend(Protocol):
    """What processes know together. Both raise SpendUnavailable."""

    def claim(self, text: str, seconds: float) -> Awaitable[bool]:
        """Whether this process is the first to claim ``text`` within ``seconds``."""

    def spent(self, counter: BudgetCounter) -> Awaitable[int]:
        """What all processes spent, without what they hold."""


class Thresholds:
    """``crossed`` and ``refused`` are the book's. ``wall``: Unix seconds.

    ``shared``: ``None``: this process alone counts, or each for itself.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        shared: SharedSpend | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.listeners: list[Listener] = []
        self._wall = wall
        self._shared = shared
        self._sleep = sleep
        self._looking: dict[str, bool] = {}  # by key of a counter: whether it refused
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Thresholds {len(self._tasks)} to be claimed>"

    def crossed(self, counter: BudgetCounter) -> None:
        """Report the highest threshold that a counter's spend has reached, unless it was reported."""
        self._look(counter, refused=False)

    def refused(self, short: Shortfall) -> None:
        """Report a budget that is used up, if it is.

        Calls hold the most that they can cost, so a budget refuses before all is spent. From 90 % on, that is its end.
        """
        counter = short.counter
        if counter.budget.name == BALANCE:
            self._balance(counter)
        elif (
            counter.fired < USED_UP
            and counter.cap > 0  # only a client caps its run at 0: it may name any number of runs
            and USED_UP in counter.budget.thresholds
            and _is_nearly_used(counter, counter.base + counter.spent)
        ):
            self._look(counter, refused=True)

    async def close(self) -> None:
        """Wait for the claims that were made, and for those that are made meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # -- internals ----------------------------------------------------------------------------------

    def _look(self, counter: BudgetCounter, *, refused: bool) -> None:
        if self._shared is None:
            spent = counter.base + counter.spent
            percent = _reach(counter, spent, refused)
            if percent:
                self._report(report_of(counter, percent, spent, self._wall()))
        elif counter.key in self._looking:
            self._looking[counter.key] |= refused
        else:
            self._looking[counter.key] = refused
            self._run(self._look_everywhere(self._shared, counter))

    async def _look_everywhere(self, shared: SharedSpend, counter: BudgetCounter) -> None:
        """``base`` also has what others hold, so what they spent is read."""
        await self._sleep(LOOK_SECS)
        refused = self._looking.pop(counter.key)
        try:
            spent = await shared.spent(counter)
        except SpendUnavailable:  # what is known here has to do
            spent = counter.base + counter.spent
        percent = _reach(counter, spent, refused)
        if percent:
            report = report_of(counter, percent, spent, self._wall())
            await self._claimed(shared, report, _lifetime(counter, self._wall()))

    def _balance(self, counter: BudgetCounter) -> None:
        now, spent = self._wall(), counter.base + counter.spent
        if not _is_nearly_used(counter, spent):
            return
        percent = USED_UP if spent >= counter.cap else NEARLY
        if now < counter.quiet_until and percent <= counter.fired:
            return
        counter.fired, counter.quiet_until = percent, (now // DAY + 1) * DAY
        report = report_of(counter, percent, spent, now)
        if self._shared is None:
            self._report(report)
        else:
            self._run(self._claimed(self._shared, report, DAY))

    async def _claimed(self, shared: SharedSpend, report: BudgetThreshold, seconds: float) -> None:
        try:
            first = await shared.claim(report.id, seconds)
        except SpendUnavailable:  # twice is better than not at all
            first = True
        if first:
            self._report(report)

    def _report(self, report: BudgetThreshold) -> None:
        for listener in self.listeners:
            listener(report)

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reach(counter: BudgetCounter, spent: int, refused: bool) -> int:
    """The highest threshold that ``spent`` has reached, if it was not reported; it is now. 0: there is none."""
    found = 0
    for percent in counter.budget.thresholds:
        used_up = refused and percent == USED_UP and _is_nearly_used(counter, spent)
        if percent > counter.fired and (spent * 100 >= counter.cap * percent or used_up):
            found = percent
    if found:
        counter.fired = found
        counter.next_at = next_threshold(counter)
    return found


def _is_nearly_used(counter: BudgetCounter, spent: int) -> bool:
    return spent * 100 >= counter.cap * NEARLY


def _lifetime(counter: BudgetCounter, now: float) -> float:
    if counter.ends is not None:
        return max(counter.ends - now, 0.0) + DAY
    return RUN_SECS if counter.budget.level == "run" else TOTAL_SECS
