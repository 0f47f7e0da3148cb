"""SQL of entries and their changes. Imported only where a database has entries."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.engine import Engine
from proxy.database.statements import insert_new
from proxy.database.tables import ROUTING_CHANGES, ROUTING_ENTRIES, Now
from proxy.runtime.portions import in_portions
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.store.base import EntriesChanged, EntryChange, RoutingChange

_ENTRY = ROUTING_ENTRIES.c
_CHANGE = ROUTING_CHANGES.c
_COLUMNS = _ENTRY.kind, _ENTRY.name, _ENTRY.body, _ENTRY.version, _ENTRY.changed_at, _ENTRY.changed_by
PORTION: Final = 250
_VERSION = select(func.coalesce(func.max(_CHANGE.seq), 0))


class RoutingTable:
    """Every method raises ``health.Unreachable``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def load(self) -> Entries:
        # The version is read first: rows may be newer, never older, so a follower misses nothing.
        query = select(*_COLUMNS).order_by(_ENTRY.kind, _ENTRY.name)

        async def work(connection: AsyncConnection) -> tuple[int, Sequence[Any]]:
            version: int = (await connection.execute(_VERSION)).scalar_one()
            return version, (await connection.execute(query)).all()

        version, rows = await self._engine.read(work)
        return Entries.of(version, await in_portions(_entries(rows)))

    async def version(self) -> int:
        async def work(connection: AsyncConnection) -> int:
            found: int = (await connection.execute(_VERSION)).scalar_one()
            return found

        return await self._engine.read(work)

    async def put(self, changes: Sequence[EntryChange], by: str, expected: int) -> int:
        """See ``EntryStore``. Two writers insert the same ``seq``: PostgreSQL lets the second wait for the first."""

        async def work(connection: AsyncConnection) -> int:
            version: int = (await connection.execute(_VERSION)).scalar_one()
            if version != expected:
                raise EntriesChanged
            at = (await connection.execute(select(Now()))).scalar_one()
            for each in changes:
                version += await _apply(connection, each, by, version + 1, at)
            return version

        return await self._engine.write(work)

    async def changes(self, limit: int, before: int = 0) -> list[RoutingChange]:
        columns = _CHANGE.seq, _CHANGE.kind, _CHANGE.name, _CHANGE.before, _CHANGE.after, _CHANGE.at, _CHANGE.by
        query = select(*columns).order_by(_CHANGE.seq.desc()).limit(limit)
        if before:
            query = query.where(_CHANGE.seq < before)

        async def work(connection: AsyncConnection) -> list[RoutingChange]:
            rows = await connection.execute(query)
            return [
                RoutingChange(seq, kind, name, _optional(old), _optional(new), at, by)
                for seq, kind, name, old, new, at, by in rows
            ]

        return await self._engine.read(work)


def _entries(rows: Sequence[Any]) -> Generator[None, None, list[RoutingEntry]]:
    """Yields after every ``PORTION`` rows: with 1,000 services and their routes they take 3 ms."""
    found: list[RoutingEntry] = []
    for kind, name, text, *rest in rows:
        found.append(RoutingEntry(kind, name, _body(text), *rest))
        if not len(found) % PORTION:
            yield
    yield  # what is done with them takes 2 ms more
    return found


async def _apply(connection: AsyncConnection, change: EntryChange, by: str, version: int, at: float) -> int:
    """Returns how many changes were made. Raises EntriesChanged."""
    row = (_ENTRY.kind == change.kind) & (_ENTRY.name == change.name)
    before = (await connection.execute(select(_ENTRY.body).where(row))).scalar_one_or_none()
    after = None if change.body is None else msgspec.json.encode(change.body).decode()
    if before is None and after is None:
        return 0
    named = {"kind": change.kind, "name": change.name}
    noted = {**named, "seq": version, "before": before, "after": after, "at": at, "by": by}
    if not await insert_new(connection, ROUTING_CHANGES, noted):
        raise EntriesChanged
    values = {"body": after, "version": version, "changed_at": at, "changed_by": by}
    if after is None:
        await connection.execute(delete(ROUTING_ENTRIES).where(row))
    elif before is not None:
        await connection.execute(update(ROUTING_ENTRIES).where(row).values(values))
    elif not await insert_new(connection, ROUTING_ENTRIES, {**named, **values}):
        raise EntriesChanged
    return 1


def _body(text: str) -> Mapping[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])


def _optional(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else _body(text)
