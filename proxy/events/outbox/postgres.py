"""The outbox in PostgreSQL, by asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped, unused-ignore]

from proxy.events.outbox.base import (
    LONGEST_HOLDS,
    LONGEST_SECS,
    OutboxUnavailable,
    ReceiverCounts,
    Settlement,
    WaitingEvent,
)

CONNECT_SECS: Final = 10.0
COMMAND_SECS: Final = 30.0  # after which a statement has failed
TRIM_AT_ONCE: Final = 1000

# By the server's clock: those of several machines differ.
_NOW: Final = "extract(epoch FROM clock_timestamp())::float8"
_HOLD: Final = (
    f"INSERT INTO event_receivers (name, holder, until) VALUES ($1, $2, {_NOW} + $3) ON CONFLICT (name) DO UPDATE SET"
    " holder = excluded.holder, until = excluded.until"
    f" WHERE event_receivers.holder = excluded.holder OR event_receivers.until <= {_NOW}"
    f" OR event_receivers.until > {_NOW} + {LONGEST_HOLDS} * $3"
)
_RELEASE: Final = f"UPDATE event_receivers SET holder = '', until = {_NOW} WHERE name = $1 AND holder = $2"
_TAKE: Final = (
    "SELECT seq, id, type, at, body, tries FROM outbox"
    f" WHERE receiver = $1 AND dead_at IS NULL AND (due <= $2 OR due > $2 + {LONGEST_SECS}) ORDER BY seq LIMIT $3"
)
# One statement for all: it is one round trip, and one commit.
_SETTLE: Final = (
    "WITH sent AS (DELETE FROM outbox WHERE seq = ANY($2::int8[]) RETURNING 1),"
    " tried AS (SELECT * FROM unnest($3::int8[], $4::float8[], $5::text[]) AS t (seq, due, error)),"
    " later AS (UPDATE outbox SET tries = tries + 1, due = coalesce(tried.due, outbox.due), error = tried.error,"
    " dead_at = CASE WHEN tried.due IS NULL THEN $6::float8 END FROM tried"
    " WHERE outbox.seq = tried.seq AND dead_at IS NULL)"
    " UPDATE event_receivers SET sent = sent + (SELECT count(*) FROM sent),"
    " sent_at = CASE WHEN EXISTS (SELECT FROM sent) THEN $6 ELSE sent_at END,"
    " failures = failures + $7, failed_at = CASE WHEN $8 = '' THEN failed_at ELSE $6 END,"
    " error = CASE WHEN $8 = '' THEN error ELSE $8 END WHERE name = $1"
)
_GIVE_UP: Final = "UPDATE outbox SET dead_at = $2, error = $4 WHERE receiver = $1 AND dead_at IS NULL AND at < $3"
_GONE: Final = "UPDATE event_receivers SET gone_at = $2 WHERE name = $1"
# The first row of each instead of min(at), which would read every row.
_WAITING: Final = (
    "SELECT receiver, count, (SELECT at FROM outbox WHERE seq = first) FROM (SELECT receiver, count(*) AS count,"
    " min(seq) AS first FROM outbox WHERE dead_at IS NULL GROUP BY receiver) AS waiting"
)
_DEAD: Final = "SELECT receiver, count(*) FROM outbox WHERE dead_at IS NOT NULL GROUP BY receiver"
_TRIM: Final = (
    "DELETE FROM outbox WHERE seq = ANY(ARRAY(SELECT seq FROM outbox WHERE dead_at IS NOT NULL ORDER BY dead_at, seq"
    " LIMIT greatest(0, least($1, (SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL) - $2))))"
)

_FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError)


class PostgresOutbox:
    """One connection, which its receivers take turns to use. A pooler (PgBouncer) may be between."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Any = None
        self._turn = asyncio.Lock()

    async def hold(self, receiver: str, holder: str, secs: float) -> bool:
        return await self._execute(_HOLD, receiver, holder, secs) == 1

    async def release(self, receiver: str, holder: str) -> None:
        await self._execute(_RELEASE, receiver, holder)

    async def take(self, receiver: str, now: float, most: int) -> list[WaitingEvent]:
        return [
            WaitingEvent(seq, id_, type_, at, body.encode(), tries)
            for seq, id_, type_, at, body, tries in await self._fetch(_TAKE, receiver, now, most)
        ]

    async def settle(self, receiver: str, settlement: Settlement) -> None:
        failed, error = settlement.failed, settlement.error
        await self._execute(
            _SETTLE,
            receiver,
            list(settlement.sent),
            [each.seq for each in failed],
            [each.due for each in failed],
            [_storable(each.error) for each in failed],
            settlement.at,
            max(len(failed), 1) if error else 0,
            _storable(error),
        )

    async def give_up(self, receiver: str, now: float, before: float, error: str) -> int:
        return await self._execute(_GIVE_UP, receiver, now, before, _storable(error))

    async def gone(self, receiver: str, at: float | None) -> None:
        await self._execute(_GONE, receiver, at)

    async def counts(self) -> dict[str, ReceiverCounts]:
        dead = {name: count for name, count in await self._fetch(_DEAD)}  # noqa: C416 - a record is no tuple
        found = {name: ReceiverCounts(0, None, count) for name, count in dead.items()}
        for name, count, oldest in await self._fetch(_WAITING):
            found[name] = ReceiverCounts(count, oldest, dead.get(name, 0))
        return found

    async def trim(self, most: int) -> int:
        return await self._execute(_TRIM, TRIM_AT_ONCE, most)

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                await connection.close(timeout=1.0)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    async def _execute(self, statement: str, *arguments: object) -> int:
        """Returns how many rows it has changed."""
        async with self._checked() as connection:
            status: str = await connection.execute(statement, *arguments)
            return int(status.rpartition(" ")[2])

    async def _fetch(self, statement: str, *arguments: object) -> list[Any]:
        async with self._checked() as connection:
            found: list[Any] = await connection.fetch(statement, *arguments)
            return found

    @asynccontextmanager
    async def _checked(self) -> AsyncIterator[Any]:
        """The connection, for one statement; failures become OutboxUnavailable."""
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await self._opened()
                yield self._connection
            except _FAILURES as error:
                self._disconnect()
                raise OutboxUnavailable(_reason(error)) from None
            except BaseException:  # canceled: a statement may be under way
                self._disconnect()
                raise

    async def _opened(self) -> Any:
        return await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_SECS,
            command_timeout=COMMAND_SECS,
            statement_cache_size=0,
            server_settings={"application_name": "sluice-events"},
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _storable(text: str) -> str:
    """A reason may have words of the receiver. PostgreSQL has no NUL in texts, and what was sent must be settled."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return str(error) or "the database did not answer in time"
    return (str(error).splitlines() or [""])[0][:300] or type(error).__name__
