"""Times of a monotonic clock as Unix time."""

from __future__ import annotations

import pytest

from proxy.control.clock import MAX_DRIFT, WallClock


class Clocks:
    """A monotonic clock, and a system clock that can be set."""

    def __init__(self) -> None:
        self.now, self.wall = 100.0, 1_700_000_000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def clock(clocks: Clocks) -> WallClock:
    return WallClock(lambda: clocks.now, lambda: clocks.wall)


def test_a_time_converts_to_unix_seconds(clock: WallClock) -> None:
    assert clock.unix(90.0) == 1_699_999_990.0
    assert clock.unix_second(90) == 1_699_999_990


def test_a_small_drift_does_not_change_the_result(clocks: Clocks, clock: WallClock) -> None:
    clocks.advance(3600.0)
    clocks.wall += MAX_DRIFT / 2
    assert clock.unix(90.0) == 1_699_999_990.0


def test_it_follows_when_the_system_clock_is_set(clocks: Clocks, clock: WallClock) -> None:
    clocks.wall += 3600.0
    assert clock.unix(90.0) == 1_699_999_990.0 + 3600.0


def test_only_future_times_are_returned_as_such(clock: WallClock) -> None:
    assert (clock.unix_future(None), clock.unix_future(0.0), clock.unix_future(100.0)) == (None, None, None)
    assert clock.unix_future(160.0) == 1_700_000_060.0
