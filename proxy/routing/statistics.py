"""Recent statistics of a deployment: outcomes of attempts, and time to first token.

The window is a ring of ``SLOTS`` slots. When a new slot begins, the oldest is dropped as a whole. Memory and time do
not depend on the number of attempts.
"""

from __future__ import annotations

from typing import Final

SLOTS: Final = 20
# Weight of the newest time to first token in the moving average. The first values weigh more: 1, 1/2, 1/3, ...
NEWEST: Final = 0.2


class Statistics:
    """Statistics over a sliding window of seconds. Times are seconds of a monotonic clock.

    ``latency``: moving average of seconds to the first token, ``None`` if there was none within the window.
    Methods that take ``now`` first drop what is older than the window; ``advance`` does only this. Call one of them
    before reading ``latency``.
    """

    __slots__ = (
        "_at",
        "_ended",
        "_ended_total",
        "_failed",
        "_failed_total",
        "_latest_slot",
        "_slot",
        "_slow",
        "_slow_total",
        "_tokens",
        "_until",
        "_width",
        "latency",
    )

    def __init__(self, window: float) -> None:
        self.latency: float | None = None
        self._tokens = 0  # number of first tokens in the average
        self._latest_slot = 0  # of the latest first token
        self._width = window / SLOTS
        self._slot = 0  # current slot, numbered from the clock's zero
        self._at = 0  # its place in the ring
        self._until = 0.0  # when the next one begins
        # By slot. Counts of the current slot are only in the totals until it ends, so that a successful attempt costs
        # one addition.
        self._ended = [0] * SLOTS
        self._failed = [0] * SLOTS
        self._ended_total = 0
        self._failed_total = 0
        self._slow = [0] * SLOTS  # rare, so it is written to the slot at once
        self._slow_total = 0

    def __repr__(self) -> str:
        return f"<Statistics {self._ended_total} ended, {self._failed_total} of them failed, latency {self.latency}>"

    @property
    def window(self) -> float:
        return self._width * SLOTS

    def record(self, ok: bool, now: float) -> None:
        """Count an attempt that ended: with a complete response, or with a failure before or after the commit."""
        if now >= self._until:
            self.advance(now)
        self._ended_total += 1
        if not ok:
            self._failed_total += 1

    def record_abandoned(self, now: float) -> None:
        """Count a client that left after a long wait for an event. It is not counted as success or failure."""
        self.advance(now)
        self._slow[self._at] += 1
        self._slow_total += 1

    def record_first_token(self, seconds: float, now: float) -> None:
        """Add the time from the start of an attempt to its first content."""
        if now >= self._until:
            self.advance(now)
        self._latest_slot = self._slot
        self._tokens += 1
        latency = self.latency
        if latency is None:
            self.latency = seconds
        else:
            self.latency = latency + (seconds - latency) * max(NEWEST, 1.0 / self._tokens)

    def success_rate(self, now: float) -> float | None:
        """Share of attempts that succeeded, 0 to 1; ``None`` if none ended."""
        if now >= self._until:
            self.advance(now)
        ended = self._ended_total
        return (ended - self._failed_total) / ended if ended else None

    def counts(self, now: float) -> tuple[int, int]:
        """Number of attempts that ended, and of those that failed."""
        if now >= self._until:
            self.advance(now)
        return self._ended_total, self._failed_total

    def slow(self, now: float) -> int:
        """Number of clients that left after a long wait for an event."""
        if now >= self._until:
            self.advance(now)
        return self._slow_total

    def advance(self, now: float) -> None:
        """Drop what is older than the window."""
        self._write_slot()
        slot = self._number(now)
        for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
            self._empty(passed % SLOTS)
        self._slot = max(slot, self._slot)
        self._at = self._slot % SLOTS
        self._until = (self._slot + 1) * self._width
        if self._slot - self._latest_slot >= SLOTS:
            self.latency = None
            self._tokens = 0

    def resize(self, window: float) -> None:
        """Change the window. Counts keep their age, to the precision of the slots."""
        if window == self.window:
            return
        self._write_slot()
        other = Statistics(window)
        other.advance(self._slot * self._width)
        for number in range(self._slot - SLOTS + 1, self._slot + 1):
            place = number % SLOTS
            other._add(other._number(number * self._width), self._ended[place], self._failed[place], self._slow[place])
        latest = other._number(self._latest_slot * self._width)
        if other._slot - latest < SLOTS:
            other.latency, other._tokens, other._latest_slot = self.latency, self._tokens, latest
        for name in Statistics.__slots__:
            setattr(self, name, getattr(other, name))

    def _number(self, moment: float) -> int:
        return int(moment // self._width)

    def _write_slot(self) -> None:
        """Write the counts of the current slot from the totals."""
        self._ended[self._at] += self._ended_total - sum(self._ended)
        self._failed[self._at] += self._failed_total - sum(self._failed)

    def _add(self, slot: int, ended: int, failed: int, slow: int) -> None:
        if self._slot - slot >= SLOTS:
            return
        self._ended[slot % SLOTS] += ended
        self._failed[slot % SLOTS] += failed
        self._slow[slot % SLOTS] += slow
        self._ended_total += ended
        self._failed_total += failed
        self._slow_total += slow

    def _empty(self, at: int) -> None:
        self._ended_total -= self._ended[at]
        self._failed_total -= self._failed[at]
        self._slow_total -= self._slow[at]
        self._ended[at] = self._failed[at] = self._slow[at] = 0
