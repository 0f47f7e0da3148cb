"""Observers of settled exchanges: exact ones, which see each at once, and lossy ones, which see them in batches.

A batch costs a request one append. Code that runs right after an answer runs with cold caches: counting, remembering
and logging one exchange there cost five times as much as for the next one of a batch.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from proxy.exchange import Exchange

Ended = TypeVar("Ended")  # what has ended: a call to a model, or a request to a service
_Seen = TypeVar("_Seen", contravariant=True)

BATCH_SECS: Final = 0.02
MAX_BATCH: Final = 64  # exchanges; reporting them blocks the loop for less than a millisecond


class ExactObserver(Protocol[_Seen]):
    """Sees every settled exchange, however it ended, before the process does anything else: a ledger, for example."""

    def offer(self, exchange: _Seen) -> None:
        """Take what is needed of ``exchange``. Must not wait.

        Its catalog and what it was granted of the limits are still there, and are dropped when this returns. The rest
        no longer changes. An exception is logged; the exchange is not offered again.
        """


LossyObserver = Callable[[Sequence[Ended]], None]
"""Takes exchanges in the order in which they ended; must not wait. A process that is killed loses the last of them."""


class ObserversOf(Generic[Ended]):
    """``offer``, then ``put``, each exchange when it is settled.

    ``put`` hands exchanges to every lossy observer after ``BATCH_SECS``, when ``MAX_BATCH`` wait, or at a ``flush``;
    without a loop at once. ``flush`` before reading what an observer has counted, or changing what it counts by.
    """

    def __init__(self) -> None:
        self.exact: tuple[ExactObserver[Ended], ...] = ()
        self.lossy: tuple[LossyObserver[Ended], ...] = ()
        self._waiting: list[Ended] = []
        self._max_batch = 1
        self._timer_runs = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()

    def __repr__(self) -> str:
        return f"<Observers exact={len(self.exact)} lossy={len(self.lossy)} waiting={len(self._waiting)}>"

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Batch on this loop, which runs in the calling thread; ``None``: hand over each at once from now on."""
        self._thread = threading.get_ident()
        self._loop, self._max_batch = loop, MAX_BATCH if loop is not None else 1
        self.flush()

    def offer(self, exchange: Ended) -> None:
        """Hand ``exchange`` to every exact observer."""
        for observer in self.exact:
            try:
                observer.offer(exchange)
            except Exception as error:  # must not prevent settlement
                self._report(error)

    def put(self, exchange: Ended) -> None:
        """Queue ``exchange`` for the lossy observers. Nobody changes it any more."""
        waiting = self._waiting
        waiting.append(exchange)
        if len(waiting) >= self._max_batch:
            self.flush()
        elif not self._timer_runs and self._loop is not None:
            self._timer_runs = True
            self._loop.call_later(BATCH_SECS, self._on_timer)

    def flush(self) -> None:
        """Hand over all that wait. Does nothing in another thread than the loop's, where log lines may come from."""
        if not self._waiting or threading.get_ident() != self._thread:
            return
        ended, self._waiting = self._waiting, []
        for observer in self.lossy:
            try:
                observer(ended)
            except Exception as error:  # must not affect the other observers
                self._report(error)

    def _on_timer(self) -> None:
        self._timer_runs = False
        self.flush()

    def _report(self, error: Exception) -> None:
        if self._loop is None:
            raise error
        self._loop.call_exception_handler({"message": "Exchanges could not be reported.", "exception": error})


Observers = ObserversOf[Exchange]  # of calls to models, and of all requests that are not for a service
