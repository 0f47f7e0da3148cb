"""What a deployment did lately: how its attempts ended, and how soon its first tokens came.

A ring of ``SLOTS`` slots covers the window; the oldest is forgotten as a whole when a new one begins. So what is
known is between ``1 - 1/SLOTS`` of a window and a window old, and nothing depends on how much was counted.
"""

from __future__ import annotations

from typing import Final

SLOTS: Final = 20
# The newest time to the first token weighs this much in the average, more as long as there are few of them:
# the first counts whole, the second half, and so on.
NEWEST: Final = 0.2


class Statistics:
    """Over a sliding window of seconds; moments are seconds of a monotonic clock.

    ``latency`` is the moving average of seconds to the first token, ``None`` if none came within the window. An
    attribute knows no time: whatever takes ``now`` forgets first what is too old, ``turn`` does only that.
    """

    __slots__ = (
        "_at",
        "_ended",
        "_ended_total",
        "_failed",
        "_failed_total",
        "_heard",
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
        self._tokens = 0  # how many first tokens the average is made of
        self._heard = 0  # the slot of the latest of them
        self._width = window / SLOTS
        self._slot = 0  # slots are numbered from the clock's zero
        self._at = 0  # where it is in the ring
        self._until = 0.0  # when the next one begins
        # By slot. What the totals hold beyond these is of the slot that runs, and is noted there when it is over: an
        # attempt that ends well costs one addition.
        self._ended = [0] * SLOTS
        self._failed = [0] * SLOTS
        self._ended_total = 0
        self._failed_total = 0
        self._slow = [0] * SLOTS  # rare, so it is noted at once
        self._slow_total = 0

    def __repr__(self) -> str:
        return f"<Statistics {self._ended_total} ended, {self._failed_total} of them failed, latency {self.latency}>"

    @property
    def window(self) -> float:
        return self._width * SLOTS

    def ended(self, ok: bool, now: float) -> None:
        """An attempt ended: its answer was whole, or it failed, be it before the commit or after."""
        if now >= self._until:
            self.turn(now)
        self._ended_total += 1
        if not ok:
            self._failed_total += 1

    def left_waiting(self, now: float) -> None:
        """A client left after it had waited long for an event. That is no verdict, and no attempt that ``ended``."""
        self.turn(now)
        self._slow[self._at] += 1
        self._slow_total += 1

    def first_token(self, seconds: float, now: float) -> None:
        """The first content of an attempt came ``seconds`` after its beginning."""
        if now >= self._until:
            self.turn(now)
        self._heard = self._slot
        self._tokens += 1
        latency = self.latency
        if latency is None:
            self.latency = seconds
        else:
            self.latency = latency + (seconds - latency) * max(NEWEST, 1.0 / self._tokens)

    def success_rate(self, now: float) -> float | None:
        """The part of the attempts that ended well, 0 to 1; ``None`` if none ended."""
        if now >= self._until:
            self.turn(now)
        ended = self._ended_total
        return (ended - self._failed_total) / ended if ended else None

    def counts(self, now: float) -> tuple[int, int]:
        """(how many ended, how many of them failed)."""
        if now >= self._until:
            self.turn(now)
        return self._ended_total, self._failed_total

    def slow(self, now: float) -> int:
        """How many clients left after they had waited long for an event."""
        if now >= self._until:
            self.turn(now)
        return self._slow_total

    def turn(self, now: float) -> None:
        """Forget what is older than the window."""
        self._note()
        slot = self._number(now)
        for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
            self._empty(passed % SLOTS)
        self._slot = max(slot, self._slot)
        self._at = self._slot % SLOTS
        self._until = (self._slot + 1) * self._width
        if self._slot - self._heard >= SLOTS:
            self.latency = None
            self._tokens = 0

    def resize(self, window: float) -> None:
        """From now on over another window. What was counted keeps its age, as exactly as the slots know it."""
        if window == self.window:
            return
        self._note()
        other = Statistics(window)
        other.turn(self._slot * self._width)
        for number in range(self._slot - SLOTS + 1, self._slot + 1):
            place = number % SLOTS
            other._take(other._number(number * self._width), self._ended[place], self._failed[place], self._slow[place])
        heard = other._number(self._heard * self._width)
        if other._slot - heard < SLOTS:
            other.latency, other._tokens, other._heard = self.latency, self._tokens, heard
        for name in Statistics.__slots__:
            setattr(self, name, getattr(other, name))

    def _number(self, moment: float) -> int:
        return int(moment // self._width)

    def _note(self) -> None:
        """The slot that runs gets what was counted since it was noted last."""
        self._ended[self._at] += self._ended_total - sum(self._ended)
        self._failed[self._at] += self._failed_total - sum(self._failed)

    def _take(self, slot: int, ended: int, failed: int, slow: int) -> None:
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
