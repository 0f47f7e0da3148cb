"""Stickiness with bounded loads."""

from __future__ import annotations

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.addresses.live import LiveAddress
from proxy.config.service_schema import ServiceSettings, Stickiness
from tests.addresses.sets import Set, address

KEYS = [b"session-%d" % number for number in range(300)]
WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 2.0, 5.0]), min_size=1, max_size=8)


def sticky(*weights: float, bound: float = 1.25, slow_start: float = 0.0) -> Set:
    settings = ServiceSettings(sticky=Stickiness(cookie="c", bound=bound), slow_start_secs=slow_start)
    return Set(*weights, settings=settings)


def homes(known: Set, now: float = 0.0) -> dict[bytes, str]:
    found = {key: known.choose(now, key) for key in KEYS}
    return {key: each.url for key, each in found.items() if each is not None}


@given(WEIGHTS, st.data())
def test_only_the_keys_of_an_address_that_leaves_move(weights: list[float], data: st.DataObject) -> None:
    known = sticky(*weights)
    gone = data.draw(st.integers(0, len(weights) - 1))
    before = homes(known)
    known.put([address(number, weight) for number, weight in enumerate(weights) if number != gone])
    after = homes(known)
    for key, home in before.items():
        if home != f"http://{gone}":
            assert after[key] == home
    known.put([address(number, weight) for number, weight in enumerate(weights)])
    assert homes(known) == before


@given(WEIGHTS, st.sampled_from([0.5, 1.0, 4.0]))
def test_a_new_address_takes_keys_and_no_other_key_moves(weights: list[float], weight: float) -> None:
    known = sticky(*weights)
    before = homes(known)
    known.put([*(address(number, each) for number, each in enumerate(weights)), address(99, weight)])
    moved = {key: home for key, home in homes(known).items() if home != before[key]}
    assert set(moved.values()) <= {"http://99"}
    share = weight / (sum(weights) + weight)
    assert abs(len(moved) / len(KEYS) - share) < 0.12


@pytest.mark.parametrize("how", ["drained", "unhealthy", "open"])
def test_only_the_keys_of_an_unusable_address_move_and_come_back(how: str) -> None:
    known = sticky(1, 1, 1)
    before = homes(known)
    if how == "drained":
        known.put([address(number) for number in range(3)], drained=("http://1",))
    elif how == "unhealthy":
        known.book.note_health(known[1], False, 0.0)
    else:
        known.open(1)
    after = homes(known)
    assert "http://1" not in after.values()
    assert all(after[key] == home for key, home in before.items() if home != "http://1")
    assert len({after[key] for key, home in before.items() if home == "http://1"}) == 2
    known.put([address(number) for number in range(3)])
    known.book.note_health(known[1], True, 1.0)
    known[1].breaker.reset(1.0)
    assert homes(known, 1.0) == before


@given(
    WEIGHTS,
    st.sampled_from([1.0, 1.25, 2.0]),
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60),
)
def test_no_address_gets_more_than_the_bound(
    weights: list[float], bound: float, requests: list[tuple[int, bool]]
) -> None:
    known, running = sticky(*weights, bound=bound), list[LiveAddress]()
    for key, ends in requests:
        found = known.choose(0.0, KEYS[key])
        assert found is not None
        found.in_flight += 1
        running.append(found)
        shares = bound * len(running) / sum(weights)
        assert found.in_flight <= ceil(shares * found.settings.weight - 1e-9)
        if ends:
            running.pop(0).in_flight -= 1


def test_a_key_of_an_overloaded_address_has_the_same_next_one() -> None:
    known = sticky(1, 1, 1, 1)
    first = known.choose(0.0, b"k")
    assert first is not None
    first.in_flight = 9
    second = known.choose(0.0, b"k")
    assert second is not None
    assert second is not first
    assert known.choose(0.0, b"k") is second
    first.in_flight = 0
    assert known.choose(0.0, b"k") is first


def test_a_retry_goes_to_the_next_address_of_the_key() -> None:
    known = sticky(1, 1, 1)
    first = known.choose(0.0, b"k")
    assert first is not None
    second = known.choose(0.0, b"k", (first,))
    assert second is not None
    known.book.note_health(first, False, 0.0)
    assert known.choose(0.0, b"k") is second
    assert known.choose(0.0, b"k", (first, second)) not in (None, first, second)
    assert known.choose(0.0, b"k", tuple(known.book.group("s").addresses)) is None


def test_an_overloaded_address_is_used_if_the_others_were_tried() -> None:
    known = sticky(1, 1)
    known[0].in_flight = 100
    assert known.choose(0.0, b"k", (known[1],)) is known[0]


def test_a_probe_of_a_key_is_one_request_and_others_go_on() -> None:
    known = sticky(1, 1)
    home = known.choose(0.0, b"k")
    assert home is not None
    known.open(int(home.url[-1]), 0.0)
    assert known.choose(10.0, b"k") is home
    home.breaker.acquire("", 10.0)
    assert known.choose(10.0, b"k") not in (None, home)


def test_requests_of_a_key_pass_over_an_address_that_starts_slowly_once_it_is_busy() -> None:
    known = sticky(1, slow_start=20.0)
    known.put([address(0), address(1)], now=100.0)
    keys = [key for key in KEYS if known.choose(100.0, key) is known[1]]
    found: Counter[str] = Counter()
    for key in keys[:50]:
        chosen = known.choose(100.0, key)
        assert chosen is not None
        chosen.in_flight += 1
        found[chosen.url] += 1
    assert found["http://1"] <= 4
    known[0].in_flight = known[1].in_flight = 0
    assert known.choose(120.0, keys[0]) is known[1]
