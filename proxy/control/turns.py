"""How many queries of pages run at once: each takes a core, and with SQLite a thread, from all streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from proxy.errors import Overloaded

AT_ONCE: Final = 2
MOST_WAITING: Final = 20
WAIT_SECS: Final = 10.0


class QueryTurns:
    """At most ``AT_ONCE`` run, and the others wait in their order. ``what`` they read is in the messages."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._running = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises Overloaded if too many wait, or it takes too long."""
        if self._waiting >= MOST_WAITING:
            raise self._busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECS):
                await self._running.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._running.release()

    def _busy(self) -> Overloaded:
        return Overloaded(f"Too many queries of {self._what} run now. Try again later.", code=f"{self._what}_busy")
