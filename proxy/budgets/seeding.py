"""What is known of budget counters: read from the ledger before their first use, and again while they are in use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from proxy.budgets.base import BALANCE, BudgetCounter, adopt_cap
from proxy.budgets.book import Book, SeedsUnavailable
from proxy.budgets.ledger_sums import LedgerSums, SeedSource, SpentBy, amounts_of
from proxy.budgets.rules import BudgetRules

AT_ONCE: Final = 500  # counters in one read
RETRY_SECS: Final = 1.0  # between two reads while the database does not answer
REFRESH_SECS: Final = 2.0
MOST_OLDER: Final = 1000  # counters whose past waits to be read
MOST_REFRESHED: Final = 1000  # at once; with more counters in use, each has its turn
IDLE_SECS: Final = 60.0  # a counter that was not used for so long is read before its next use
SWEEP_SECS: Final = 60.0
FORMER_SECS: Final = 5.0  # that the first read waits for the rows of processes that have ended
LOOK_SECS: Final = 0.05
_STRIDE: Final = 5000  # counters looked at between two turns of the loop


class LedgerSeeds:
    """A ``book.Seeder``. ``is_behind`` tells whether rows of processes that have ended are still to be written.

    A counter's ``base`` is what all other processes spent, its ``spent`` at least what the ledger has of this one, and
    the cap of a balance what was credited to the account. What other processes hold is not in the ledger.

    What was spent before a counter existed may take a second to read, if it counts a label. So these are read one by
    one, and no other counter waits for them.

    ``wall`` is in Unix seconds.
    """

    def __init__(
        self,
        source: SeedSource,
        book: Book,
        *,
        is_behind: Callable[[], bool] = lambda: False,
        warn: Callable[[str], object],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.sums = LedgerSums(source, book, wall)
        self._source = source
        self._book = book
        self._is_behind = is_behind
        self._warn = warn
        self._wall = wall
        self._former_until = wall() + FORMER_SECS
        self._waits_for_former = True
        self._down = ""  # why the last read failed
        self._queue: dict[BudgetCounter, None] = {}
        self._older: dict[BudgetCounter, None] = {}  # whose past is to be read
        self._waiting: dict[BudgetCounter, asyncio.Future[None]] = {}
        self._turn = 0
        self._sums_before: dict[BudgetCounter, tuple[int, int]] = {}  # spent and held at the last refresh
        self._swept_at = wall()
        self._reading: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._reading_past: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<LedgerSeeds {len(self._queue)} to read{f', down: {self._down}' if self._down else ''}>"

    def adopt(self, rules: BudgetRules) -> None:
        self.sums.adopt(rules)

    # -- the first use ------------------------------------------------------------------------------

    async def seed(self, counters: Sequence[BudgetCounter]) -> None:
        """Read what is known of counters, together with those of other calls.

        Raises SeedsUnavailable, at once as long as the database does not answer.
        """
        waiting = [self._asked(counter) for counter in counters if not counter.seeded]
        if not waiting:
            return
        self._work()
        if self._down:
            raise SeedsUnavailable(self._down)
        await asyncio.wait(waiting)  # it does not cancel them with one of their callers
        for each in waiting:
            each.result()

    async def read(self, counters: Sequence[BudgetCounter]) -> Mapping[str, Mapping[str, int]]:
        """What was spent by counter's key and process, in nano-USD or tokens. Raises SeedsUnavailable."""
        found = await self.sums.found(counters)
        return {counter.key: amounts_of(counter, found.get(counter.key, {})) for counter in counters}

    async def close(self) -> None:
        tasks = [task for task in (self._reading, self._reading_past, self._following) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _asked(self, counter: BudgetCounter) -> asyncio.Future[None]:
        found = self._waiting.get(counter)
        if found is None:
            self._queue[counter] = None
            found = self._waiting[counter] = asyncio.get_running_loop().create_future()
        return found

    def _work(self) -> None:
        loop = asyncio.get_running_loop()
        if self._queue and (self._reading is None or self._reading.done()):
            self._reading = loop.create_task(self._read_queue(), name="budget counters from the ledger")
        if self._following is None or self._following.done():
            self._following = loop.create_task(self._follow(), name="budget counters of the ledger, again")

    async def _read_queue(self) -> None:
        """Read what is asked for. After a failure go on until the database answers, also if nothing waits for it."""
        while self._queue:
            batch = list(self._queue)[:AT_ONCE]
            try:
                older = await self._seed(batch)
            except asyncio.CancelledError:
                self._fail("the gateway stops")
                raise
            except Exception as error:  # whatever it is, calls must not wait for ever
                self._fail(str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_SECS)
                continue
            self._down = ""
            for counter in batch:
                self._queue.pop(counter, None)
                if counter not in older:
                    self._end(counter)
                elif len(self._older) < MOST_OLDER:
                    self._older[counter] = None
                else:
                    self._end(counter, SeedsUnavailable("too many new counters have a past that is to be read"))
            if self._older and (self._reading_past is None or self._reading_past.done()):
                self._reading_past = asyncio.get_running_loop().create_task(
                    self._read_past(), name="budget counters from the ledger, before they existed"
                )

    async def _read_past(self) -> None:
        while self._older:
            counter = next(iter(self._older))
            error: Exception | None = None
            try:
                self._adopt((counter,), await self.sums.begin((counter,)))
            except asyncio.CancelledError:
                self._fail("the gateway stops")
                raise
            except Exception as failure:  # as above
                error = SeedsUnavailable(str(failure) or type(failure).__name__)
            del self._older[counter]
            self._end(counter, error)

    async def _seed(self, counters: Sequence[BudgetCounter]) -> set[BudgetCounter]:
        """Returns those whose past is still to be read."""
        found = await self.sums.counted(counters)
        if self._waits_for_former:
            if await self._waited():
                found = await self.sums.counted(counters)
            self._waits_for_former = False
        older = {counter for counter in counters if self.sums.had_no_counter(counter, found)}
        accounts = _accounts(counters)
        credited = await self._source.credits(accounts, opens=True) if accounts else {}
        for counter in counters:
            if counter.budget.name == BALANCE:
                cap = credited.get(counter.subject, 0)
                if cap != counter.cap:
                    adopt_cap(counter, cap)
        self._adopt([counter for counter in counters if counter not in older], found)
        return older

    def _adopt(self, counters: Iterable[BudgetCounter], found: Mapping[str, SpentBy]) -> None:
        for counter in counters:
            self.sums.apply(counter, found.get(counter.key, {}))
            counter.seeded = True

    def _fail(self, reason: str) -> None:
        self._down = reason
        for counter in list(self._waiting):
            self._end(counter, SeedsUnavailable(reason))

    def _end(self, counter: BudgetCounter, error: Exception | None = None) -> None:
        waiting = self._waiting.pop(counter, None)
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)
            waiting.exception()  # mark it as seen: its callers may be gone

    async def _waited(self) -> bool:
        """Wait for the last rows of processes that have ended here. Returns whether there were any."""
        waited = False
        while self._is_behind():
            if self._wall() >= self._former_until:
                self._warn(
                    "The recorder has not written yet what a former process of this gateway spent."
                    " Budgets and balances will count it as soon as it has."
                )
                return True
            waited = True
            await asyncio.sleep(LOOK_SECS)
        return waited

    # -- while they are in use ----------------------------------------------------------------------

    async def _follow(self) -> None:
        while len(self._book):
            await asyncio.sleep(REFRESH_SECS)
            try:
                await self.refresh()
            except SeedsUnavailable:
                pass  # the database has its own line in the log

    async def refresh(self) -> None:
        """Read again what other processes spent, and what was credited. Raises SeedsUnavailable."""
        now = self._wall()
        if now - self._swept_at >= SWEEP_SECS:
            self._swept_at = now
            self._book.sweep(now)
            self.sums.sweep()
        used = await self._in_use(now)
        if len(used) > MOST_REFRESHED:
            self._turn = self._turn % len(used)
            used = (used[self._turn :] + used[: self._turn])[:MOST_REFRESHED]
            self._turn += MOST_REFRESHED
        if not used:
            return
        caps = [counter.cap for counter in used]
        accounts = _accounts(used)
        found = await self._source.spent([counter.key for counter in used])
        credited = await self._source.credits(accounts, opens=False) if accounts else {}
        for counter, cap in zip(used, caps, strict=True):
            self.sums.apply(counter, found.get(counter.key, {}))
            if counter.budget.name == BALANCE:
                found_cap = credited.get(counter.subject, cap)
                # Another cap by now: it was credited meanwhile, perhaps after the read.
                if found_cap != cap and counter.cap == cap:
                    self._book.credited(counter.subject, found_cap)

    async def _in_use(self, now: float) -> list[BudgetCounter]:
        """The counters that were used lately. The others are read before their next use.

        A use is found by sums that changed, so that a call need not note it. Only a refusal does (``used_at``).
        """
        before, found = self._sums_before, []
        self._sums_before = sums = {}
        for number, counter in enumerate(self._book, 1):
            if not number % _STRIDE:
                await asyncio.sleep(0)
            if not counter.seeded:
                continue
            current = counter.spent, counter.held
            if counter.held or before.get(counter) != current:
                counter.used_at = now
            if now - counter.used_at < IDLE_SECS:
                sums[counter] = current
                found.append(counter)
            else:
                counter.seeded = False
        return found


def _accounts(counters: Iterable[BudgetCounter]) -> list[str]:
    return [counter.subject for counter in counters if counter.budget.name == BALANCE]
