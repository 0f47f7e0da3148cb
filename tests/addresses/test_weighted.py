"""Smooth weighted round robin: exact shares, spread evenly, whatever happens to the set."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from math import gcd, lcm

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.service_schema import ServiceSettings
from tests.addresses.sets import Set, address

WEIGHTS = st.lists(st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0]), min_size=1, max_size=8)


def period(weights: list[float]) -> list[int]:
    """How often each is chosen in a period."""
    exact = [Fraction(str(weight)) for weight in weights]
    unit = lcm(*(each.denominator for each in exact))
    whole = [int(each * unit) for each in exact]
    return [each // gcd(*whole) for each in whole]


@given(WEIGHTS)
def test_each_window_of_a_period_has_exactly_the_shares(weights: list[float]) -> None:
    shares = period(weights)
    known, size = Set(*weights), sum(shares)
    turns = known.turns(3 * size)
    expected = Counter({str(number): share for number, share in enumerate(shares)})
    for start in range(2 * size):
        assert Counter(turns[start : start + size]) == expected


@given(WEIGHTS)
def test_turns_are_spread_evenly(weights: list[float]) -> None:
    shares = period(weights)
    known, size = Set(*weights), sum(shares)
    turns = known.turns(2 * size)
    for number, share in enumerate(shares):
        places = [place for place, each in enumerate(turns) if each == str(number)]
        widest = max((after - place for place, after in pairwise(places)), default=0)
        assert widest < 2 * size / share + 2


def test_a_heavy_address_has_no_long_run() -> None:
    assert Set(5, 1, 1).turns(14) == "01000200100020"


def test_round_robin_does_not_look_at_weights() -> None:
    known = Set(5, 1, 0, 0.5, settings=ServiceSettings(strategy="round_robin"))
    assert known.turns(6) == "013013"


def test_turns_go_on_while_the_set_is_put_again() -> None:
    known = Set(2, 1, 1)
    turns = ""
    for _ in range(12):
        turns += known.turns(1)
        known.put([address(0, 2), address(1), address(2)])
    assert Counter(turns) == {"0": 6, "1": 3, "2": 3}
    assert "00" not in turns


def test_a_set_that_changes_at_each_request_starves_no_address() -> None:
    known = Set(3, 1, 1)
    found: Counter[str] = Counter()
    for number in range(60):
        found.update(known.turns(1))
        known.put([address(0, 3), address(1), address(2), *([address(3)] if number % 2 else [])])
    assert min(found[each] for each in "012") >= 8


def test_turns_go_on_when_an_address_opens_and_recovers() -> None:
    known = Set(1, 1, 1)
    assert known.turns(2) == "01"
    known.open(1)
    assert known.turns(3) == "202"
    known.book.note_health(known[1], False, 1.0)
    known.book.note_health(known[1], True, 2.0)
    assert known.turns(3, 2.0) == "102"


def test_retries_are_spread_by_weight() -> None:
    known = Set(1, 3, 1)
    found = Counter(each.url for _ in range(400) if (each := known.choose(tried=(known[0],))))
    assert 200 < found["http://1"] < 360
    assert found["http://1"] + found["http://2"] == 400
