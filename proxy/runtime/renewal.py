"""Work that many changes ask for, and that is done for all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

LEAST_SECS: Final = 0.1  # from one time to the next


class Renewal:
    """Calls ``work`` after ``ask``: soon if it is long since the last time, else when ``least_secs`` are over.

    Only one loop may use it.
    """

    def __init__(self, work: Callable[[], None], least_secs: float = LEAST_SECS) -> None:
        self._work = work
        self._least = least_secs
        self._asked: asyncio.Handle | None = None
        self._done_at = float("-inf")

    def ask(self) -> None:
        if self._asked is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._done_at + self._least - loop.time()
        self._asked = loop.call_soon(self.now) if wait <= 0 else loop.call_later(wait, self.now)

    def now(self) -> None:
        """Do it at once, if it was asked for."""
        if self._asked is None:
            return
        self._asked.cancel()
        self._asked = None
        self._work()
        self._done_at = asyncio.get_running_loop().time()
