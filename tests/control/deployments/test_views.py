"""Moments of the gateway's clock, told in the wall's time."""

from __future__ import annotations

import pytest

from proxy.control.deployments.views import DRIFT, Clock


class Clocks:
    """Two clocks: one that only goes, and one that people set."""

    def __init__(self) -> None:
        self.now, self.wall = 100.0, 1_700_000_000.0

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def clock(clocks: Clocks) -> Clock:
    return Clock(lambda: clocks.now, lambda: clocks.wall)


def test_a_moment_is_told_in_unix_seconds(clock: Clock) -> None:
    assert clock.told(90.0) == 1_699_999_990.0
    assert clock.second(90) == 1_699_999_990


def test_it_is_the_same_however_late_and_a_little_unevenly_it_is_told(clocks: Clocks, clock: Clock) -> None:
    clocks.pass_(3600.0)
    clocks.wall += DRIFT / 2
    assert clock.told(90.0) == 1_699_999_990.0


def test_when_the_wall_clock_is_set_it_follows(clocks: Clocks, clock: Clock) -> None:
    clocks.wall += 3600.0
    assert clock.told(90.0) == 1_699_999_990.0 + 3600.0


def test_only_what_lies_ahead_is_told_as_such(clock: Clock) -> None:
    assert (clock.ahead(None), clock.ahead(0.0), clock.ahead(100.0)) == (None, None, None)
    assert clock.ahead(160.0) == 1_700_000_060.0
