"""Tiers, panic and probes: which addresses may be chosen at all."""

from __future__ import annotations

from proxy.addresses.group import EARLY_SECS, AddressGroup
from proxy.config.service_schema import ServiceBreaker, ServiceSettings
from tests.addresses.sets import Set, address

COOLDOWN = ServiceBreaker().cooldown_period_secs


def test_an_empty_group_has_no_address() -> None:
    assert AddressGroup(()).choose(0.0) is None


def test_the_lowest_priority_is_used_while_it_is_usable() -> None:
    known = Set()
    known.put([address(0, priority=1), address(1, priority=0), address(2, priority=0)])
    assert known.counts(10) == {"1": 5, "2": 5}
    known.open(1)
    assert known.turns(3) == "222"
    known.open(2)
    assert known.turns(3) == "000"
    assert set(known.turns(3, COOLDOWN)) == {"1", "2"}  # to be probed


def test_the_own_region_goes_before_others_of_the_same_priority() -> None:
    known = Set(region="eu")
    known.put([address(0, region="us"), address(1, region="eu"), address(2), address(3, region="eu", priority=1)])
    assert known.turns(3) == "111"
    known.book.note_health(known[1], False, 1.0)
    assert known.counts(4, 1.0) == {"0": 2, "2": 2}
    anywhere = Set()
    anywhere.put([address(0, region="us"), address(1, region="eu"), address(2)])
    assert known.choose(1.0) is not None
    assert anywhere.counts(3) == {"0": 1, "1": 1, "2": 1}


def test_drained_addresses_and_those_without_weight_are_never_chosen() -> None:
    known = Set()
    known.put([address(0), address(1, 0), address(2)], drained=("http://2",))
    assert known.turns(4) == "0000"
    known.book.note_health(known[0], False, 0.0)
    assert known.turns(4) == "0000"  # in a panic, too
    known.open(0)
    assert known.choose(0.0) is None
    known.put([address(0)], drained=("http://0",))
    assert known.choose(COOLDOWN) is None


def test_tried_addresses_are_left_out_and_lower_tiers_are_used_for_a_retry() -> None:
    known = Set()
    known.put([address(0), address(1), address(2, priority=1)])
    first, second, third = known[0], known[1], known[2]
    assert known.choose(tried=(first,)) is second
    assert known.choose(tried=(first, second)) is third
    assert known.choose(tried=(first, second, third)) is None


def test_without_a_healthy_address_the_unhealthy_ones_are_used() -> None:
    known = Set(1, 1, 1)
    for number in range(3):
        known.book.note_health(known[number], False, 0.0)
    assert known.counts(6) == {"0": 2, "1": 2, "2": 2}
    known.open(1)
    assert known.counts(6) == {"0": 3, "2": 3}
    known.book.note_health(known[1], True, 1.0)  # closes its breaker, as it answers now
    assert known.turns(3, 1.0) == "111"


def test_a_retry_is_no_panic() -> None:
    known = Set(1, 1)
    known.book.note_health(known[1], False, 0.0)
    assert known.choose(tried=(known[0],)) is None


def test_an_address_is_probed_by_one_request_at_a_time() -> None:
    known = Set(1)
    known.open(0)
    assert known.choose(0.5) is None
    assert known.choose(COOLDOWN) is known[0]
    permit = known[0].breaker.acquire("", COOLDOWN)
    assert permit.probe
    assert known.choose(COOLDOWN) is None
    known[0].breaker.succeed(permit, "", COOLDOWN)
    assert known.turns(2, COOLDOWN) == "00"


def test_if_all_breakers_are_open_each_is_probed_early() -> None:
    known = Set(1, 1)
    known.open(0, 0.0)
    known.open(1, 0.25)
    assert known.choose(0.5) is None
    assert known.choose(EARLY_SECS) is known[0]
    permit = known[0].breaker.acquire("", EARLY_SECS)
    assert permit.probe
    known[0].breaker.fail(permit, EARLY_SECS, "connect")
    assert known.choose(EARLY_SECS) is None
    assert known.choose(EARLY_SECS + 0.25) is known[1]
    known[1].breaker.succeed(known[1].breaker.acquire("", 2.0), "", 2.0)
    assert known.turns(3, 2.0) == "111"


def test_a_breaker_that_an_operator_opened_is_never_probed() -> None:
    known = Set(1, 1)
    for number in range(2):
        known[number].breaker.trip(0.0, "operator")
    assert known.choose(0.0) is None
    assert known.choose(1000.0) is None
    known[1].breaker.reset(1000.0)
    assert known.turns(2, 1000.0) == "11"


def test_a_breaker_that_never_opens_leaves_the_address_in_use() -> None:
    known = Set(1, settings=ServiceSettings(breaker=ServiceBreaker(enabled=False)))
    for _ in range(100):
        known[0].breaker.fail(known[0].breaker.acquire("", 0.0), 0.0, "connect")
    assert known.turns(2) == "00"
