"""What all parts of the state share: the index that every write increases, those who wait for it, and the clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

FIRST = 10  # a new server has written a few entries of its own


class Ticker:
    """Calls functions when their time comes. ``advance`` makes it come without waiting."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._due: dict[int, tuple[float, Callable[[], None]]] = {}
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self._ahead

    def at(self, seconds: float, call: Callable[[], None]) -> int:
        """The number of the timer, for ``cancel``."""
        number = next(self._numbers)
        self._due[number] = (self.now() + seconds, call)
        self._arm()
        return number

    def cancel(self, number: int | None) -> None:
        if number is not None:
            self._due.pop(number, None)

    def advance(self, seconds: float) -> None:
        """All that is due within ``seconds``, in order."""
        end = self.now() + seconds
        while due := [(when, number) for number, (when, _) in self._due.items() if when <= end]:
            when, number = min(due)
            self._ahead += max(0.0, when - self.now())
            self._due.pop(number)[1]()
        self._ahead += max(0.0, end - self.now())
        self._arm()

    def stop(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            wait = min(when for when, _ in self._due.values()) - self.now()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.advance(0.0)


class Index:
    """``value``: of the last write. ``tables``: of the last write to each table."""

    def __init__(self) -> None:
        self.value = FIRST
        self.tables: dict[str, int] = {}
        self.generation = 0  # grows when a snapshot is restored: queries that wait return at once
        self._waiting: set[asyncio.Future[None]] = set()

    def next(self) -> int:
        """The index of a new write."""
        self.value += 1
        return self.value

    def touch(self, table: str, index: int) -> None:
        self.tables[table] = index
        self.wake()

    def highest(self, *tables: str) -> int:
        return max(self.tables.get(table, 0) for table in tables)

    def wake(self) -> None:
        for each in self._waiting:
            if not each.done():
                each.set_result(None)
        self._waiting.clear()

    async def change(self) -> None:
        """Return after any write."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)
