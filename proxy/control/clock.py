"""Convert times of a monotonic clock to Unix time, and durations to milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, overload

MAX_DRIFT: Final = 0.05  # seconds between two readings of the offset


class WallClock:
    """Converts times of ``now`` to Unix seconds of ``wall``.

    A time converts to the same value each time, unless the system clock was set meanwhile.
    """

    def __init__(self, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self.now = now
        self.wall = wall
        self._offset = wall() - now()

    def unix(self, time: float) -> float:
        """Unix seconds, to the millisecond."""
        return round(self._current_offset() + time, 3)

    def unix_second(self, second: int) -> int:
        """The same for a whole second."""
        return second + round(self._current_offset())

    def unix_future(self, time: float | None) -> float | None:
        """The same for a time in the future, else ``None``."""
        return self.unix(time) if time is not None and time > self.now() else None

    def _current_offset(self) -> float:
        offset = self.wall() - self.now()
        if abs(offset - self._offset) > MAX_DRIFT:
            self._offset = offset
        return self._offset


@overload
def milliseconds(seconds: float) -> float: ...
@overload
def milliseconds(seconds: float | None) -> float | None: ...
def milliseconds(seconds: float | None) -> float | None:
    """Rounded to microseconds; ``None`` stays."""
    return None if seconds is None else round(seconds * 1000, 3)
