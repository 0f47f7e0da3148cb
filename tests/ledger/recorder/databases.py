"""Ledgers in both databases, with their tables, for tests of the recorder."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from proxy.database.address import Address
from proxy.database.migrate import upgrade
from proxy.ledger.recorder.base import LedgerDatabase
from proxy.ledger.recorder.databases import open_ledger
from tests.database.databases import address, new_database


@asynccontextmanager
async def migrated(kind: str, folder: Path) -> AsyncIterator[Address]:
    """A database with the ledger's tables."""
    async with new_database(kind, folder) as url:
        where = address(url)
        if kind == "sqlite":
            await make_file(Path(where.target))
        else:
            await upgrade(where)
        yield where


@asynccontextmanager
async def opened(where: Address) -> AsyncIterator[LedgerDatabase]:
    ledger = open_ledger(where)
    try:
        yield ledger
    finally:
        await ledger.close()


async def query(where: Address, statement: str) -> list[tuple[Any, ...]]:
    """Rows of a statement, in a connection of its own."""
    if where.kind == "sqlite":
        with closing(sqlite3.connect(where.target)) as connection, connection:
            return connection.execute(statement).fetchall()
    import asyncpg

    connection = await asyncpg.connect(where.target)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def make_file(path: Path) -> None:
    """A SQLite file with all tables."""
    shutil.copy(await _template(), path)


_templates: list[Path] = []


async def _template() -> Path:
    """A SQLite file with all tables: migrations take longer than a copy."""
    if not _templates:
        path = Path(tempfile.mkdtemp()) / "ledger.db"
        await upgrade(Address("sqlite", str(path)))
        _templates.append(path)
    return _templates[0]
