"""Calendar windows, through every kind of change of the clocks."""

from __future__ import annotations

from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.window import PresentWindows, Window, window_of
from proxy.config.billing_schema import WindowKind

HOUR = 3600.0
NAMES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"),
    *("America/Sao_Paulo", "Africa/Cairo", "Asia/Beirut", "America/Havana", "Pacific/Apia", "Antarctica/Casey"),
    *("Pacific/Kiritimati", "America/Scoresbysund", "America/Toronto", "Atlantic/Azores", "Asia/Gaza"),
)
ZONES = st.sampled_from(NAMES).map(ZoneInfo)
CALENDAR = st.sampled_from(("day", "week", "month"))
MOMENTS = st.floats(0.0, 4_000_000_000.0) | st.integers(0, 1_000_000).map(lambda hours: hours * HOUR)


def at(zone: str, text: str, fold: int = 0) -> float:
    """Unix seconds of a time on the wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def day(zone: str, text: str, fold: int = 0) -> Window:
    return window_of("day", ZoneInfo(zone), at(zone, text, fold))


def hours(window: Window) -> float:
    assert window.ends is not None
    return (window.ends - window.begins) / HOUR


@given(CALENDAR, ZONES, MOMENTS)
def test_windows_follow_each_other_without_gap_or_overlap(kind: WindowKind, zone: ZoneInfo, now: float) -> None:
    window = window_of(kind, zone, now)
    assert window.ends is not None
    assert window.begins <= now < window.ends
    assert window.covers(now)
    assert not window.covers(window.ends)
    assert window_of(kind, zone, window.begins) == window
    following = window_of(kind, zone, window.ends)
    assert following.begins == window.ends
    assert following.label > window.label
    last = window_of(kind, zone, window.begins - 1.0)
    assert last.ends == window.begins
    assert last.label < window.label


@given(CALENDAR, ZONES, MOMENTS, MOMENTS)
def test_a_label_is_that_of_one_window(kind: WindowKind, zone: ZoneInfo, one: float, other: float) -> None:
    first, second = window_of(kind, zone, one), window_of(kind, zone, other)
    assert (first.label == second.label) == (first == second)


@given(CALENDAR, ZONES, MOMENTS)
def test_a_window_is_made_of_whole_days(kind: WindowKind, zone: ZoneInfo, now: float) -> None:
    window, today = window_of(kind, zone, now), window_of("day", zone, now)
    assert window.ends is not None
    assert today.ends is not None
    assert window.begins <= today.begins
    assert today.ends <= window.ends
    assert window_of("day", zone, window.begins).begins == window.begins
    assert window_of("day", zone, window.ends - 1.0).ends == window.ends


@given(ZONES, MOMENTS)
def test_a_day_begins_when_the_clock_shows_its_date_first(zone: ZoneInfo, now: float) -> None:
    window = window_of("day", zone, now)
    assert datetime.fromtimestamp(window.begins, zone).date().isoformat() == window.label
    assert datetime.fromtimestamp(window.begins - 1.0, zone).date().isoformat() < window.label


@given(ZONES, st.floats(allow_nan=False, allow_infinity=False))
def test_all_time_has_no_end(zone: ZoneInfo, now: float) -> None:
    assert window_of("total", zone, now) == Window("total", 0.0, None)
    assert window_of("total", zone, abs(now)).covers(abs(now))


@pytest.mark.parametrize(
    ("zone", "date", "length"),
    [("UTC", "2026-03-29", 24), ("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2026-10-25", 25),
     ("Europe/Berlin", "2026-10-26", 24), ("Australia/Lord_Howe", "2026-10-04", 23.5), ("Asia/Kathmandu", "2026-06-01", 24),
     ("America/Sao_Paulo", "2018-11-04", 23), ("America/Sao_Paulo", "2018-02-17", 25), ("Africa/Cairo", "2026-04-24", 23),
     ("Africa/Cairo", "2026-10-29", 25), ("Asia/Beirut", "2026-03-29", 23), ("Asia/Beirut", "2026-10-24", 25),
     ("America/Havana", "2026-11-01", 25), ("Antarctica/Casey", "2018-03-11", 27)],
)  # fmt: skip
def test_a_day_has_as_many_hours_as_the_clocks_give_it(zone: str, date: str, length: float) -> None:
    window = day(zone, f"{date}T12:00")
    assert (window.label, hours(window)) == (date, length)


def test_a_day_without_a_midnight_begins_when_the_clocks_go_forward() -> None:
    window = day("America/Sao_Paulo", "2018-11-04T12:00")
    assert window.begins == at("America/Sao_Paulo", "2018-11-04T01:00")
    assert window.begins == at("America/Sao_Paulo", "2018-11-03T23:00") + HOUR


def test_a_gap_may_begin_before_midnight() -> None:
    # In 1919 Toronto's clocks went from 23:30 to 00:30.
    window = day("America/Toronto", "1919-03-31T12:00")
    assert window.begins == at("America/Toronto", "1919-03-31T00:30")
    assert day("America/Toronto", "1919-03-30T23:00").ends == window.begins


def test_the_second_evening_belongs_to_the_day_that_has_begun() -> None:
    # In 2010 the clocks of St. John's went back one minute past midnight.
    assert day("America/St_Johns", "2010-11-06T23:30").label == "2010-11-06"
    assert day("America/St_Johns", "2010-11-06T23:30", fold=1).label == "2010-11-07"
    window = day("America/St_Johns", "2010-11-07T12:00")
    assert (window.begins, hours(window)) == (at("America/St_Johns", "2010-11-07T00:00"), 25)


def test_the_evening_that_shows_twice_before_midnight_is_one_day() -> None:
    first, second = (day("America/Sao_Paulo", "2018-02-17T23:30", fold) for fold in (0, 1))
    assert first == second
    assert first.label == "2018-02-17"


def test_a_skipped_day_has_no_window() -> None:
    window = day("Pacific/Apia", "2011-12-29T12:00")
    assert window.ends is not None
    assert hours(window) == 24
    assert window_of("day", ZoneInfo("Pacific/Apia"), window.ends).label == "2011-12-31"


@pytest.mark.parametrize(
    ("date", "label"),
    [("2026-11-29", "2026-W48"), ("2026-11-30", "2026-W49"), ("2027-01-01", "2026-W53"), ("2027-01-04", "2027-W01"),
     ("2024-12-30", "2025-W01"), ("2024-12-29", "2024-W52")],
)  # fmt: skip
def test_a_week_begins_on_monday_and_has_the_number_of_its_thursday(date: str, label: str) -> None:
    window = window_of("week", ZoneInfo("Europe/Berlin"), at("Europe/Berlin", f"{date}T12:00"))
    assert window.label == label
    assert datetime.fromtimestamp(window.begins, ZoneInfo("Europe/Berlin")).strftime("%a %H:%M") == "Mon 00:00"


def test_weeks_and_months_lose_or_win_the_hour_of_their_days() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert hours(window_of("week", berlin, at("Europe/Berlin", "2026-10-20T12:00"))) == 7 * 24 + 1
    assert hours(window_of("month", berlin, at("Europe/Berlin", "2026-03-02T12:00"))) == 31 * 24 - 1
    assert hours(window_of("month", ZoneInfo("UTC"), at("UTC", "2024-02-29T23:59"))) == 29 * 24


def test_a_month_ends_with_its_year() -> None:
    window = window_of("month", ZoneInfo("Asia/Kathmandu"), at("Asia/Kathmandu", "2026-12-31T23:59:59"))
    assert (window.label, window.ends) == ("2026-12", at("Asia/Kathmandu", "2027-01-01T00:00"))


def test_the_last_moment_of_a_day_is_not_rounded_into_the_next() -> None:
    midnight = at("UTC", "2026-11-30T00:00")
    assert window_of("day", ZoneInfo("UTC"), midnight - 2e-7).label == "2026-11-29"
    assert window_of("day", ZoneInfo("UTC"), midnight).label == "2026-11-30"


@pytest.mark.parametrize("kind", get_args(WindowKind))
def test_each_kind_has_a_window_now(kind: WindowKind) -> None:
    assert window_of(kind, ZoneInfo("UTC"), at("UTC", "2026-11-29T21:00")).covers(at("UTC", "2026-11-29T21:00"))


@given(CALENDAR, ZONES, st.lists(MOMENTS, min_size=1, max_size=5))
def test_a_present_window_is_that_of_the_moment(kind: WindowKind, zone: ZoneInfo, moments: list[float]) -> None:
    """Also if the clock goes back."""
    present = PresentWindows()
    assert [present.find(kind, zone, now) for now in moments] == [window_of(kind, zone, now) for now in moments]
    assert present.find(kind, zone, moments[-1]) is present.find(kind, zone, moments[-1])
