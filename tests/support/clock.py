"""Clocks controlled by the test: for cooldowns, breakers and statistics, and for the timeouts of sockets."""

from __future__ import annotations

import asyncio
import math
from typing import TypeVar

from proxy.net.clocks import TICK
from tests.support.patience import within

T = TypeVar("T")

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


class LoopClock:
    """Stops ``time()`` of the running event loop: only ``advance`` moves it on.

    The timeouts of requests, and pings, are due by this time, however long a busy machine takes. Timers of the loop
    run as ever, so ``asyncio.sleep`` and the tick of ``proxy.net.clocks`` do too.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        loop.time = self.now  # type: ignore[method-assign]  # until the loop is closed, with the test

    def now(self) -> float:
        return self._now

    async def advance(self, seconds: float) -> None:
        """Move on, and return after the timeouts that are due then have expired."""
        self._now += seconds
        # Longer than a tick, whose timer was started before this one and therefore fires before it.
        await asyncio.sleep(2 * TICK)

    async def advance_until(self, ended: asyncio.Future[T], step: float = TICK) -> T:
        """Move on in steps of so many seconds until there is a result."""

        async def go() -> T:
            while not ended.done():
                await self.advance(step)
            return ended.result()

        return await within(go(), "the result")
