"""Entries in the database: all replicas that use it have the same ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError
from proxy.services.entries import Entries
from proxy.services.store.base import EntriesDown, EntryChange, RoutingChange
from proxy.services.store.sqlite_version import SqliteVersion

if TYPE_CHECKING:
    from proxy.services.store.routing_table import RoutingTable


class DatabaseEntries:
    """``sqlite``: reads the version of a SQLite file; ``None``: the engine does, as the database is another one."""

    durable: Final = True

    def __init__(self, engine: LazyEngine, sqlite: SqliteVersion | None = None) -> None:
        self._engine = engine
        self._sqlite = sqlite

    async def load(self) -> Entries:
        async with self._using() as table:
            return await table.load()

    async def version(self, known: int) -> int:
        if self._sqlite is not None:
            found = self._sqlite.read()
            return known if found is None else found
        async with self._using() as table:
            return await table.version()

    async def put(self, changes: Sequence[EntryChange], by: str, expected: int) -> int:
        async with self._using() as table:
            return await table.put(changes, by, expected)

    async def changes(self, limit: int, before: int = 0) -> Sequence[RoutingChange]:
        async with self._using() as table:
            return await table.changes(limit, before)

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[RoutingTable]:
        try:
            engine = self._engine.get()
            from proxy.services.store.routing_table import RoutingTable

            yield RoutingTable(engine)
        except Unreachable as reason:
            raise EntriesDown(str(reason)) from None
        except ConfigError as error:
            raise EntriesDown(" ".join(error.mistakes)) from None
