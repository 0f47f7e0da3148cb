"""Outboxes in both databases, with rows that a test inserts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from proxy.database.address import Address
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.outbox_rows import DeadFilter
from proxy.database.outbox_views import OutboxTable
from tests.ledger.recorder.databases import query

AT = 1_790_000_000.0
RECEIVER = "broker"


async def insert(
    where: Address, *ids: str, receiver: str = RECEIVER, at: float = AT, type_: str = "ai_usage", due: float = 0.0
) -> None:
    """Put an event with each of these ids into the outbox."""
    statement = "INSERT INTO outbox (id, receiver, type, at, body, due) VALUES ({})"
    rows = [(each, receiver, type_, at, f'{{"id":"{each}"}}', due) for each in ids]
    if where.kind == "sqlite":
        with closing(sqlite3.connect(where.target)) as connection, connection:
            connection.executemany(statement.format("?, ?, ?, ?, ?, ?"), rows)
        return
    import asyncpg

    connection = await asyncpg.connect(where.target)
    try:
        await connection.executemany(statement.format("$1, $2, $3, $4, $5, $6"), rows)
    finally:
        await connection.close()


async def left(where: Address) -> list[tuple[Any, ...]]:
    """Id, tries, error and whether it is dead, of all rows."""
    return await query(where, "SELECT id, tries, error, dead_at IS NOT NULL FROM outbox ORDER BY seq")


async def send_again(where: Address, id_: str) -> None:
    """As its operator does."""
    engine = Engine(where, DatabaseHealth())
    try:
        assert (await OutboxTable(engine).send_again(DeadFilter(ids=[id_]))).count == 1
    finally:
        await engine.close()


async def receiver_row(where: Address, *columns: str, receiver: str = RECEIVER) -> tuple[Any, ...]:
    names: Sequence[str] = columns or ("sent", "failures", "error")
    [found] = await query(where, f"SELECT {', '.join(names)} FROM event_receivers WHERE name = '{receiver}'")
    return found
