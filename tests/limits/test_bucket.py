from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.limits.base import Limit
from proxy.limits.bucket import BOUND, FULL, corrected, level, refill, reset_after, retry_after, taken

NOW = 5_000_000.3  # seconds; a machine that is up for months
TEN = Limit("client", "requestsPerMinute", "client:requestsPerMinute", capacity=10.0, rate=0.5)

limits = st.builds(
    lambda capacity, window: Limit("model", "tokensPerMinute", "model:tokensPerMinute", capacity, capacity / window),
    st.floats(1.0, 1e7),
    st.sampled_from([0.5, 60.0, 3600.0]) | st.floats(0.5, 7200.0),
)
moments = st.floats(0.0, 1e7)
parts = st.floats(0.0, 1.0)  # of a capacity
states = st.floats(-3.0, 2.0)  # how many refills are ahead of now


def exact_level(limit: Limit, full_at: float, now: float) -> Fraction:
    ahead = max(Fraction(full_at) - Fraction(now), Fraction(0))
    return Fraction(limit.capacity) - ahead * Fraction(limit.rate)


def close(limit: Limit, expected: Fraction) -> object:
    """To the millionth of a bucket."""
    return pytest.approx(float(expected), abs=limit.capacity * 1e-6)


def test_a_new_bucket_is_full() -> None:
    assert level(TEN, FULL, NOW) == 10.0
    assert level(TEN, FULL, 0.0) == 10.0
    assert reset_after(FULL, NOW) == 0.0


def test_an_empty_bucket_is_full_after_its_refill() -> None:
    assert refill(TEN) == 20.0
    full_at = taken(TEN, FULL, 100.0, 10.0)
    assert full_at == 120.0
    assert [level(TEN, full_at, now) for now in (100.0, 110.0, 120.0, 130.0)] == [0.0, 5.0, 10.0, 10.0]
    assert [reset_after(full_at, now) for now in (100.0, 110.0, 120.0, 130.0)] == [20.0, 10.0, 0.0, 0.0]


def test_more_than_available_is_not_taken() -> None:
    full_at = taken(TEN, FULL, 100.0, 7.0)
    assert full_at is not None
    assert taken(TEN, full_at, 100.0, 4.0) is None
    assert retry_after(TEN, full_at, 100.0, 4.0) == 2.0
    assert retry_after(TEN, full_at, 100.0, 3.0) == 0.0
    assert taken(TEN, full_at, 102.0, 4.0) == 122.0


def test_zero_is_granted_except_in_debt() -> None:
    empty = taken(TEN, FULL, 100.0, 10.0)
    assert empty is not None
    assert taken(TEN, empty, 100.0, 0.0) == empty
    in_debt = corrected(TEN, empty, 100.0, 1.0)
    assert level(TEN, in_debt, 100.0) == -1.0
    assert taken(TEN, in_debt, 100.0, 0.0) is None


def test_debt_and_level_are_bounded_by_the_capacity() -> None:
    assert level(TEN, corrected(TEN, FULL, NOW, 1e9), NOW) == -10.0
    assert level(TEN, corrected(TEN, NOW + 5.0, NOW, -1e9), NOW) == 10.0
    assert corrected(TEN, FULL, NOW, 0.0) == NOW


def test_the_rounding_tolerance_is_a_millionth_of_the_bucket() -> None:
    assert taken(TEN, FULL, 100.0, 10.0 * (BOUND - 1e-8)) is not None
    assert taken(TEN, FULL, 100.0, 10.0 * (BOUND + 1e-8)) is None


@given(limit=limits, state=states, now=moments, part=parts)
def test_a_take_agrees_with_exact_arithmetic(limit: Limit, state: float, now: float, part: float) -> None:
    full_at, amount = now + state * refill(limit), part * limit.capacity
    before = exact_level(limit, full_at, now)
    after = taken(limit, full_at, now, amount)
    left = before - Fraction(amount)
    assert level(limit, full_at, now) == close(limit, before)
    if abs(left) > limit.capacity * 2e-6:
        assert (after is not None) is (left > 0)
    if after is not None:
        assert level(limit, after, now) == close(limit, left)
    assert retry_after(limit, full_at, now, amount) * limit.rate == close(limit, max(-left, Fraction(0)))


@given(limit=limits, state=states, now=moments, part=st.floats(-3.0, 3.0))
def test_a_correction_agrees_with_exact_arithmetic(limit: Limit, state: float, now: float, part: float) -> None:
    full_at, amount, capacity = now + state * refill(limit), part * limit.capacity, Fraction(limit.capacity)
    expected = min(max(exact_level(limit, full_at, now) - Fraction(amount), -capacity), capacity)
    after = corrected(limit, full_at, now, amount)
    assert level(limit, after, now) == close(limit, expected)
    assert now <= after <= now + 2 * refill(limit)


@given(limit=limits, state=st.floats(0.0, 2.0), now=moments, part=parts)
def test_a_take_after_retry_after_is_granted(limit: Limit, state: float, now: float, part: float) -> None:
    full_at, amount = now + state * refill(limit), part * limit.capacity
    assume(taken(limit, full_at, now, amount) is None)
    wait = retry_after(limit, full_at, now, amount)
    assert wait > 0.0
    assert taken(limit, full_at, now + wait, amount) is not None


@given(limit=limits, now=moments, state=st.floats(-1e6, 0.0), part=parts)
def test_a_full_bucket_equals_a_new_one(limit: Limit, now: float, state: float, part: float) -> None:
    full_at, amount = max(now + state, 0.0), part * limit.capacity
    assert taken(limit, full_at, now, amount) == taken(limit, FULL, now, amount)
    assert corrected(limit, full_at, now, amount) == corrected(limit, FULL, now, amount)
    assert level(limit, full_at, now) == level(limit, FULL, now)
