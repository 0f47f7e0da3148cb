"""Sums by hour and label, made from the rows as the recorder adds them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.database.columns import ALL, LABEL, LABEL_DIMENSIONS, LOST, RUN, digest
from proxy.database.tables import LEDGER, LEDGER_LABELS, LEDGER_LABELS_BEGIN
from proxy.database.upkeep.opened import alone
from proxy.database.usage_query import HOUR, SUMS, Whole, hour_of, measures_of_rows

COLUMNS: Final = ("name", "hour", "value", *LABEL_DIMENSIONS, *SUMS)

_EACH: Final = {"sqlite": func.json_each, "postgresql": func.json_each_text}


async def label_sums(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> list[dict[str, Any]]:
    """Values of ``LEDGER_LABELS``, from the rows that meet the conditions."""
    found: list[dict[str, Any]] = []
    for statement in _statements(connection.dialect.name, conditions):
        for row in await connection.execute(statement):
            values = dict(zip(COLUMNS, row, strict=True))
            values.update((name, int(values[name])) for name in SUMS)  # PostgreSQL adds integers to a numeric
            values["digest"] = digest_of(values)
            found.append(values)
    return found


def digest_of(values: dict[str, Any]) -> str:
    return digest([values["value"], *(values[name] for name in LABEL_DIMENSIONS)])


def _statements(dialect: str, conditions: Sequence[ColumnElement[bool]]) -> list[Select[Any]]:
    each = _EACH[dialect](LEDGER.c.labels).table_valued("key", "value", name="each")
    key: ColumnElement[str] = literal(LABEL, Text).concat(each.c.key)
    labels = _sums(key, each.c.value, *conditions, each.c.value != "").select_from(LEDGER.join(each, true()))
    runs = _sums(literal_column(f"'{RUN}'", Text), LEDGER.c.run, *conditions, LEDGER.c.run != literal_column("''"))
    return [_sums(literal_column(f"'{ALL}'", Text), literal_column("''", Text), *conditions), runs, labels]


def _sums(name: ColumnElement[str], value: ColumnElement[str], *conditions: ColumnElement[bool]) -> Select[Any]:
    keys: list[ColumnElement[Any]] = [
        name.label("label"),
        hour_of(Whole(LEDGER.c.at)).label("hour"),
        value.label("of"),
        *_dimensions(),
    ]
    lasted = func.sum(case((LEDGER.c.end != LOST, literal_column("1", BigInteger)), else_=0))
    found = select(*keys, *measures_of_rows(), lasted).where(*conditions)
    return found.group_by(*(literal_column(str(place)) for place, _ in enumerate(keys, 1)))


def _dimensions() -> list[ColumnElement[Any]]:
    return [LEDGER.c[name] for name in LABEL_DIMENSIONS]


# -- writing ------------------------------------------------------------------------------------------


async def rewrite(connection: AsyncConnection, hour: int) -> None:
    """Replace the sums of an hour by those of its rows."""
    table = LEDGER_LABELS.c
    found = await label_sums(connection, LEDGER.c.at >= hour, LEDGER.c.at < hour + HOUR)
    await connection.execute(
        delete(LEDGER_LABELS).where(table.name.in_(await names_of(connection)), table.hour == hour)
    )
    if found:
        await connection.execute(insert(LEDGER_LABELS), found)


async def names_of(connection: AsyncConnection) -> list[str]:
    """The names in the table, found one by one in its index."""
    found: list[str] = []
    while True:
        smallest = select(func.min(LEDGER_LABELS.c.name))
        if found:
            smallest = smallest.where(LEDGER_LABELS.c.name > found[-1])
        name = (await connection.execute(smallest)).scalar_one()
        if name is None:
            return found
        found.append(name)


# -- hours that are older than these sums -------------------------------------------------------------


async def begin_of(connection: AsyncConnection) -> int:
    """Unix seconds of the hour from which on all rows have their sums; 0: all have."""
    return (await connection.execute(select(LEDGER_LABELS_BEGIN.c.hour))).scalar_one_or_none() or 0


async def unfilled(engine: AsyncEngine, first: int, now: float) -> int:
    """Number of hours since ``first`` that lack their sums by label."""
    async with engine.connect() as connection:
        return max(0, await _last(connection, now) - first) // HOUR


async def fill(engine: AsyncEngine, first: int, now: float) -> AsyncIterator[int]:
    """Write the sums of hours that lack them, back to ``first``, which are all that have their rows. Yields each hour.

    A transaction for each, after which the sums of that hour and later ones are used.
    """
    while True:
        async with alone(engine) as connection:
            hour = await _last(connection, now) - HOUR
            if hour < first:
                await connection.execute(delete(LEDGER_LABELS_BEGIN))
                return
            await rewrite(connection, hour)
            await connection.execute(update(LEDGER_LABELS_BEGIN).values(hour=hour))
        yield hour


async def _last(connection: AsyncConnection, now: float) -> int:
    """The end of the hours that lack sums, in Unix seconds; 0: there are none. Hours of the future have no rows."""
    return min(await begin_of(connection), int(now) // HOUR * HOUR + HOUR)
