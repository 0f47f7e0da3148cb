"""Failures of what takes the ledger's rows: pauses, counts and log lines."""

from __future__ import annotations

from proxy.ledger.recorder.health import BROKER, FIRST_PAUSE, GRACE, LONGEST_PAUSE, WriteHealth
from tests.ledger.recorder.machine import ListLog


class Place:
    """A broker whose failures the test reports, on a clock that the test sets."""

    def __init__(self) -> None:
        self.time = 100.0
        self.log = ListLog()
        self.health = WriteHealth(self.log, lambda: self.time, BROKER)


def test_pauses_double_up_to_the_longest() -> None:
    place, pauses = Place(), []
    for _ in range(8):
        place.health.failed("refused")
        pauses.append(round(place.health.pause, 3))
        assert not place.health.can_try
        place.time += place.health.pause
        assert place.health.can_try
    assert pauses == [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(8)]


def test_failures_are_counted_over_all_outages() -> None:
    place = Place()
    for why in ("refused", "reset"):
        place.health.failed(why)
        place.health.failed(why)
        assert (place.health.failing, place.health.error) == (True, why)
        place.health.answered()
        assert (place.health.failing, place.health.pause, place.health.failing_secs) == (False, 0.0, 0.0)
    assert place.health.failures == 4
    assert (place.health.up, place.log.lines) == (True, [])  # both were shorter than the grace


def test_an_outage_is_logged_once_and_its_end() -> None:
    place = Place()
    for _ in range(3):
        place.health.failed("refused")
        place.time += GRACE
    assert not place.health.up
    place.health.answered()
    place.health.answered()
    assert place.health.up
    assert place.log.lines == [f"warning {BROKER.down}", f"info {BROKER.again}"]
