"""The fewest running requests, by weight."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from proxy.addresses.live import LiveAddress
from proxy.config.service_schema import ServiceSettings
from tests.addresses.sets import Set, address

LEAST = ServiceSettings(strategy="least_connections")
WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0]), min_size=1, max_size=8)


def start(known: Set) -> LiveAddress:
    found = known.choose()
    assert found is not None
    found.in_flight += 1
    return found


def cost(live: LiveAddress, more: int) -> Fraction:
    return Fraction(live.in_flight + more) / Fraction(live.settings.weight)


@given(WEIGHTS, st.lists(st.integers(0, 9), max_size=80))
def test_no_other_address_would_have_had_less_to_do(weights: list[float], requests: list[int]) -> None:
    known, running = Set(*weights, settings=LEAST), list[LiveAddress]()
    for ends in requests:
        found = start(known)
        running.append(found)
        for other in known.book.group("s").addresses:
            assert cost(found, 0) <= cost(other, 1)
        if ends < len(running):
            running.pop(ends).in_flight -= 1


@given(WEIGHTS, st.integers(1, 120))
def test_each_address_has_at_least_its_share_of_what_runs(weights: list[float], number: int) -> None:
    known = Set(*weights, settings=LEAST)
    for _ in range(number):
        start(known)
    for live in known.book.group("s").addresses:
        assert live.in_flight >= floor(number * Fraction(live.settings.weight) / Fraction(sum(weights)))


def test_equals_take_turns() -> None:
    known = Set(1, 1, 1, settings=LEAST)
    assert known.turns(7) == "0120120"
    known[0].in_flight = 1
    assert known.turns(4) == "1212"


def test_turns_go_on_while_the_set_is_put_again() -> None:
    known, turns = Set(1, 1, 1, settings=LEAST), ""
    for _ in range(6):
        turns += known.turns(1)
        known.put([address(number) for number in range(3)])
    assert turns == "012012"


def test_a_retry_goes_to_the_least_busy_of_the_others() -> None:
    known = Set(1, 2, 1, settings=LEAST)
    known[1].in_flight, known[2].in_flight = 2, 1
    assert known.choose(tried=(known[0],)) is known[1]
    known[1].in_flight = 4
    assert known.choose(tried=(known[0],)) is known[2]
    equal = Set(1, 1, 1, 1, settings=LEAST)
    found = Counter(each.url for _ in range(300) if (each := equal.choose(tried=(equal[0],))))
    assert min(found["http://1"], found["http://2"], found["http://3"]) > 60
