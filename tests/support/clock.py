"""A clock controlled by the test, for cooldowns, breakers and statistics. Sockets use the event loop's clock."""

from __future__ import annotations

import asyncio
import math

MIDNIGHT = 1_700_006_400.0  # Unix seconds; the initial wall clock time


class FakeClock:
    """A clock that only ``advance`` and ``sleep`` move; ``sleep`` returns at once and adds to ``slept``.

    It starts at the event loop's time, because deadlines count from the arrival of a request.
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
