"""The databases of the rounds: whether the recorder is in a transaction there, and how they are killed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

from proxy.config.schema import Database
from proxy.database.address import Address, address_of
from tests.support.postgres import OwnPostgres

_BUSY = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice-recorder' AND xact_start IS NOT NULL"


class Store(Protocol):
    settings: Database
    address: Address

    async def busy(self) -> bool:
        """Whether the recorder, which is stopped, is in a transaction that writes."""
        ...

    def kill(self) -> None: ...

    async def start(self) -> None: ...


class SqliteStore:
    """A file, so there is nothing to kill but the recorder."""

    def __init__(self, folder: Path) -> None:
        self.settings = Database(url=f"sqlite:///{folder}/ledger.db")
        self.address = address_of(self.settings, folder)
        self._uri = f"file:{self.address.target}?mode=rw"

    async def busy(self) -> bool:
        with closing(sqlite3.connect(self._uri, uri=True, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
            return False

    def kill(self) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        raise NotImplementedError


class PostgresStore:
    """A server of its own."""

    def __init__(self, server: OwnPostgres) -> None:
        self._server = server
        self.settings = Database(url=server.url)
        self.address = address_of(self.settings, "")

    async def busy(self) -> bool:
        import asyncpg

        connection = await asyncpg.connect(self.address.target)
        try:
            return bool(await connection.fetchval(_BUSY))
        finally:
            await connection.close()

    def kill(self) -> None:
        self._server.kill()

    async def start(self) -> None:
        await self._server.start()
