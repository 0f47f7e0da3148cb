from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from proxy.pricing.rates import Rates
from proxy.pricing.sheet import DAY, PriceRow, PriceSheet, Schedule

HOUR = 3_600
NIGHT = (22 * HOUR, 4 * HOUR)


def price(number: int) -> Schedule:
    return Schedule(Rates(number))


def row(number: int, start: float = -inf, hours: tuple[int, int] | None = None) -> PriceRow:
    return PriceRow(price(number), {}, start, hours)


def at(sheet: PriceSheet, moment: float) -> int | None:
    rates = sheet.rates(moment)
    return None if rates is None else rates.input


def test_the_last_row_in_force_applies() -> None:
    sheet = PriceSheet([row(1), row(2, 1_000.0), row(3, 5_000.0)], "operator", "")
    assert [at(sheet, moment) for moment in (-5.0, 999.9, 1_000.0, 4_999.0, 5_000.0, 1e12)] == [1, 1, 2, 2, 3, 3]
    assert [sheet.changes_at(moment) for moment in (0.0, 1_000.0, 5_000.0)] == [1_000.0, 5_000.0, inf]


def test_before_its_first_row_a_sheet_has_no_price() -> None:
    sheet = PriceSheet([row(1, 1_000.0)], "operator", "")
    assert [at(sheet, moment) for moment in (999.0, 1_000.0)] == [None, 1]
    assert repr(sheet) == "<PriceSheet of 1 rows, operator >"


def test_hours_of_the_day_repeat_and_may_pass_midnight() -> None:
    sheet = PriceSheet([row(1), row(2, -inf, (1 * HOUR, 4 * HOUR)), row(3, 10 * DAY, NIGHT)], "catalog", "")
    hours = [at(sheet, 2 * DAY + hour * HOUR) for hour in (0, 1, 3.99, 4, 22)]
    assert hours == [1, 2, 2, 1, 1]
    assert [at(sheet, 20 * DAY + hour * HOUR) for hour in (0, 1, 3.99, 4, 21.99, 22)] == [3, 3, 3, 1, 1, 3]
    assert at(sheet, 10 * DAY - 1) == 1


@given(st.floats(0, 100 * DAY), st.floats(0, 3 * DAY))
def test_between_two_changes_the_price_is_the_same(moment: float, later: float) -> None:
    rows = [row(1), row(2, 9 * DAY + 5.5), row(3, -inf, (HOUR, 4 * HOUR)), row(4, 50 * DAY, NIGHT)]
    sheet = PriceSheet(rows, "catalog", "")
    change = sheet.changes_at(moment)
    assert change > moment
    assert moment + later >= change or at(sheet, moment + later) == at(sheet, moment)


@given(st.integers(0, 400_000))
def test_a_step_has_the_price_of_all_tokens_beyond_its_bound(size: int) -> None:
    schedule = Schedule(Rates(1), ((200_000, Rates(3)), (100_000, Rates(2))))
    sheet = PriceSheet([PriceRow(schedule)], "catalog", "")
    found = sheet.rates(0.0, "", size)
    assert found is not None
    assert found.input == (3 if size > 200_000 else 2 if size > 100_000 else 1)
