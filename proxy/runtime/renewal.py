"""Work that many changes ask for, and that is done for all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

LEAST_SECS: Final = 0.1  # from one time to the next
_END: Final = object()


class Renewal:
    """Calls ``work`` after ``ask``: soon if it is long since the last time, else when ``least_secs`` are over.

    ``prepare`` yields between portions of what makes the work short; each has a turn of the loop before the work. Only
    one loop may use it.
    """

    def __init__(
        self,
        work: Callable[[], None],
        least_secs: float = LEAST_SECS,
        prepare: Callable[[], Iterator[None]] = lambda: iter(()),
    ) -> None:
        self._work = work
        self._least = least_secs
        self._prepare = prepare
        self._asked: asyncio.Handle | None = None
        self._done_at = float("-inf")

    def ask(self) -> None:
        if self._asked is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._done_at + self._least - loop.time()
        self._asked = loop.call_soon(self._begin) if wait <= 0 else loop.call_later(wait, self._begin)

    def now(self) -> None:
        """Do it at once, if it was asked for."""
        if self._asked is None:
            return
        self._asked.cancel()
        self._asked = None
        self._work()
        self._done_at = asyncio.get_running_loop().time()

    def _begin(self) -> None:
        self._go_on(self._prepare())

    def _go_on(self, portions: Iterator[None]) -> None:
        try:
            more = next(portions, _END) is not _END
        except Exception:
            self._asked = None  # so that it can be asked for again
            raise
        if more:
            self._asked = asyncio.get_running_loop().call_soon(self._go_on, portions)
        else:
            self.now()
