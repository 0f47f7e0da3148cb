"""SQL statements for API keys. A record is a row as a mapping from column names to values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Row, Update, false, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from proxy.database.engine import Engine
from proxy.database.outbox import OutboxRow, add_rows
from proxy.database.tables import API_KEYS, Now

Record = Mapping[str, Any]

_ROW = API_KEYS.c
_NAMES = tuple(str(name) for name in _ROW.keys())  # plain str, unlike the names in a row  # noqa: SIM118
_LIVE = _ROW.deleted == false()


class KeyEvents(Protocol):
    """Makes events of changes. ``before`` is ``None`` for a new key."""

    def wanted(self) -> bool:
        """Whether there is anyone who gets them."""

    def rows(self, before: Record | None, after: Record) -> Sequence[OutboxRow]:
        """What the outbox gets in the same transaction."""

    def committed(self, before: Record | None, after: Record) -> None:
        """The transaction was committed."""


class KeyTable:
    """Only ``changed`` returns deleted keys. Every method raises ``health.Unreachable``."""

    def __init__(self, engine: Engine, events: KeyEvents | None = None) -> None:
        self.engine = engine
        self._events = events

    async def found(self, hashes: Sequence[str]) -> list[Record]:
        """The keys with one of these hashes, current or previous."""
        some = or_(_ROW.hash.in_(hashes), _ROW.previous_hash.in_(hashes))

        async def work(connection: AsyncConnection) -> list[Record]:
            return _records(await connection.execute(select(API_KEYS).where(some, _LIVE)))

        return await self.engine.read(work)

    async def get(self, id: str) -> Record | None:  # noqa: A002 - the column's name
        async def work(connection: AsyncConnection) -> list[Record]:
            return _records(await connection.execute(select(API_KEYS).where(_ROW.id == id, _LIVE)))

        return _one(await self.engine.read(work))

    async def page(self, limit: int, after: str) -> list[Record]:
        """Up to ``limit`` keys, oldest first, after the one with id ``after``, deleted or not; ``""``: the first."""
        query = select(API_KEYS).where(_LIVE).order_by(_ROW.created_at, _ROW.id).limit(limit)
        if after:
            place = select(_ROW.created_at).where(_ROW.id == after).scalar_subquery()
            query = query.where(tuple_(_ROW.created_at, _ROW.id) > tuple_(place, after))

        async def work(connection: AsyncConnection) -> list[Record]:
            return _records(await connection.execute(query))

        return await self.engine.read(work)

    async def expiring(self, after: float, before: float, limit: int) -> list[Record]:
        """Up to ``limit`` enabled keys that expire between two times, the first to expire first."""
        soon = _ROW.expires_at.between(after, before)
        query = select(API_KEYS).where(_LIVE, _ROW.enabled, soon).order_by(_ROW.expires_at, _ROW.id).limit(limit)

        async def work(connection: AsyncConnection) -> list[Record]:
            return _records(await connection.execute(query))

        return await self.engine.read(work)

    async def now(self) -> float:
        """The database's clock."""

        async def work(connection: AsyncConnection) -> float:
            return (await connection.execute(select(Now()))).scalar_one()

        return await self.engine.read(work)

    async def changed(self, since: float, behind: str, limit: int) -> list[Record]:
        """Up to ``limit`` keys changed after ``since``, or then with a greater id than ``behind``, in order."""
        query = select(API_KEYS).where(tuple_(_ROW.changed_at, _ROW.id) > tuple_(since, behind))
        query = query.order_by(_ROW.changed_at, _ROW.id).limit(limit)

        async def work(connection: AsyncConnection) -> list[Record]:
            return _records(await connection.execute(query))

        return await self.engine.read(work)

    async def insert(self, values: Mapping[str, Any]) -> Record:
        new = {**values, "created_at": Now(), "changed_at": Now(), "deleted": False, "revision": 1}
        made = await self._write(insert(API_KEYS).values(new).returning(API_KEYS))
        assert made is not None
        return made

    async def update(self, id: str, values: Mapping[str, Any]) -> Record | None:  # noqa: A002 - the column's name
        """Returns the changed key; ``None``: there is no such key."""
        return await self._change(id, update(API_KEYS).values(dict(values)))

    async def rotate(self, id: str, hash: str, grace: float) -> Record | None:  # noqa: A002 - the columns' names
        """Replace the hash. The previous one stays valid for ``grace`` seconds; 0: not at all."""
        before, until = (_ROW.hash, Now() + grace) if grace > 0 else (None, None)
        return await self._change(id, update(API_KEYS).values(hash=hash, previous_hash=before, previous_until=until))

    async def _change(self, id: str, change: Update) -> Record | None:  # noqa: A002 - the column's name
        change = change.values(changed_at=Now(), revision=_ROW.revision + 1).where(_ROW.id == id, _LIVE)
        return await self._write(change.returning(API_KEYS), id)

    async def _write(
        self,
        statement: ReturningInsert[Any] | ReturningUpdate[Any],
        id: str = "",  # noqa: A002 - the column's name
    ) -> Record | None:
        """Run a statement that changes one key, with its event. ``id``: of a key that is there."""
        events = self._events if self._events is not None and self._events.wanted() else None

        async def work(connection: AsyncConnection) -> tuple[Record | None, Record | None]:
            before = None
            if id and events is not None:
                found = select(API_KEYS).where(_ROW.id == id, _LIVE).with_for_update()
                before = _one(_records(await connection.execute(found)))
            after = _one(_records(await connection.execute(statement)))
            if after is not None and events is not None:
                await add_rows(connection, events.rows(before, after))
            return before, after

        before, after = await self.engine.write(work)
        if after is not None and events is not None:
            events.committed(before, after)
        return after


def _records(rows: Iterable[Row[Any]]) -> list[Record]:
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]


def _one(records: list[Record]) -> Record | None:
    return records[0] if records else None
