"""Rows of a month for the ledger's benchmark, and their way into a database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import accumulate, islice
from random import Random
from typing import Any, Final

from msgspec import structs
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database import drivers
from proxy.database.address import Address
from proxy.database.migrate import upgrade
from proxy.database.tables import LEDGER, LEDGER_HOURS, LEDGER_LABELS
from proxy.database.upkeep.hours import sums_of_rows, values_of
from proxy.database.upkeep.labels import label_sums
from proxy.database.usage_query import DAY, HOUR
from proxy.ledger.row import COLUMNS, Row

DAYS: Final = 30
END: Final = int(datetime(2026, 11, 29, 18, tzinfo=UTC).timestamp())
BEGIN: Final = END - DAYS * DAY

KEYS, OWNERS, MODELS, PROVIDERS = 50, 20, 20, 5
NIGHT: Final = 0.2  # calls in an hour of the night, for one in an hour of the day
BATCH: Final = 5000
_PLACE_OF_LABELS: Final = COLUMNS.index("labels")
_MONTHS: Final = (
    f"CREATE TABLE ledger_{month:%Y_%m} PARTITION OF ledger FOR VALUES FROM ({month.timestamp():.0f}) TO ({after.timestamp():.0f})"
    for month, after in (
        (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    )
)


def rows(count: int) -> Iterator[list[Any]]:
    """Values in the order of ``COLUMNS``, by time, the same in each run."""
    chance = Random(1)
    habits = [_habit(chance, number) for number in range(KEYS)]
    shares = [*accumulate(1 / (number + 1) for number in range(KEYS))]
    for number, at in enumerate(_moments(chance, count)):
        base, models, shares_of_models = chance.choices(habits, cum_weights=shares)[0]
        model = chance.choices(models, cum_weights=shares_of_models)[0]
        yield _values(base, chance, number, at, model)


def _moments(chance: Random, count: int) -> Iterator[float]:
    """More of them by day than by night."""
    hours = range(BEGIN, END, HOUR)
    shares = [1.0 if 7 <= hour // HOUR % 24 < 19 else NIGHT for hour in hours]
    for hour, share in zip(hours, shares, strict=True):
        within = round(count * share / sum(shares))
        yield from sorted(hour + chance.random() * HOUR for _ in range(within))


def _habit(chance: Random, number: int) -> tuple[list[Any], list[int], list[float]]:
    """A key: the values of its rows, and the models that it uses, the first one most."""
    row = Row(
        *("", 0.0, "", 1, "chat/completions", True, "openai.chat", "openai.chat", "", "", "", ""),
        client=f"key:{number:02}",
        key=f"key-{number:02}",
        owner=f"owner-{number % OWNERS:02}",
        team=f"team-{number % 4}",
        project=f"project-{number % 10}",
        answered=True,
        end="ok",
        status=200,
        usage_source="provider",
        cost_source="catalog",
        price_version="2026-11-01",
    )
    models = chance.sample(range(MODELS), chance.randint(1, 4))
    values = [*structs.astuple(row)]
    values[_PLACES["counters"]] = None
    return values, models, [*accumulate(4.0**-place for place, _ in enumerate(models))]


def _values(base: list[Any], chance: Random, number: int, at: float, model: int) -> list[Any]:
    found = base.copy()
    fallen = chance.random() < 0.03  # back to another provider
    provider = (model + fallen) % PROVIDERS
    found[0], found[1], found[2] = f"n0a1b2c3d4e5f607{number}", at, f"{number:032x}"
    found[8], found[9], found[10] = f"model-{model:02}", f"provider-{provider}", f"provider-{provider}/model-{model:02}"
    found[11] = f"upstream-{model:02}"
    tokens = chance.randrange(200, 20_000)
    app, run = chance.randrange(5), number // (400 * KEYS)
    found[_PLACE_OF_LABELS] = f'{{"app":"app-{app}","env":"prod"}}'
    if chance.random() < 0.04:
        found[_PLACES["end"]], found[_PLACES["answered"]] = chance.choice(_FAILURES), False
    for name, value in (
        *(("run", f"{base[12]}-{run}"), ("bytes_in", 4 * tokens), ("bytes_out", 9000)),
        *(("first_content_ms", 300 + 400 * chance.random()), ("ended_ms", 2000 + 4000 * chance.random())),
        *(("input", tokens), ("cached", tokens // 2), ("output", chance.randrange(10, 1500)), ("reasoning", 0)),
        ("cost", 2500 * tokens),
    ):
        found[_PLACES[name]] = value
    return found


_FAILURES: Final = ("rate_limit", "server_error", "timeout", "client_gone")
_PLACES: Final = {name: place for place, name in enumerate(COLUMNS)}


async def fill(address: Address, count: int) -> int:
    """Make the tables, insert the rows, and their sums. Returns the number of sums."""
    await upgrade(address)
    source = rows(count)
    if address.kind == "sqlite":
        await asyncio.to_thread(_fill_sqlite, address.target, source)
    else:
        await _fill_postgres(address.target, source)
    engine = drivers.open_single(address, 60.0)
    async with engine.begin() as connection:
        found = await _add_sums(connection)
    async with engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).exec_driver_sql("ANALYZE")
    await engine.dispose()
    return found


def _fill_sqlite(path: str, source: Iterator[Sequence[Any]]) -> None:
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    statement = f"INSERT INTO ledger ({columns}) VALUES ({', '.join('?' * len(COLUMNS))})"
    with closing(sqlite3.connect(path)) as connection:
        while batch := [*islice(source, BATCH)]:
            connection.executemany(statement, batch)
            connection.commit()


async def _fill_postgres(dsn: str, source: Iterator[Sequence[Any]]) -> None:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        for statement in _MONTHS:
            await connection.execute(statement)
        while batch := [*islice(source, BATCH)]:
            await connection.copy_records_to_table("ledger", records=batch, columns=COLUMNS)
    finally:
        await connection.close()


async def _add_sums(connection: AsyncConnection) -> int:
    count = 0
    for begin in range(BEGIN, END, DAY):
        period = (LEDGER.c.at >= begin, LEDGER.c.at < begin + DAY)
        found = [values_of(each) for each in await connection.execute(sums_of_rows(*period))]
        if found:
            await connection.execute(insert(LEDGER_HOURS), found)
        labels = await label_sums(connection, *period)
        if labels:
            await connection.execute(insert(LEDGER_LABELS), labels)
        count += len(found) + len(labels)
    return count
