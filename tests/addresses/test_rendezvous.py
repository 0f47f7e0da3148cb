"""The order of places by key: even, independent, and with as few moves as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.addresses.rendezvous import Rendezvous, key_hash, seed

KEYS = [key_hash(b"session-%d" % number) for number in range(6000)]
WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 10.0]), min_size=2, max_size=40)


def seeds(count: int) -> list[int]:
    return [seed(b"http://10.0.0.%d:8080" % number) for number in range(count)]


def ring(weights: Sequence[float]) -> Rendezvous:
    return Rendezvous(seeds(len(weights)), weights)


def first(order: Rendezvous, key: int) -> int:
    return order.first(key)


@given(WEIGHTS, st.integers(0, 2**64 - 1))
def test_each_place_comes_once(weights: list[float], key: int) -> None:
    found = list(ring(weights).order(key))
    assert sorted(found) == list(range(len(weights)))
    assert found[0] == first(ring(weights), key)


@given(WEIGHTS, st.integers(0, 2**64 - 1), st.data())
def test_without_a_place_the_order_of_the_others_is_the_same(
    weights: list[float], key: int, data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, len(weights) - 1))
    left = [place for place in range(len(weights)) if place != gone]
    others = Rendezvous([seeds(len(weights))[place] for place in left], [weights[place] for place in left])
    expected = [place for place in ring(weights).order(key) if place != gone]
    assert [left[place] for place in others.order(key)] == expected


@given(WEIGHTS, st.integers(0, 2**64 - 1), st.data())
def test_a_larger_weight_moves_keys_only_to_its_place(weights: list[float], key: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(weights) - 1))
    heavier = [weight * 4 if number == place else weight for number, weight in enumerate(weights)]
    assert first(ring(heavier), key) in (first(ring(weights), key), place)


@pytest.mark.parametrize("count", [2, 10, 100])
def test_places_of_the_same_weight_get_the_same_number_of_keys(count: int) -> None:
    order = ring([1.0] * count)
    found = Counter(first(order, key) for key in KEYS)
    expected = len(KEYS) / count
    chi_square = sum((found[place] - expected) ** 2 / expected for place in range(count))
    assert chi_square < count + 4 * (2 * count) ** 0.5


@pytest.mark.parametrize("count", [2, 10, 100])
def test_keys_are_spread_in_proportion_to_the_weights(count: int) -> None:
    weights = [1.0 + number % 4 for number in range(count)]
    order = ring(weights)
    found = Counter(first(order, key) for key in KEYS)
    chi_square = 0.0
    for place, weight in enumerate(weights):
        expected = len(KEYS) * weight / sum(weights)
        chi_square += (found[place] - expected) ** 2 / expected
    assert chi_square < count + 4 * (2 * count) ** 0.5


def test_the_keys_of_a_place_have_different_second_places() -> None:
    count = 10
    order = ring([1.0] * count)
    found = Counter(tuple(islice(order.order(key), 2)) for key in KEYS)
    pairs = count * (count - 1)
    expected = len(KEYS) / pairs
    chi_square = sum((number - expected) ** 2 / expected for number in found.values())
    assert len(found) == pairs
    assert chi_square < pairs + 4 * (2 * pairs) ** 0.5


def test_the_order_is_that_of_the_definition() -> None:
    weights = [0.5, 1.0, 3.0, 3.0, 7.0, 1.0, 0.0001, 1e6, 2.0, 2.0, 5.0]
    order, known = ring(weights), seeds(len(weights))
    for key in KEYS[:50]:
        scores = [
            (each % 2**52 * (key | 1) % 2**52 / 2**52) ** (1e6 / weight)
            for each, weight in zip(known, weights, strict=True)
        ]
        expected = sorted(range(len(weights)), key=scores.__getitem__, reverse=True)
        found = list(order.order(key))
        distinct = [place for place in expected if scores[place] > 0]
        assert found[: len(distinct)] == distinct


def test_the_hash_is_the_same_in_every_process() -> None:
    assert seed(b"sluice") == int.from_bytes(bytes.fromhex("5145f8a6d6bab0bd"), "big")
