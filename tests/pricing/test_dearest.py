from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.usage import Usage, UsageDetails
from proxy.pricing.catalog import shipped
from proxy.pricing.dearest import AUDIO_IN, AUDIO_OUT, IMAGE_IN, LONG_CACHE, SOON, DearestRates
from proxy.pricing.rates import Rates, rates_of
from proxy.pricing.rating import rate
from proxy.pricing.sheet import DAY, PriceRow, PriceSheet, Schedule

HOUR = 3_600
EVERYTHING = LONG_CACHE | AUDIO_IN | IMAGE_IN | AUDIO_OUT
CLAUDE = rates_of({"input": 300, "cache_read": 30, "cache_write": 375, "cache_write_1h": 600, "output": 1_500})
SPOKEN = rates_of({"input": 250, "output": 1_000, "audio_in": 4_000, "audio_out": 8_000, "image_in": 260})

prices = st.fixed_dictionaries(
    {"input": st.integers(0, 10**9), "output": st.integers(0, 10**9)},
    optional={
        name: st.integers(0, 10**9) for name in Rates.__struct_fields__ if name not in ("input", "output", "image")
    },
).map(rates_of)
schedules = st.builds(
    lambda base, steps: Schedule(base, tuple(sorted(steps.items(), reverse=True))),
    prices,
    st.dictionaries(st.integers(1, 10_000), prices, max_size=2),
)
rows = st.builds(
    PriceRow,
    schedules,
    st.dictionaries(st.sampled_from(("flex", "fast", "us")), schedules, max_size=2),
    st.sampled_from((-inf, 0.0, 3 * DAY)),
    st.none() | st.tuples(st.integers(0, DAY - 1), st.integers(0, DAY - 1)),
)
sheets = st.lists(rows, min_size=1, max_size=3).map(
    lambda found: PriceSheet([PriceRow(Schedule(SPOKEN)), *found], "operator", "")
)


def sheet(rates: Rates, **more: Any) -> PriceSheet:
    return PriceSheet([PriceRow(Schedule(rates), **more)], "operator", "")


def sides(found: DearestRates | None) -> tuple[int | None, int | None]:
    assert found is not None
    return found.input, found.output


def test_a_text_reaches_the_usual_cache_and_reasoning() -> None:
    assert sides(sheet(CLAUDE).dearest.rates(0.0, 10)) == (375, 1_500)
    assert sides(sheet(CLAUDE).dearest.plain) == (375, 1_500)
    thinking = rates_of({"input": 1, "output": 2, "reasoning": 3})
    assert sides(sheet(thinking).dearest.plain) == (1, 3)
    assert sides(sheet(rates_of({"input": 1, "output": 2, "image_out": 30})).dearest.plain) == (1, 30)


def test_what_is_reached_only_at_times_costs_only_then() -> None:
    assert sides(sheet(CLAUDE).dearest.rates(0.0, 10, LONG_CACHE)) == (600, 1_500)
    found = [sides(sheet(SPOKEN).dearest.rates(0.0, 10, reach)) for reach in (0, IMAGE_IN, AUDIO_IN, AUDIO_OUT)]
    assert found == [(250, 1_000), (260, 1_000), (4_000, 1_000), (250, 8_000)]


def test_what_varies_is_known_in_advance() -> None:
    claude, spoken, tiered = sheet(CLAUDE), sheet(SPOKEN), sheet(CLAUDE, tiers={"fast": Schedule(SPOKEN)})
    plain = sheet(rates_of({"input": 1, "output": 2}))
    assert [each.dearest.long_cache for each in (claude, spoken, tiered, plain)] == [True, False, True, False]
    assert [each.dearest.speech for each in (claude, spoken, tiered, plain)] == [False, True, True, False]
    assert [each.dearest.varied for each in (claude, spoken, tiered, plain)] == [True, True, True, False]
    assert (tiered.dearest.tiers, tiered.dearest.plain, plain.dearest.tiers) == ({"fast"}, None, frozenset())


def test_all_steps_up_to_the_size_are_reached() -> None:
    steps = ((200, rates_of({"input": 2, "output": 2})), (100, rates_of({"input": 9, "output": 9})))
    stepped = PriceSheet([PriceRow(Schedule(rates_of({"input": 5, "output": 5}), steps))], "operator", "")
    found = [sides(stepped.dearest.rates(0.0, size)) for size in (0, 100, 101, 200, 201, 10**9)]
    assert found == [(5, 5), (5, 5), (9, 9), (9, 9), (9, 9), (9, 9)]


def test_a_named_tier_is_reached_beside_the_standard_one() -> None:
    tiers = {
        "fast": Schedule(rates_of({"input": 9, "output": 9})),
        "flex": Schedule(rates_of({"input": 1, "output": 1})),
    }
    tiered = sheet(rates_of({"input": 5, "output": 5}), tiers=tiers)
    found = [sides(tiered.dearest.rates(0.0, 1, 0, names)) for names in ((), ("flex",), ("fast",), ("fast", "flex"))]
    assert found == [(5, 5), (5, 5), (9, 9), (9, 9)]


def test_a_price_that_comes_soon_counts_already() -> None:
    later = [PriceRow(Schedule(Rates(1, 1))), PriceRow(Schedule(Rates(7, 7)), {}, 1_000.0)]
    changing = PriceSheet(later, "operator", "")
    moments = (0.0, 999.0 - SOON, 1_000.0 - SOON, 999.0, 1_000.0, 5_000.0, 0.0)
    assert [sides(changing.dearest.rates(moment, 1))[0] for moment in moments] == [1, 1, 7, 7, 7, 7, 1]
    falling = PriceSheet(
        [PriceRow(Schedule(Rates(7, 7))), PriceRow(Schedule(Rates(1, 1)), {}, 1_000.0)], "operator", ""
    )
    assert [sides(falling.dearest.rates(moment, 1))[0] for moment in (990.0, 999.9, 1_000.0)] == [7, 7, 1]


def test_prices_follow_the_hours_of_the_day() -> None:
    night = PriceSheet(
        [PriceRow(Schedule(Rates(8, 8))), PriceRow(Schedule(Rates(2, 2)), {}, -inf, (22 * HOUR, 4 * HOUR))],
        "operator",
        "",
    )
    found = [sides(night.dearest.rates(day * DAY + hour * HOUR, 1))[0] for day in (0, 5) for hour in (3, 4, 12, 23)]
    assert found == [2, 8, 8, 2] * 2


def test_before_its_first_row_there_is_no_price() -> None:
    late = sheet(CLAUDE, valid_from=1_000.0)
    assert [late.dearest.rates(moment, 1) is None for moment in (0.0, 999.9, 1_000.0, 0.0)] == [True, True, False, True]


def test_a_side_without_a_price_has_none() -> None:
    assert sides(sheet(rates_of({"input": 1})).dearest.plain) == (1, None)
    assert sheet(Rates(request=5, image=4, audio_hour=3)).dearest.plain == DearestRates(None, None, 5, 4, 3)


@given(sheets, st.data())
def test_no_usage_in_reach_costs_more(known: PriceSheet, data: st.DataObject) -> None:
    at = data.draw(st.floats(-DAY, 6 * DAY))
    begun = at + data.draw(st.floats(0.0, SOON / 2))
    tier = data.draw(st.sampled_from(("", "flex", "fast", "unknown")))
    counts = data.draw(st.lists(st.integers(0, 3_000), min_size=10, max_size=10))
    one, two, three, four, *more = counts
    details = UsageDetails(*more, service_tier=tier)
    used = Usage(one, two, three, four, details)
    size, output = used.total_input or 0, used.total_output or 0
    names = (tier,) if tier in known.dearest.tiers else ()
    found = known.dearest.rates(at, size, EVERYTHING, names)
    assert found is not None
    cost = rate(known, used, begun).nano
    if cost is not None and _changes(known, at, begun) <= 1:
        most = found.request * 10**6 + size * (found.input or 0) + output * (found.output or 0)
        assert cost <= -(-most // 10**6)


def _changes(known: PriceSheet, at: float, until: float) -> int:
    """How often the prices change from one moment to the other."""
    found = 0
    while at < until:
        at = known.changes_at(at)
        found += at <= until
    return found


@given(sheets, st.lists(st.tuples(st.floats(0, 6 * DAY), st.integers(0, 20_000)), max_size=20))
def test_what_was_found_before_changes_nothing(known: PriceSheet, asked: list[tuple[float, int]]) -> None:
    for at, size in asked:
        fresh = PriceSheet(known.rows, "operator", "")
        kept, found = known.dearest.rates(at, size), fresh.dearest.rates(at, size)
        assert kept is not None
        assert found is not None
        # A rate is computed until a minute before it changes, or for the last minute; never from what came later.
        assert kept == found


def test_every_sheet_of_the_catalog_has_a_dearest_rate() -> None:
    catalog = shipped()
    for base_url, model in (
        ("https://api.anthropic.com", "claude-sonnet-4-5"),
        ("https://api.openai.com/v1", "gpt-4o"),
    ):
        found = catalog.sheet(base_url, model)
        assert found is not None
        usual = found.rates(1_790_000_000.0)
        dearest = found.dearest.rates(1_790_000_000.0, 1_000)
        assert usual is not None
        assert dearest is not None
        assert (dearest.input or 0) >= (usual.input or 0) > 0
        assert (dearest.output or 0) >= (usual.output or 0) > 0
