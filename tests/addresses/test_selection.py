"""When usable addresses are looked through again: changes, ends of cooldowns, steps of the slow start."""

from __future__ import annotations

import pytest

from proxy.addresses.slow_start import STEPS
from proxy.config.service_schema import ServiceSettings
from tests.addresses.sets import Set, address

SLOW = ServiceSettings(slow_start_secs=20.0)


def grown(known: Set, number: str, now: float, turns: int) -> float:
    """The share that an address of two gets, relative to the other."""
    found = known.counts(turns, now)
    return found[number] / (turns - found[number])


def test_a_new_address_gets_its_share_in_steps() -> None:
    known = Set(1, settings=SLOW)
    known.put([address(0), address(1)], now=100.0)
    for age in range(STEPS):
        assert grown(known, "1", 100.0 + age, (STEPS + age + 1) * 3) == pytest.approx((age + 1) / STEPS)
    assert grown(known, "1", 120.0, 40) == 1.0


def test_addresses_of_the_first_fill_need_no_slow_start() -> None:
    known = Set(1, settings=SLOW)
    known.put([address(0), address(1)], now=9.0)  # of another source
    assert known.turns(4, 9.0) in ("0101", "1010")
    known.put([], now=50.0)
    known.put([address(2), address(3)], now=51.0)
    assert known.turns(4, 51.0) == "2323"


def test_addresses_that_are_found_at_last_need_no_slow_start() -> None:
    known = Set(settings=SLOW)
    known.put([address(0)], now=100.0)
    known.put([address(0), address(1)], now=101.0)
    assert known.counts(4, 101.0) == {"0": 2, "1": 2}


def test_an_address_that_recovered_from_failed_checks_starts_slowly() -> None:
    known = Set(1, 1, settings=SLOW)
    known.book.note_health(known[1], False, 100.0)
    assert known.turns(2, 100.0) == "00"
    known.book.note_health(known[1], True, 200.0)
    assert grown(known, "1", 200.0, STEPS + 1) == 1 / STEPS
    known.book.note_health(known[0], True, 200.0)  # was unknown, and in use
    assert grown(known, "1", 210.0, 31) == 11 / STEPS


def test_an_address_whose_breaker_closed_starts_slowly() -> None:
    known = Set(1, 1, settings=SLOW)
    known.open(1, 100.0)
    breaker = known[1].breaker
    breaker.succeed(breaker.acquire("", 110.0), "", 110.0)
    assert grown(known, "1", 110.0, STEPS + 1) == 1 / STEPS
    assert grown(known, "1", 130.0, 40) == 1.0


def test_slow_start_works_with_every_strategy() -> None:
    for strategy in ("round_robin", "least_connections", "healthiest"):
        known = Set(1, settings=ServiceSettings(strategy=strategy, slow_start_secs=20.0))
        known.put([address(0), address(1)], now=100.0)
        for _ in range(105):
            found = known.choose(100.0)
            assert found is not None
            found.in_flight += 1
        assert known[1].in_flight < 20
        assert known[0].in_flight > 80


def test_an_address_takes_part_again_when_its_cooldown_is_over() -> None:
    known = Set(1, 1)
    known.open(1, 5.0)
    assert known.turns(3, 14.9) == "000"
    assert set(known.turns(2, 15.0)) == {"0", "1"}
    permit = known[1].breaker.acquire("", 15.0)
    assert known.turns(4, 15.0) == "0000"  # the probe runs
    known[1].breaker.release(permit, 16.0)
    assert set(known.turns(2, 16.0)) == {"0", "1"}
