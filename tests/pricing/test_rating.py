from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.dialects.usage import Usage, UsageDetails
from proxy.pricing.cost import NOTHING, UNPRICED, RatedCost
from proxy.pricing.rates import NANO, Rates, in_usd, rates_of
from proxy.pricing.rating import priced_at, rate
from proxy.pricing.sheet import PriceRow, PriceSheet, Schedule
from tests.pricing.exact import exact

COUNTS = st.none() | st.integers(0, 2_000_000_000)
PRICES = st.none() | st.integers(0, 10**15)
TOKENS = ("input", "cache_read", "output", "reasoning")
DETAILS = (
    "cache_write", "cache_write_1h", "audio_input", "audio_output", "image_input", "image_output", "audio_ms", "web_searches",
)  # fmt: skip


def sheet_of(rates: Rates, source: Any = "catalog") -> PriceSheet:
    return PriceSheet([PriceRow(Schedule(rates))], source, "v1")


def usd(**prices: float) -> PriceSheet:
    return sheet_of(rates_of({name: round(price * NANO) for name, price in prices.items()}), "operator")


rates = st.builds(Rates, **{name: PRICES for name in Rates.__struct_fields__ if name != "image"})
plain = st.builds(Usage, **dict.fromkeys(TOKENS, COUNTS))
details = st.builds(UsageDetails, **dict.fromkeys(DETAILS, COUNTS))
usages = plain | st.builds(lambda usage, more: structs.replace(usage, details=more), plain, details)


@given(rates, usages)
def test_a_cost_is_the_exact_sum_rounded_once(rates: Rates, usage: Usage) -> None:
    found = rate(sheet_of(rates), usage, 0.0)
    expected = exact(rates, usage)
    if usage.input is None and usage.output is None and not usage.details:
        expected = None  # what else would a plain answer report?
    assert found == (UNPRICED if expected is None else RatedCost(expected, "catalog", "v1"))


@given(rates, usages, usages)
def test_the_sum_of_two_costs_is_the_cost_of_the_sum(rates: Rates, one: Usage, other: Usage) -> None:
    def added(first: Any, second: Any, names: tuple[str, ...]) -> dict[str, int]:
        return {name: (getattr(first, name) or 0) + (getattr(second, name) or 0) for name in names}

    more = added(one.details or UsageDetails(), other.details or UsageDetails(), DETAILS)
    both = Usage(**added(one, other, TOKENS), details=UsageDetails(**more))
    costs = [rate(sheet_of(structs.replace(rates, request=0)), usage, 0.0).nano for usage in (one, other, both)]
    if None not in costs:
        first, second, whole = (cost or 0 for cost in costs)
        assert abs(first + second - whole) <= 1  # each is rounded by half a nano-USD at most


@given(rates, usages, st.sampled_from(TOKENS), st.integers(1, 10**6))
def test_more_tokens_never_cost_less(rates: Rates, usage: Usage, name: str, more: int) -> None:
    before = rate(sheet_of(rates), usage, 0.0).nano
    after = rate(sheet_of(rates), structs.replace(usage, **{name: (getattr(usage, name) or 0) + more}), 0.0).nano
    assert before is None or after is None or after >= before


@given(rates, plain)
def test_details_without_a_count_change_nothing(rates: Rates, usage: Usage) -> None:
    if usage.input is not None or usage.output is not None:
        detailed = structs.replace(usage, details=UsageDetails())
        assert rate(sheet_of(rates), detailed, 0.0) == rate(sheet_of(rates), usage, 0.0)


@pytest.mark.parametrize(
    ("price", "tokens", "nano"),
    [(0.5, 1, 500), (0.0005, 1, 1), (0.000499, 1, 0), (0.0015, 1, 2), (0.0005, 3, 2), (2.5, 2_000_000, 5 * NANO)],
)
def test_half_a_nano_is_rounded_up(price: float, tokens: int, nano: int) -> None:
    assert rate(usd(input=price), Usage(tokens), 0.0).nano == nano
    assert rate(usd(output=price), Usage(0, None, tokens), 0.0).nano == nano


def test_a_class_without_a_price_is_unpriced_and_a_price_of_0_is_free() -> None:
    assert rate(None, Usage(1, None, 1), 0.0) == UNPRICED
    assert rate(usd(input=1), Usage(1, None, 1), 0.0) == UNPRICED
    assert rate(usd(input=1), Usage(1_000, None, 0), 0.0).nano == 1_000_000
    assert rate(usd(output=1), Usage(1, None, 1), 0.0) == UNPRICED
    assert rate(usd(output=1), Usage(0, 1, 1), 0.0) == UNPRICED
    assert rate(usd(input=1), Usage(0, 0, 0, 1), 0.0) == UNPRICED
    assert rate(usd(input=0, output=0), Usage(5, 5, 5, 5), 0.0) == RatedCost(0, "operator", "v1")
    assert rate(usd(input=1, output=1), Usage(), 0.0) == UNPRICED
    assert rate(usd(input=1, output=1), Usage(details=UsageDetails()), 0.0) == UNPRICED
    assert NOTHING.nano == 0


def test_classes_without_a_price_cost_as_their_side() -> None:
    counted = Usage(1, 10, 100, 1_000, UsageDetails(20, 300, 4_000, 50_000, 600_000, 7_000_000))
    assert rate(usd(input=1, output=2), counted, 0.0).nano == 1_000 * (604_331 + 2 * 7_051_100)
    written = Usage(0, None, 0, None, UsageDetails(cache_write=10, cache_write_1h=100))
    assert rate(usd(input=1, cache_write=2), written, 0.0).nano == 220_000
    assert rate(usd(input=1, cache_write=2, cache_write_1h=3), written, 0.0).nano == 320_000


def test_a_request_an_image_an_hour_and_a_search_have_prices_of_their_own() -> None:
    assert rate(usd(request=0.005), Usage(1, None, 0), 0.0) == UNPRICED
    assert rate(usd(request=0.005, input=1, output=1), Usage(1_000, None, 0), 0.0).nano == 6_000_000
    made = Usage(500, None, 4_000, None, UsageDetails(images=2))
    assert rate(usd(image=0.04), made, 0.0).nano == 80_000_000
    assert rate(usd(image=0.04, input=5), made, 0.0).nano == 82_500_000
    assert rate(usd(input=5, output=40), made, 0.0).nano == 162_500_000  # no price for an image: by its tokens
    tokens = Usage(500, None, 0, None, UsageDetails(image_output=4_000, images=2))
    assert rate(usd(image=0.04, input=5, output=40), tokens, 0.0).nano == 82_500_000
    assert rate(usd(image=0.04), Usage(500, None, 4_000), 0.0) == UNPRICED
    spoken = Usage(details=UsageDetails(audio_ms=90_000))
    assert rate(usd(audio_hour=0.36), spoken, 0.0).nano == 9_000_000
    assert rate(usd(input=1, output=1), spoken, 0.0) == UNPRICED
    searched = Usage(0, None, 0, None, UsageDetails(web_searches=3))
    assert rate(usd(web_search=0.01, input=1, output=1), searched, 0.0).nano == 30_000_000
    assert rate(usd(input=1, output=1), searched, 0.0) == UNPRICED


def test_the_operator_comes_before_the_provider_and_the_provider_before_the_catalog() -> None:
    reported = Usage(1_000, None, 1_000, None, UsageDetails(reported_cost=77))
    prices = Rates(1_000_000, 1_000_000)
    assert rate(sheet_of(prices, "operator"), reported, 0.0) == RatedCost(2_000, "operator", "v1")
    assert rate(sheet_of(prices, "catalog"), reported, 0.0) == RatedCost(77, "provider")
    assert rate(None, reported, 0.0) == RatedCost(77, "provider")
    assert rate(sheet_of(Rates(input=1), "operator"), reported, 0.0) == RatedCost(77, "provider")
    assert rate(None, Usage(details=UsageDetails(reported_cost=0)), 0.0) == RatedCost(0, "provider")


def test_the_service_tier_of_the_answer_wins_and_an_unknown_one_is_standard() -> None:
    tiers = {"flex": Schedule(Rates(1_000_000, 1_000_000)), "batch": Schedule(Rates(2_000_000, 2_000_000))}
    sheet = PriceSheet([PriceRow(Schedule(Rates(4_000_000, 4_000_000)), tiers)], "catalog", "")
    plain, flex = Usage(1_000, None, 0), Usage(1_000, None, 0, None, UsageDetails(service_tier="flex"))
    assert [rate(sheet, plain, 0.0, tier).nano for tier in ("", "flex", "batch", "scale")] == [4000, 1000, 2000, 4000]
    assert [rate(sheet, flex, 0.0, tier).nano for tier in ("", "batch")] == [1000, 1000]
    assert priced_at(sheet, 0.0, "batch") == Rates(2_000_000, 2_000_000)
    assert priced_at(None, 0.0) is None


def test_the_size_of_an_input_includes_its_caches_audio_and_images() -> None:
    sheet = PriceSheet(
        [PriceRow(Schedule(Rates(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), ((100, Rates(10**6, 0)),)))], "catalog", ""
    )
    assert rate(sheet, Usage(60, 40, 0), 0.0).nano == 0
    assert rate(sheet, Usage(101, None, 0), 0.0).nano == 101
    assert rate(sheet, Usage(99, None, 0, None, UsageDetails(0, 0, 0, 0, 0)), 0.0).nano == 0
    assert rate(sheet, Usage(61, 40, 0), 0.0) == UNPRICED  # the larger step has no price for what a cache has
    steep = PriceSheet(
        [PriceRow(Schedule(rates_of({"input": 0}), ((100, rates_of({"input": 10**6})),)))], "catalog", ""
    )
    for details in (
        UsageDetails(cache_write=60),
        UsageDetails(cache_write_1h=60),
        UsageDetails(audio_input=60),
        UsageDetails(image_input=60),
    ):
        assert rate(steep, Usage(20, 21, None, None, details), 0.0).nano == 101
        assert rate(steep, Usage(20, 20, None, None, details), 0.0).nano == 0


def test_views_show_usd_by_the_keys_of_the_configuration() -> None:
    assert in_usd(rates_of({"input": 150_000_000, "cache_write_1h": 1})) == {
        "input": 0.15,
        "cacheRead": 0.15,
        "cacheWrite": 0.15,
        "cacheWrite1h": 1e-9,
        "audioIn": 0.15,
        "imageIn": 0.15,
    }
