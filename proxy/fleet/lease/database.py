"""Leases in the database: a row of the table ``leases`` for each, by the clock of the database.

An advisory lock of PostgreSQL would belong to a session. Behind a pooler (PgBouncer in transaction mode) each statement
may run in another session, so such a lock would be lost, or never released. A row works there, and in SQLite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError
from proxy.fleet.lease.base import LeaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# No lease ends later than this many times its length: the clock was set back since, and it is free.
LONGEST: Final = 2


class DatabaseLeases:
    """Opens the database at the first use."""

    def __init__(self, database: LazyEngine) -> None:
        self._database = database

    async def take(self, name: str, holder: str, secs: float) -> bool:
        from sqlalchemy import or_
        from sqlalchemy.dialects import postgresql, sqlite

        from proxy.database.tables import LEASES, Now

        row = LEASES.c

        async def work(connection: AsyncConnection) -> bool:
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            new = insert(LEASES).values(name=name, holder=holder, until=Now() + secs)
            free = or_(row.holder == holder, row.until <= Now(), row.until > Now() + LONGEST * secs)
            taken = new.on_conflict_do_update(
                index_elements=[row.name],
                set_={"holder": new.excluded.holder, "until": new.excluded.until},
                where=free,
            )
            return (await connection.execute(taken.returning(row.name))).first() is not None

        try:
            return await self._database.get().write(work)
        except (Unreachable, ConfigError) as error:
            raise LeaseUnavailable(str(error)) from None

    async def release(self, name: str, holder: str) -> None:
        from sqlalchemy import delete

        from proxy.database.tables import LEASES

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder))

        try:
            await self._database.get().write(work)
        except (Unreachable, ConfigError) as error:
            raise LeaseUnavailable(str(error)) from None
