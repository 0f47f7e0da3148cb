"""Exchanges that ended, on their way to those who report them: what a request pays for that at its end is an append.

Right behind an answer all code is cold: counting, remembering and logging one exchange there cost five times what the
same takes for the next of a batch.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final

from proxy.exchange import Exchange

GATHER: Final = 0.02  # seconds
MOST: Final = 64  # that wait: reporting them holds the loop for less than a millisecond

Report = Callable[[Sequence[Exchange]], None]  # takes exchanges in the order in which they ended; must not wait


class Settled:
    """``put`` each exchange when it is settled, after which nobody changes it. ``GATHER`` seconds later, when ``MOST``
    wait or at a ``flush``, all that wait are handed to each of ``reports``; without a loop each at once.

    ``flush`` before whatever looks at a report, or changes by what they go: then nobody can tell the difference.
    """

    def __init__(self) -> None:
        self.reports: tuple[Report, ...] = ()
        self._waiting: list[Exchange] = []
        self._most = 1
        self._due = False  # a timer runs
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()

    def __repr__(self) -> str:
        return f"<Settled {len(self._waiting)} exchanges waiting>"

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Gather on this loop, which runs in the calling thread, from now on; ``None``: no more."""
        self._thread = threading.get_ident()
        self._loop, self._most = loop, MOST if loop is not None else 1
        self.flush()

    def put(self, exchange: Exchange) -> None:
        """An observer of the gateway."""
        waiting = self._waiting
        waiting.append(exchange)
        if len(waiting) >= self._most:
            self.flush()
        elif not self._due and self._loop is not None:
            self._due = True
            self._loop.call_later(GATHER, self._turn)

    def flush(self) -> None:
        """Nothing waits any more. In another thread than the loop's, where log lines may come from, it does nothing."""
        if not self._waiting or threading.get_ident() != self._thread:
            return
        ended, self._waiting = self._waiting, []
        for report in self.reports:
            try:
                report(ended)
            except Exception as defect:  # the other reports know nothing of it
                self._tell(defect)

    def _turn(self) -> None:
        self._due = False
        self.flush()

    def _tell(self, defect: Exception) -> None:
        if self._loop is None:
            raise defect
        self._loop.call_exception_handler({"message": "Exchanges could not be reported.", "exception": defect})
