"""The outbox as its operator sees it: what waits for each receiver, what is dead, and what is to become of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.engine import Engine
from proxy.database.outbox_rows import MOST_COUNTED, Changed, DeadEvent, DeadFilter, ReceiverStanding
from proxy.database.statements import is_storable
from proxy.database.tables import EVENT_RECEIVERS, OUTBOX, Now

AT_ONCE: Final = 1000  # dead events that one transaction changes
MOST_CHANGED: Final = 20_000  # by one call, so that it ends in a few seconds

_ROW, _RECEIVER = OUTBOX.c, EVENT_RECEIVERS.c
_IS_DEAD: Final = _ROW.dead_at.is_not(None)


class OutboxTable:
    """Every method raises ``health.Unreachable``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def survey(self, names: Sequence[str]) -> tuple[float, list[ReceiverStanding]]:
        """The time of the database, and the receivers: those with these names first, then all that it knows besides."""

        async def work(connection: AsyncConnection) -> tuple[float, list[ReceiverStanding]]:
            now = (await connection.execute(select(Now()))).scalar_one()
            known = {row.name: row for row in await connection.execute(select(EVENT_RECEIVERS))}
            dead = {row.receiver: (int(row.dead), row.last) for row in await connection.execute(_dead_by_receiver())}
            all_names = dict.fromkeys((*names, *sorted(known), *sorted(dead)))
            found = [
                await _standing(connection, each, known.get(each), *dead.get(each, (0, None))) for each in all_names
            ]
            return now, found

        return await self.engine.read(work)

    async def dead(self, wanted: DeadFilter, limit: int, after: tuple[float, int] | None = None) -> list[DeadEvent]:
        """At most ``limit``, the last that died first, after the one with this ``dead_at`` and ``seq``."""
        columns = (_ROW[name] for name in DeadEvent.__struct_fields__)
        query = select(*columns).where(*_conditions(wanted)).order_by(_ROW.dead_at.desc(), _ROW.seq.desc()).limit(limit)
        if after is not None:
            query = query.where(tuple_(_ROW.dead_at, _ROW.seq) < after)

        async def work(connection: AsyncConnection) -> list[DeadEvent]:
            return [DeadEvent(*row) for row in await connection.execute(query)]

        return await self.engine.read(work) if is_storable(wanted.receiver) else []

    async def send_again(self, wanted: DeadFilter) -> Changed:
        """Let dead events wait again, as if they had not been tried."""
        alive = {"dead_at": None, "due": 0.0, "tries": 0, "error": ""}
        return await self._change(wanted, lambda some: update(OUTBOX).values(alive).where(_ROW.seq.in_(some)))

    async def delete(self, wanted: DeadFilter) -> Changed:
        """Forget dead events."""
        return await self._change(wanted, lambda some: delete(OUTBOX).where(_ROW.seq.in_(some)))

    async def _change(self, wanted: DeadFilter, statement: Any) -> Changed:
        """Those that are dead by now, a few in each transaction, as the recorder writes between them."""
        if not is_storable(wanted.receiver):
            return Changed(0, more=False)
        before, count = await self.engine.read(_now), 0
        while count < MOST_CHANGED:
            changed = await self._change_some(wanted, before, statement)
            count += changed
            if changed < AT_ONCE:
                return Changed(count, more=False)
        return Changed(count, more=True)

    async def _change_some(self, wanted: DeadFilter, before: float, statement: Any) -> int:
        conditions = (*_conditions(wanted), _ROW.dead_at <= before)
        some = select(_ROW.seq).where(*conditions).order_by(_ROW.dead_at, _ROW.seq).limit(AT_ONCE)

        async def work(connection: AsyncConnection) -> int:
            changed = await connection.execute(statement(some.scalar_subquery()))
            return int(changed.rowcount)

        return await self.engine.write(work)


async def _now(connection: AsyncConnection) -> float:
    found: float = (await connection.execute(select(Now()))).scalar_one()
    return found


async def _standing(
    connection: AsyncConnection, name: str, row: Any, dead: int, last_dead: float | None
) -> ReceiverStanding:
    """``row``: of ``event_receivers``; ``None``: there is none."""
    mine = (_ROW.receiver == name, _ROW.dead_at.is_(None))
    some = select(_ROW.seq).where(*mine).limit(MOST_COUNTED).subquery()
    waiting = (await connection.execute(select(func.count()).select_from(some))).scalar_one()
    oldest = (await connection.execute(select(_ROW.at).where(*mine).order_by(_ROW.seq).limit(1))).scalar()
    if row is None:
        return ReceiverStanding(name, waiting, oldest, dead, last_dead)
    return ReceiverStanding(
        name,
        waiting,
        oldest,
        dead,
        last_dead,
        row.until,
        row.sent,
        row.failures,
        row.sent_at,
        row.failed_at,
        row.gone_at,
        row.error,
    )


def _dead_by_receiver() -> Select[tuple[str, int, float]]:
    last = select(_ROW.receiver, _ROW.dead_at).where(_IS_DEAD).order_by(_ROW.dead_at.desc()).limit(MOST_COUNTED)
    some = last.subquery().c
    return select(some.receiver, func.count().label("dead"), func.max(some.dead_at).label("last")).group_by(
        some.receiver
    )


def _conditions(wanted: DeadFilter) -> list[ColumnElement[bool]]:
    return [
        _IS_DEAD,
        true() if wanted.seqs is None else _ROW.seq.in_(wanted.seqs),
        true() if wanted.ids is None else _ROW.id.in_([each for each in wanted.ids if is_storable(each)]),
        _ROW.receiver == wanted.receiver if wanted.receiver else true(),
    ]
