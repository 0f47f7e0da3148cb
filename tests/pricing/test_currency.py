"""Amounts of a currency as nano-USD, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pricing.currency import ExchangeRate

USD = ExchangeRate()
MOST = 10**15  # nano-USD of one transaction


@pytest.mark.parametrize(
    ("amount", "nano"),
    [
        (1, 1_000_000_000),
        (0.1, 100_000_000),
        (1e-9, 1),
        (-12.5, -12_500_000_000),
        (999_999.999999999, 999_999_999_999_999),
        (0, 0),
    ],
)
def test_usd_are_exact_to_the_nano_usd(amount: float, nano: int) -> None:
    assert USD.nano(amount) == nano
    assert USD.amount(nano) == amount


def test_an_absurd_amount_is_no_error() -> None:
    assert USD.nano(-2e300) == -2 * 10**309


@pytest.mark.parametrize("amount", [1e-10, 0.1234567891, 1.0000000001])
def test_an_amount_with_more_than_nine_decimals_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="more than nine decimals"):
        USD.nano(amount)


@given(st.integers(-MOST, MOST))
def test_every_amount_in_usd_survives_json(nano: int) -> None:
    assert USD.nano(json.loads(json.dumps(USD.amount(nano)))) == nano


@given(
    st.integers(-(10**9), 10**9), st.floats(0.01, 20_000).map(lambda rate: round(rate, 6)).filter(lambda rate: rate > 0)
)
def test_an_amount_in_cents_is_the_same_after_conversion(cents: int, units: float) -> None:
    rate = ExchangeRate(units)
    assert rate.amount(rate.nano(cents / 100)) == cents / 100


@given(st.integers(-MOST, MOST), st.floats(1e-6, 1e6))
def test_a_conversion_is_off_by_a_nano_usd_or_its_last_digit_at_most(nano: int, units: float) -> None:
    exact = nano * units / 1e9
    assert abs(ExchangeRate(units).amount(nano) - exact) <= max(units * 1e-9, 1e-9) * 5 + abs(exact) * 1e-15


def test_a_currency_is_converted_at_its_rate() -> None:
    euro, yen = ExchangeRate(0.86), ExchangeRate(155.3)
    assert (euro.nano(8.6), euro.amount(10_000_000_000)) == (10_000_000_000, 8.6)
    assert (yen.nano(1000), yen.amount(yen.nano(1000))) == (6_439_150_032, 1000)
