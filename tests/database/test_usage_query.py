"""The time zone of days, and the period of a query."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.database.usage_query import HOUR, UsageQuery, months, offsets

UTC_ZONE = ZoneInfo("UTC")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca")


def seconds(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())


def test_the_offset_of_a_zone_changes_with_its_clocks() -> None:
    first, last, change = seconds(2026, 10, 24, 12), seconds(2026, 11, 2), seconds(2026, 10, 25, 1)
    assert offsets(ZoneInfo("Europe/Berlin"), first, last) == [(change, 7200), (last, 3600)]
    assert offsets(UTC_ZONE, first, last) == [(last, 0)]


@given(st.sampled_from(ZONES), st.integers(470_000, 500_000), st.integers(1, 24 * 400))
def test_every_hour_has_the_offset_of_its_zone(name: str, first: int, count: int) -> None:
    zone, start = ZoneInfo(name), first * HOUR
    found = offsets(zone, start, start + count * HOUR)
    for hour in range(start, start + count * HOUR, 7 * HOUR):
        offset = next(offset for until, offset in found if hour < until)
        assert datetime.fromtimestamp(hour, zone).utcoffset() == timedelta(seconds=offset)


@given(st.sampled_from(ZONES), st.integers(470_000, 500_000), st.integers(1, 24 * 400))
def test_every_hour_has_the_month_of_its_zone(name: str, first: int, count: int) -> None:
    zone, start = ZoneInfo(name), first * HOUR
    found = months(zone, start, start + count * HOUR)
    for hour in range(start, start + count * HOUR, 7 * HOUR):
        begin = next(begin for until, begin in found if hour < until)
        assert (
            datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%d") == f"{datetime.fromtimestamp(hour, zone):%Y-%m}-01"
        )


@pytest.mark.parametrize(("start", "end"), [(3600, 7200), (3601, 3602), (7199, 7200)])
def test_a_period_is_widened_to_whole_hours(start: int, end: int) -> None:
    query = UsageQuery((), {}, start, end, UTC_ZONE)
    assert (query.first, query.last) == (3600, 7200)


def test_what_the_hours_do_not_have_is_read_from_the_rows() -> None:
    def query(*groups: str, **filters: str) -> UsageQuery:
        return UsageQuery(groups, filters, 0, 1, UTC_ZONE)

    app = {"label:app": "x"}
    assert query("model", "day", owner="a").by_dimensions
    for each in (query("run"), query("run", "day", "team", owner="a"), query("day", run="")):
        assert (each.by_dimensions, each.label) == (False, "run")
    for each in (query(**app), query("label:app", "month", "project", **app)):
        assert (each.by_dimensions, each.label) == (False, "label:app")
    exact = UsageQuery((), app, 0, 1, UTC_ZONE, exact=True)
    for each in (query("run", "model"), query("run", **app), query("label:a", "label:b"), query(run="r"), exact):
        assert (each.by_dimensions, each.label) == (False, None)
