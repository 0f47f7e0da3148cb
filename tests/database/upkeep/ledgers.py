"""A ledger with rows and sums for tests: a SQLite file, or a PostgreSQL with a partition for each month."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from msgspec import structs
from sqlalchemy import Executable, Row, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database import drivers
from proxy.database.migrate import upgrade
from proxy.database.tables import LEDGER, LEDGER_HOURS, LEDGER_LABELS
from proxy.ledger.row import Row as Attempt
from tests.database.databases import address, new_database
from tests.ledger.rows import ROW
from tests.ledger.store import put

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC).timestamp()
HOUR = 3600
MONTHS = tuple(datetime(2026, month, 1, tzinfo=UTC) for month in (9, 10, 11, 12))


@asynccontextmanager
async def ledger(kind: str, folder: Path, rows: Iterable[Attempt]) -> AsyncIterator[tuple[str, AsyncEngine]]:
    """Its URL and an engine."""
    async with new_database(kind, folder) as url:
        await upgrade(address(url))
        engine = drivers.open_single(address(url), 5.0)
        if kind == "postgresql":
            for begin, end in pairwise(MONTHS):
                bounds = f"FROM ({begin.timestamp():.0f}) TO ({end.timestamp():.0f})"
                await run(engine, text(f"CREATE TABLE ledger_{begin:%Y_%m} PARTITION OF ledger FOR VALUES {bounds}"))
        await put(url, rows)
        try:
            yield url, engine
        finally:
            await engine.dispose()


def attempt(number: int, at: float, **changes: object) -> Attempt:
    """A row with another id, and usage that the provider reported."""
    row = structs.replace(ROW, id=f"n{number}", at=at, request_id=f"r{number}", usage_source="provider", cost=number)
    return structs.replace(row, **changes)


async def run(engine: AsyncEngine, statement: Executable) -> None:
    async with engine.begin() as connection:
        await connection.execute(statement)


async def rows_of(engine: AsyncEngine) -> list[Row]:
    async with engine.connect() as connection:
        return [*await connection.execute(select(LEDGER).order_by(LEDGER.c.at, LEDGER.c.id))]


async def hours_of(engine: AsyncEngine) -> list[Row]:
    async with engine.connect() as connection:
        return [*await connection.execute(select(LEDGER_HOURS).order_by(LEDGER_HOURS.c.hour, LEDGER_HOURS.c.digest))]


async def labels_of(engine: AsyncEngine) -> list[Row]:
    table = LEDGER_LABELS.c
    async with engine.connect() as connection:
        return [*await connection.execute(select(LEDGER_LABELS).order_by(table.name, table.hour, table.digest))]
