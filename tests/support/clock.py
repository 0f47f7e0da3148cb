"""Time in a test's own hands, for rests, breakers and statistics; sockets go by the loop's."""

from __future__ import annotations

import asyncio
import math

MIDNIGHT = 1_700_006_400.0  # Unix seconds; the wall's time at the beginning


class FakeClock:
    """Stands still but for ``advance`` and for those who sleep: their time is over at once. ``slept`` tells how long.

    It begins at the loop's time, because a deadline is reckoned from the moment at which the request came.
    """

    def __init__(self) -> None:
        # In steps of 1/1024 s, so that adding whole and half seconds is exact.
        self._began = self._now = math.floor(asyncio.get_running_loop().time() * 1024) / 1024
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return MIDNIGHT + self._now - self._began

    def advance(self, seconds: float) -> None:
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)
