from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.keys import KeyRing


def test_keys_rotate() -> None:
    ring = KeyRing(["a", "b", "c"])
    taken = [ring.take(0.0) for _ in range(4)]
    assert [key.secret for key in taken if key] == ["a", "b", "c", "a"]
    assert [key.number for key in taken if key] == [0, 1, 2, 0]


def test_a_provider_without_keys_has_a_null_key() -> None:
    ring = KeyRing([])
    key = ring.take(0.0)
    assert key is not None
    assert (key.number, key.secret, len(ring)) == (0, "", 1)


def test_a_cooling_key_is_skipped_until_its_cooldown_ends() -> None:
    ring = KeyRing(["a", "b"])
    first = ring.take(0.0)
    assert first is not None
    ring.cool_down(first, 10.0)
    assert {key.number for key in (ring.take(9.9), ring.take(9.9)) if key} == {1}
    assert {key.number for key in (ring.take(10.0), ring.take(10.0)) if key} == {0, 1}


def test_a_second_cooldown_never_shortens_the_first() -> None:
    ring = KeyRing(["a"])
    key = ring.take(0.0)
    assert key is not None
    ring.cool_down(key, 10.0)
    ring.cool_down(key, 5.0)
    assert ring.take(9.0) is None
    assert ring.free_at() == 10.0


def test_no_key_is_available_while_all_cool_down() -> None:
    ring = KeyRing(["a", "b"])
    for until in (10.0, 20.0):
        key = ring.take(0.0)
        assert key is not None
        ring.cool_down(key, until)
    assert ring.take(9.0) is None
    assert ring.free_at() == 10.0


def test_a_key_never_shows_its_secret() -> None:
    key = KeyRing(["sk-hunter2"]).take(0.0)
    assert repr(key) == "<Key 0>"


@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 10), st.integers(0, 4), st.floats(0, 20)), max_size=40))
def test_the_ring_returns_a_key_exactly_if_one_is_available(count: int, steps: list[tuple[float, int, float]]) -> None:
    ring = KeyRing([f"k{number}" for number in range(count)])
    keys = [key for _ in range(count) if (key := ring.take(0.0))]
    rests = [0.0] * count
    for now, which, until in steps:
        number = which % count
        ring.cool_down(keys[number], until)
        rests[number] = max(rests[number], until)
        taken = ring.take(now)
        assert (taken is None) is all(rest > now for rest in rests)
        assert taken is None or rests[taken.number] <= now
        assert ring.free_at() == min(rests)


def test_a_cooldown_has_its_reason_rate_limited_or_rejected() -> None:
    ring = KeyRing(["a", "b"])
    first, second = ring.take(0.0), ring.take(0.0)
    assert first is not None
    assert second is not None
    ring.cool_down(first, 10.0)
    assert not ring.limited
    ring.cool_down(second, 10.0, limited=True)
    assert ring.limited
    ring.cool_down(second, 20.0)  # refused meanwhile
    assert not ring.limited


def test_a_rejected_key_cools_down_only_while_another_is_available() -> None:
    ring = KeyRing(["a", "b"])
    first, second = ring.take(0.0), ring.take(0.0)
    assert first is not None
    assert second is not None
    assert ring.refused(first, 60.0, 0.0)
    assert not ring.refused(second, 60.0, 0.0)  # no other key is available
    assert {ring.take(1.0), ring.take(1.0)} == {second}
    assert ring.refused(second, 120.0, 60.0)  # the first one is back


def test_the_only_key_never_cools_down_for_a_rejection() -> None:
    for ring in (KeyRing(["a"]), KeyRing([])):
        key = ring.take(0.0)
        assert key is not None
        assert not ring.refused(key, 60.0, 0.0)
        assert ring.take(0.0) is key


def test_a_reset_ends_all_cooldowns() -> None:
    ring = KeyRing(["a", "b"])
    for until in (10.0, 20.0):
        key = ring.take(0.0)
        assert key is not None
        ring.cool_down(key, until, limited=True)
    ring.reset()
    assert ring.take(0.0) is not None
    assert not ring.limited


@pytest.mark.parametrize("limited", [False, True])
def test_a_reload_that_leaves_one_rejected_key_ends_its_cooldown(limited: bool) -> None:
    ring = KeyRing(["a", "b"])
    first = ring.take(0.0)
    assert first is not None
    ring.cool_down(first, until=60.0, limited=limited)
    assert KeyRing(["a"], ring).take(1.0) is (None if limited else first)
