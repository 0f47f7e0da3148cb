"""Compares the sums by hour, of dimensions and of labels, with the rows that they are of, and writes them anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.database.columns import ALL, DIMENSIONS, LABEL_DIMENSIONS, digest
from proxy.database.tables import LEDGER, LEDGER_HOURS, LEDGER_LABELS
from proxy.database.upkeep import labels
from proxy.database.upkeep.hours import sums_of_rows, values_of
from proxy.database.upkeep.opened import alone, reading
from proxy.database.usage_query import DAY, HOUR, MEASURES, SUMS

MARGIN: Final = HOUR  # seconds that a run may take, during which retention goes on

_Sums = dict[tuple[Any, ...], Mapping[str, int]]  # by hour and dimensions

_NOTHING: Final[Mapping[str, int]] = dict.fromkeys(MEASURES, 0)


class Difference(Struct, frozen=True):
    """A figure of an hour. ``hour`` is in Unix seconds. ``kept``: what its table says; ``found``: the rows.

    ``dimensions``: those of ``ledger_hours``, or a label, ``run`` or ``label`` (any) and those of ``ledger_labels``.
    """

    hour: int
    dimensions: dict[str, str]
    name: str
    kept: int | str
    found: int | str


class Period(Struct, frozen=True):
    """The hours that have all their rows, in Unix seconds. ``bare``: number of earlier hours that have none or some."""

    first: int
    last: int  # the end, which is not part of it
    bare: int

    @property
    def hours(self) -> int:
        return max(0, self.last - self.first) // HOUR


async def complete(engine: AsyncEngine, keep_days: float, now: float) -> Period:
    """Find the hours whose rows are all kept: retention deletes rows older than ``keep_days``, whatever the hour.

    It may have deleted more while ``keep_days`` was less. So the hour of the oldest row counts only if no sum is older.
    """
    async with reading(engine) as connection, connection.begin():
        kept_from = _next_hour(now - keep_days * DAY + MARGIN)
        rows, sums = LEDGER.c.at, LEDGER_HOURS.c.hour
        of_rows = select(func.min(rows), func.max(rows)).where(rows >= kept_from)
        oldest, newest = (await connection.execute(of_rows)).one()
        first_sum, last_sum = (await connection.execute(select(func.min(sums), func.max(sums)))).one()
        last = _next_hour(max(now, newest or 0.0, last_sum or 0))
        if oldest is None:
            first = last
        else:
            first = int(oldest) // HOUR * HOUR
            if first > kept_from and first_sum is not None and first_sum < first:
                first += HOUR
        bare = await connection.execute(select(func.count(sums.distinct())).where(sums < first))
        return Period(first, last, bare.scalar_one())


async def differences(engine: AsyncEngine, period: Period) -> AsyncIterator[Difference]:
    """The figures that differ, by hour. A day is read at a time."""
    async with reading(engine) as connection:
        for begin in range(period.first, period.last, DAY):
            end = min(begin + DAY, period.last)
            async with connection.begin():
                found = await _of_rows(connection, begin, end)
                kept, wrong = await _of_hours(connection, begin, end)
                wrong += [each async for each in _of_labels(connection, begin, end)]
            for each in sorted([*wrong, *_compared(kept, found)], key=lambda each: each.hour):
                yield each


async def repair(engine: AsyncEngine, hours: Iterable[int]) -> None:
    """Write the sums of these hours anew. All their rows must be kept. A transaction for each."""
    for hour in hours:
        async with alone(engine) as connection:
            period = (LEDGER.c.at >= hour, LEDGER.c.at < hour + HOUR)
            found = [values_of(each) for each in await connection.execute(sums_of_rows(*period))]
            await connection.execute(delete(LEDGER_HOURS).where(LEDGER_HOURS.c.hour == hour))
            if found:
                await connection.execute(insert(LEDGER_HOURS), found)
            await labels.rewrite(connection, hour)


def _next_hour(moment: float) -> int:
    return int(-(-moment // HOUR)) * HOUR


async def _of_rows(connection: AsyncConnection, begin: int, end: int) -> _Sums:
    found = await connection.execute(sums_of_rows(LEDGER.c.at >= begin, LEDGER.c.at < end))
    return {_key(values): values for values in map(values_of, found)}


async def _of_hours(connection: AsyncConnection, begin: int, end: int) -> tuple[_Sums, list[Difference]]:
    """The sums, and the digests that are wrong: the recorder would not find these sums again."""
    hours: dict[tuple[Any, ...], Counter[str]] = {}
    wrong = []
    table = LEDGER_HOURS.c
    for row in await connection.execute(select(LEDGER_HOURS).where(table.hour >= begin, table.hour < end)):
        values = row._asdict()
        hours.setdefault(_key(values), Counter()).update({name: values[name] for name in MEASURES})
        right = digest([values[name] for name in DIMENSIONS])
        if values["digest"] != right:
            wrong.append(Difference(values["hour"], _dimensions(values), "digest", values["digest"], right))
    return {**hours}, wrong


def _compared(kept: _Sums, found: _Sums) -> Iterator[Difference]:
    for key in kept.keys() | found.keys():
        ours, theirs = kept.get(key, _NOTHING), found.get(key, _NOTHING)
        for name in MEASURES:
            if ours[name] != theirs[name]:
                hour, *names = key
                yield Difference(hour, dict(zip(DIMENSIONS, names, strict=True)), name, ours[name], theirs[name])


async def _of_labels(connection: AsyncConnection, begin: int, end: int) -> AsyncIterator[Difference]:
    """Figures by label that differ. Hours that are older than these sums are left out."""
    begin = max(begin, await labels.begin_of(connection))
    rows = await labels.label_sums(connection, LEDGER.c.at >= begin, LEDGER.c.at < end)
    found = {_label_key(each): each for each in rows}
    table = LEDGER_LABELS.c
    period = (table.name.in_(await labels.names_of(connection)), table.hour >= begin, table.hour < end)
    there = await connection.execute(select(LEDGER_LABELS).where(*period))
    kept = {_label_key(each): each for each in (row._asdict() for row in there)}
    for key in kept.keys() | found.keys():
        ours, theirs = kept.get(key, {}), found.get(key, {})
        names = _label_dimensions(ours or theirs)
        for name in SUMS:
            if ours.get(name, 0) != theirs.get(name, 0):
                yield Difference(key[0], names, name, ours.get(name, 0), theirs.get(name, 0))
        if ours and ours["digest"] != labels.digest_of(ours):
            yield Difference(key[0], names, "digest", ours["digest"], labels.digest_of(ours))


def _label_key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return (values["hour"], values["name"], values["value"], values["digest"])


def _label_dimensions(values: Mapping[str, Any]) -> dict[str, str]:
    name = {"label": "any"} if values["name"] == ALL else {values["name"]: values["value"]}
    return name | {each: values[each] for each in LABEL_DIMENSIONS}


def _key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return (values["hour"], *(values[name] for name in DIMENSIONS))


def _dimensions(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: values[name] for name in DIMENSIONS}
