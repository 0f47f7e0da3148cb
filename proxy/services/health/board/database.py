"""Results of checks in the database: the table ``address_health``. Ages by the clock of the database."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from proxy.database.opening import LazyEngine
from proxy.services.health.board.base import KEEP_SECS, PORTION, SharedResult

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# A transaction that is slow commits rows with an earlier time than those that were read, by at most its time limit.
SLACK_SECS: Final = 3.0
TRIM_SECS: Final = 3600.0

_BEGIN: Final = (-inf, "", "")


class DatabaseBoard:
    """Opens the database at the first use. Its methods raise Unreachable and ConfigError."""

    def __init__(self, database: LazyEngine) -> None:
        self._database = database
        self._read: tuple[float, str, str] = _BEGIN  # time, service and address after which reading goes on
        self._trimmed_at = -inf  # by the database's clock

    async def publish(self, results: Sequence[SharedResult]) -> None:
        from sqlalchemy import delete, select
        from sqlalchemy.dialects import postgresql, sqlite

        from proxy.database.tables import ADDRESS_HEALTH, Now

        if not results:
            return
        rows = [
            {"service": each.service, "url": each.url, "healthy": each.healthy, "since": each.since, "error": each.why}
            for each in results
        ]

        async def work(connection: AsyncConnection) -> float:
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            now: float = (await connection.execute(select(Now()))).scalar_one()
            new = insert(ADDRESS_HEALTH).values(checked_at=Now())
            columns = ("healthy", "since", "error", "checked_at")
            put = new.on_conflict_do_update(
                index_elements=["service", "url"], set_={name: new.excluded[name] for name in columns}
            )
            await connection.execute(put, rows)
            if not self._trimmed_at <= now < self._trimmed_at + TRIM_SECS:
                await connection.execute(delete(ADDRESS_HEALTH).where(ADDRESS_HEALTH.c.checked_at < now - KEEP_SECS))
            return now

        now = await self._database.get().write(work)
        if not self._trimmed_at <= now < self._trimmed_at + TRIM_SECS:
            self._trimmed_at = now

    async def read(self) -> list[SharedResult]:
        from sqlalchemy import select, tuple_

        from proxy.database.tables import ADDRESS_HEALTH, Now

        row = ADDRESS_HEALTH.c
        place = tuple_(row.checked_at, row.service, row.url)

        async def work(connection: AsyncConnection) -> list[SharedResult]:
            now: float = (await connection.execute(select(Now()))).scalar_one()
            since = self._read if self._read[0] <= now else _BEGIN  # the clock was set back
            query = select(row.service, row.url, row.healthy, row.since, row.error, row.checked_at)
            query = query.order_by(*place.clauses).limit(PORTION)
            if since is not _BEGIN:
                query = query.where(place > since)
            rows = (await connection.execute(query)).all()
            whole = len(rows) < PORTION
            self._read = (now - SLACK_SECS, "", "") if whole else (rows[-1][5], rows[-1][0], rows[-1][1])
            return [SharedResult(*each[:5], max(0.0, now - each[5])) for each in rows]

        return await self._database.get().read(work)
