"""What the ledger says, read from its database by plain means."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from proxy.config.schema import Database
from proxy.database.address import Address
from proxy.database.upkeep.opened import opened
from proxy.database.upkeep.verify import complete, differences
from proxy.ledger.recorder.folders import has_segments

_ROWS = 'SELECT request_id, attempt, provider, "end", usage_source, cost, endpoint, output FROM ledger'
_SUMS = "sum(attempts), sum(estimated), sum(unknown), sum(cost), sum(cost_estimated)"
_KEEP_DAYS = 90.0


async def drained(spool: Path, secs: float) -> None:
    """Wait until a recorder has written everything and removed the segments. Raises TimeoutError."""
    async with asyncio.timeout(secs):
        while has_segments(spool):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class LedgerRow(NamedTuple):
    """``request``, ``provider``: their numbers."""

    request: int
    attempt: int
    provider: int
    end: str
    source: str
    cost: int | None
    endpoint: str = ""
    output: int | None = None


class ProviderSums(NamedTuple):
    """Of the hours."""

    attempts: int
    estimated: int
    unknown: int
    cost: int
    cost_estimated: int


async def read_rows(where: Address) -> list[LedgerRow]:
    found = await query(where, _ROWS)
    return [LedgerRow(int(name.rpartition("-")[2]), n, int(of[1:]), *rest) for name, n, of, *rest in found]


async def read_sums(where: Address) -> dict[int, ProviderSums]:
    """The hours added up, by number of the provider."""
    found = await query(where, f"SELECT provider, {_SUMS} FROM ledger_hours GROUP BY provider")
    return {int(name[1:]): ProviderSums(*map(int, sums)) for name, *sums in found}


async def wrong_hours(database: Database, data_dir: Path) -> list[str]:
    """What ``sluice ledger verify`` finds."""
    async with opened(database, data_dir) as engine:
        period = await complete(engine, _KEEP_DAYS, time.time())
        return [f"{each.name} of {each.dimensions}" async for each in differences(engine, period)]


async def query(where: Address, statement: str) -> Sequence[tuple[Any, ...]]:
    """Rows of a statement, in a connection of its own."""
    if where.kind == "sqlite":
        with closing(sqlite3.connect(where.target)) as connection:
            return connection.execute(statement).fetchall()
    import asyncpg

    connection = await asyncpg.connect(where.target)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
