"""Event loop lag, with a clock controlled by the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from proxy.observe.lag import EVERY, Lag
from tests.support import until


class Timers:
    """Runs calls when the test advances it, with any lag."""

    def __init__(self) -> None:
        self.moment = 100.0
        self.waiting: list[Timers.Call] = []

    class Call:
        def __init__(self, timers: Timers, call: Callable[[], None]) -> None:
            self._timers = timers
            self.call = call

        def cancel(self) -> None:
            self._timers.waiting.remove(self)

    def now(self) -> float:
        return self.moment

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timers.Call:
        assert seconds == EVERY
        self.waiting.append(self.Call(self, call))
        return self.waiting[-1]

    def strike(self, late: float) -> None:
        """The only timer, ``late`` seconds after it was due."""
        [due] = self.waiting
        self.waiting.clear()
        self.moment += EVERY + late
        due.call()


def started() -> tuple[Lag, Timers]:
    timers = Timers()
    lag = Lag(timers.call_later, timers.now)
    lag.start()
    return lag, timers


def test_last_is_the_lag_of_the_latest_tick() -> None:
    lag, timers = started()
    for late in (0.25, 0.0, 0.125):
        timers.strike(late)
        assert lag.last == late


def test_lag_does_not_accumulate() -> None:
    lag, timers = started()
    for _ in range(5):
        timers.strike(0.25)
    assert lag.last == lag.worst == 0.25


def test_an_early_tick_has_no_lag() -> None:
    lag, timers = started()
    timers.strike(-0.001)
    assert lag.last == 0.0


def test_the_maximum_is_kept_until_it_is_read() -> None:
    lag, timers = started()
    for late in (0.125, 0.5, 0.25):
        timers.strike(late)
    assert lag.taken() == 0.5
    timers.strike(0.125)
    assert lag.taken() == 0.125


def test_two_scrapes_between_ticks_get_the_last_tick() -> None:
    lag, timers = started()
    timers.strike(0.25)
    assert [lag.taken(), lag.taken()] == [0.25, 0.25]


def test_a_stop_cancels_the_timer() -> None:
    lag, timers = started()
    timers.strike(0.0)
    lag.stop()
    lag.stop()
    assert timers.waiting == []


async def test_a_blocked_event_loop_is_measured() -> None:
    loop = asyncio.get_running_loop()
    lag = Lag(loop.call_later, time.perf_counter)
    lag.start()
    time.sleep(EVERY + 0.05)  # noqa: ASYNC251 - the loop is held beyond the moment that is due
    await until(lambda: lag.worst > 0, "the tick")
    assert lag.worst >= 0.05
    lag.stop()
