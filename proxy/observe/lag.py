"""Lag of the event loop: how late its timers run. Every request and token waits as long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

EVERY: Final = 0.5  # seconds


class Handle(Protocol):
    def cancel(self) -> None: ...


class Lag:
    """``last``: lag of the latest tick; ``worst``: the highest since ``taken``; in seconds.

    ``call_later`` is the loop's. ``now`` must not be the loop's clock, which has steps of a millisecond and stands
    still during callbacks.
    """

    def __init__(self, call_later: Callable[[float, Callable[[], None]], Handle], now: Callable[[], float]) -> None:
        self._call_later = call_later
        self._now = now
        self._due = 0.0
        self._timer: Handle | None = None
        self.last = 0.0
        self.worst = 0.0

    def __repr__(self) -> str:
        return f"<Lag {self.last:.4f} s, at most {self.worst:.4f} s>"

    def start(self) -> None:
        self._due = self._now() + EVERY
        self._timer = self._call_later(EVERY, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def taken(self) -> float:
        """Return and reset ``worst``. Called once per scrape."""
        worst = max(self.worst, self.last)
        self.worst = 0.0
        return worst

    def _tick(self) -> None:
        self.last = max(self._now() - self._due, 0.0)
        self.worst = max(self.worst, self.last)
        self.start()
