"""What was used and what it cost, grouped: the SQL over the sums by hour, or over the rows where those do not suffice.

Times are Unix seconds. A period is taken in whole hours, as the sums are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Select, Table, and_, case, func, literal, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from proxy.database.columns import CACHED, CLASSES, COSTS, COUNTS, LABEL, LABEL_DIMENSIONS, LOST, RUN, SAVINGS
from proxy.database.tables import LEDGER, LEDGER_HOURS

HOUR: Final = 3600
DAY: Final = 86400
TIMES: Final = ("hour", "day", "month")
MEASURES: Final = (*COUNTS, *CLASSES, *COSTS, *SAVINGS)
SUMS: Final = (*MEASURES, "with_duration")  # the last one is not stored: all attempts but the lost ones


class UsageQuery(Struct, frozen=True):
    """``groups``: names of ``TIMES``, ``DIMENSIONS``, ``run``, or ``label:NAME``. ``filters``: values by such names,
    without the times. ``start`` to ``end``: widened to whole hours. ``zone``: of days and months. ``exact``: not
    widened, which takes the rows.
    """

    groups: Sequence[str]
    filters: Mapping[str, str]
    start: int
    end: int
    zone: ZoneInfo
    exact: bool = False

    @property
    def first(self) -> int:
        return self.start if self.exact else self.start // HOUR * HOUR

    @property
    def last(self) -> int:
        """The end of the period, which is not part of it."""
        return self.end if self.exact else -(-self.end // HOUR) * HOUR

    @property
    def by_dimensions(self) -> bool:
        """Whether the sums by hour and dimensions have what is asked for."""
        return not self.exact and not self._labels

    @property
    def label(self) -> str | None:
        """``run`` or ``label:NAME``, if the sums by hour and label have what is asked for.

        They do not tell apart two labels of a row, nor models. Of one run there are few rows, and an index.
        """
        labels = self._labels
        others = {*self.groups, *self.filters} - labels
        if self.exact or len(labels) != 1 or self.filters.get(RUN) or not others <= {*TIMES, *LABEL_DIMENSIONS}:
            return None
        return next(iter(labels))

    @property
    def _labels(self) -> set[str]:
        return {name for name in (*self.groups, *self.filters) if name == RUN or name.startswith(LABEL)}


class Whole(ColumnElement[int]):
    """A number without its fraction; it is not negative."""

    type = BigInteger()
    inherit_cache = True

    def __init__(self, number: ColumnElement[float]) -> None:
        self.number = number


@compiles(Whole, "postgresql")
def _postgresql(element: Whole, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(floor({compiler.process(element.number, **options)}) AS BIGINT)"


@compiles(Whole, "sqlite")
def _sqlite(element: Whole, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.number, **options)} AS INTEGER)"  # it truncates, PostgreSQL rounds


def statement(query: UsageQuery) -> Select[Any]:
    """Read the sums by hour and dimensions, or else the rows.

    Columns: each group in order (a time as the Unix seconds of its begin), ``last_hour``, then ``SUMS``.
    """
    if not query.by_dimensions:
        table, hour = LEDGER, hour_of(Whole(LEDGER.c.at))
        period = and_(LEDGER.c.at >= query.first, LEDGER.c.at < query.last)
        measures, attempts = measures_of_rows(), literal_column("1", BigInteger)
    else:
        table, hour = LEDGER_HOURS, LEDGER_HOURS.c.hour
        period = and_(hour >= query.first, hour < query.last)
        measures, attempts = [func.sum(table.c[name]).label(name) for name in MEASURES], table.c.attempts
    measures.append(func.sum(case((table.c.end != LOST, attempts), else_=0)).label("with_duration"))
    groups = [
        (time_of(hour, name, query) if name in TIMES else _member(table, name)).label(f"group_{place}")
        for place, name in enumerate(query.groups)
    ]
    filters = [_member(table, name) == value for name, value in query.filters.items()]
    if query.filters.get(RUN):
        filters.append(LEDGER.c.run != literal_column("''"))  # else SQLite does not use the index, which has no others
    found = select(*groups, func.max(hour).label("last_hour"), *measures).where(period, *filters)
    return found.group_by(*(group.name for group in groups)) if groups else found


def hour_of(second: ColumnElement[int]) -> ColumnElement[int]:
    return second - second % HOUR


def time_of(hour: ColumnElement[int], name: str, query: UsageQuery) -> ColumnElement[int]:
    """The begin of the hour, day or month; ``name``: one of ``TIMES``."""
    if name == "hour":
        return hour
    return _day_of(hour, query) if name == "day" else _month_of(hour, query)


def _member(table: Table, name: str) -> ColumnElement[Any]:
    if name.startswith(LABEL):
        return func.coalesce(table.c.labels[name.removeprefix(LABEL)].as_string(), "")
    return table.c[name]


def _day_of(hour: ColumnElement[int], query: UsageQuery) -> ColumnElement[int]:
    """The Unix seconds at which the day of ``hour`` would begin if the zone were UTC."""
    *earlier, (_, last) = offsets(query.zone, query.first, query.last)
    shift: ColumnElement[int] = literal(last)
    if earlier:
        shift = case(*((hour < until, literal(offset)) for until, offset in earlier), else_=literal(last))
    local = hour + shift
    return local - local % DAY


def _month_of(hour: ColumnElement[int], query: UsageQuery) -> ColumnElement[int]:
    """The Unix seconds at which the month of ``hour`` would begin if the zone were UTC.

    Months are made here and not of their days in Python, as a limit of groups would cut off days.
    """
    *earlier, (_, last) = months(query.zone, query.first, query.last)
    begin: ColumnElement[int] = literal(last, BigInteger)
    return case(*((hour < until, literal(of)) for until, of in earlier), else_=begin) if earlier else begin


def months(zone: ZoneInfo, first: int, last: int) -> list[tuple[int, int]]:
    """The zone's months between two hours: when each ends, and when it would begin in UTC, in Unix seconds."""
    month = datetime.fromtimestamp(first, zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    found = []
    while True:
        following = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
        found.append((int(following.timestamp()), int(month.replace(tzinfo=UTC).timestamp())))
        if found[-1][0] >= last:
            return found
        month = following


def offsets(zone: ZoneInfo, first: int, last: int) -> list[tuple[int, int]]:
    """The zone's offsets from UTC in seconds between two hours, each with the hour at which it ends."""
    found: list[tuple[int, int]] = []
    current = _offset(zone, first)
    for hour in _hours_of_change(zone, first, last):
        following = _offset(zone, hour)
        if following != current:
            found.append((hour, current))
            current = following
    return [*found, (last, current)]


def _hours_of_change(zone: ZoneInfo, first: int, last: int) -> Iterator[int]:
    """The hours at which the offset changes: found by days, then by halves."""
    for day in range(first, last, DAY):
        low, high = day, min(day + DAY, last)
        if _offset(zone, low) == _offset(zone, high):
            continue
        before = _offset(zone, low)
        while high - low > HOUR:
            middle = low + (high - low) // (2 * HOUR) * HOUR
            low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
        yield high


def _offset(zone: ZoneInfo, moment: int) -> int:
    found = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    assert found is not None
    return int(found.total_seconds())


def measures_of_rows() -> list[ColumnElement[Any]]:
    """As the recorder adds rows to the sums by hour (``ledger/recorder``)."""
    row = LEDGER.c
    estimated, unknown = row.usage_source == "estimated", row.usage_source == "unknown"
    known, used = row.usage_source.in_(("provider", "none")), row.usage_source.in_(("provider", "estimated"))
    found: dict[str, ColumnElement[Any]] = {
        "attempts": func.count(),
        "answered": _number(row.answered),
        "failed": _number(~row.answered),
        "estimated": _number(estimated),
        "unknown": _number(unknown),
        "unpriced": _number(and_(row.cost.is_(None), used)),
        "duration_ms": _sum(Whole(row.ended_ms + 0.5)),
        "first_content_ms": _sum(Whole(row.first_content_ms + 0.5)),
        "with_first_content": func.count(row.first_content_ms),
        "cost": _sum(case((known, row.cost))),
        "cost_estimated": _sum(case((~known, row.cost))),
        **{name: _sum(row[name]) for name in CLASSES},
        "from_cache": _number(row.end == CACHED),
        "saved": _sum(row.saved),
    }
    return [found[name].label(name) for name in MEASURES]


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _sum(number: ColumnElement[Any]) -> ColumnElement[int]:
    """0 without any value."""
    return func.coalesce(func.sum(number), 0)
