"""The ledger in PostgreSQL, by asyncpg."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped, unused-ignore]

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder import hours, labels, postgres_outbox, postgres_spending
from proxy.ledger.recorder.announced import EventRoutes
from proxy.ledger.recorder.base import DatabaseUnavailable, RowsRejected, TablesOutdated
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.months import Month, month_named, month_of, months_of
from proxy.ledger.recorder.tables import TABLES
from proxy.ledger.recorder.values import values
from proxy.ledger.row import COLUMNS, Row

CONNECT_SECS: Final = 10.0
COMMAND_SECS: Final = 30.0  # after which a statement has failed
LOCK_SECS: Final = 5.0  # for changes of partitions, as other queries queue behind a lock that waits
AHEAD_SECS: Final = 7 * 86400.0  # that a month's partition is made before the month begins
EXPIRE_AT_ONCE: Final = 5000

# Keys of advisory locks; that of the migrations is ``sluice`` alone.
_MONTHS_LOCK: Final = int.from_bytes(b"sluicemo", "big")
_EXPIRE_LOCK: Final = int.from_bytes(b"sluiceex", "big")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


_ROW: Final = _quoted(COLUMNS)
# Of the session, which a pooler may share with recorders of other versions: its name stands for its columns.
_BATCH: Final = f"ledger_batch_{blake2b(_ROW.encode(), digest_size=4).hexdigest()}"
# It stays, since a table that is made for each batch would fill PostgreSQL's own tables.
_MAKE_BATCH: Final = (
    f"CREATE TEMPORARY TABLE IF NOT EXISTS {_BATCH} ON COMMIT DELETE ROWS AS SELECT {_ROW} FROM ledger WITH NO DATA"
)
_INSERT: Final = (
    f"INSERT INTO ledger ({_ROW}) SELECT {_ROW} FROM {_BATCH} ON CONFLICT (at, id) DO NOTHING RETURNING at, id"
)
_ADD: Final = (
    f"INSERT INTO ledger_hours ({_quoted(hours.COLUMNS)})"
    f" VALUES ({', '.join(f'${number}' for number, _ in enumerate(hours.COLUMNS, 1))})"
    f" ON CONFLICT (hour, digest) DO UPDATE SET "
    + ", ".join(f'"{name}" = ledger_hours."{name}" + excluded."{name}"' for name in hours.SUMS)
)
_ADD_LABELS: Final = (
    f"INSERT INTO ledger_labels ({_quoted(labels.COLUMNS)})"
    f" VALUES ({', '.join(f'${number}' for number, _ in enumerate(labels.COLUMNS, 1))})"
    f" ON CONFLICT (name, hour, digest) DO UPDATE SET "
    + ", ".join(f'"{name}" = ledger_labels."{name}" + excluded."{name}"' for name in labels.SUMS)
)
_PRESENT: Final = "SELECT id FROM ledger WHERE (at, id) IN (SELECT * FROM unnest($1::float8[], $2::text[]))"
_COLUMNS: Final = "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0"
_PARTITIONS: Final = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ledger'::regclass"
_EXPIRE: Final = (
    "DELETE FROM {0} WHERE ({1}, {2}) IN (SELECT {1}, {2} FROM {0} WHERE {1} < $1 ORDER BY {1}, {2} LIMIT $2)"
)
_EXPIRE_ROWS: Final = _EXPIRE.format("ledger", "at", "id")
_EXPIRE_HOURS: Final = _EXPIRE.format("ledger_hours", "hour", "digest")
_EXPIRE_LABELS: Final = (
    "DELETE FROM ledger_labels WHERE (name, hour, digest) IN"
    f" ({labels.NAMES} SELECT name, hour, digest FROM names JOIN ledger_labels USING (name) WHERE hour < $1 LIMIT $2)"
)

_FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
# Of the server; and of asyncpg, before it sends a value.
_BAD_VALUES: Final = (
    *(asyncpg.DataError, asyncpg.IntegrityConstraintViolationError),
    asyncpg.ProgramLimitExceededError,  # a text is too long for an index, which no later try changes
    *(OverflowError, ValueError, TypeError),
)


class PostgresLedger:
    """One connection. Nothing is prepared for longer than a transaction, so a pooler (PgBouncer) may be between."""

    def __init__(self, dsn: str, default_balance: int = 0, routes: EventRoutes | None = None) -> None:
        self._dsn = dsn
        self._default_balance = default_balance
        self._routes = EventRoutes() if routes is None else routes
        self._connection: Any = None
        self._months: set[Month] = set()  # known to have a partition

    async def write(self, rows: Sequence[Row], events: Sequence[OutboxEvent] = ()) -> int:
        routes = self._routes
        forgotten = 0
        async with self._checked() as connection:
            for month in self._needed(rows) - self._months:
                await _make_partition(connection, month)
                self._months.add(month)
            async with connection.transaction():
                inserted = await self._insert(connection, rows) if rows else rows
                transfers = await postgres_spending.add(
                    connection, inserted, self._default_balance, numbered=bool(routes.transactions)
                )
                if routes.receivers:
                    forgotten = await postgres_outbox.add(connection, routes, inserted, transfers, events)
        routes.bound.forgotten += forgotten
        return len(inserted)

    async def present(self, keys: Sequence[tuple[float, str]]) -> set[str]:
        async with self._checked() as connection:
            found = await connection.fetch(_PRESENT, [at for at, _ in keys], [id for _, id in keys])  # noqa: A001
            return {id for (id,) in found}  # noqa: A001 - the column's name

    async def expire(self, before: Expiry) -> bool:
        async with self._checked() as connection, connection.transaction():
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _EXPIRE_LOCK):
                return False
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECS:g}s'")
            for (name,) in await connection.fetch(_PARTITIONS):
                month = month_named(name)
                if month is not None and month.end <= before.rows:
                    self._months.clear()
                    await connection.execute(f"DROP TABLE {name}")
                    return True
            hour = int(before.hours)
            for statement, moment in ((_EXPIRE_ROWS, before.rows), (_EXPIRE_HOURS, hour), (_EXPIRE_LABELS, hour)):
                if await connection.execute(statement, moment, EXPIRE_AT_ONCE) == f"DELETE {EXPIRE_AT_ONCE}":
                    return True
            if await postgres_spending.expire(connection, before, EXPIRE_AT_ONCE):
                return True
            return await postgres_outbox.expire(connection, self._routes, before, EXPIRE_AT_ONCE)

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                await connection.close(timeout=1.0)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    @asynccontextmanager
    async def _checked(self) -> AsyncIterator[Any]:
        """The connection; failures become exceptions of ``base``."""
        connection = await self._connected()
        try:
            yield connection
        except asyncpg.CheckViolationError as error:  # another recorder has dropped the month of an old row
            self._months.clear()
            raise DatabaseUnavailable(_reason(error)) from None
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
            self._disconnect()
            raise TablesOutdated from None
        except _BAD_VALUES as error:
            raise RowsRejected(_reason(error)) from None
        except _FAILURES as error:
            self._disconnect()
            raise DatabaseUnavailable(_reason(error)) from None

    async def _connected(self) -> Any:
        if self._connection is None:
            try:
                self._connection = await self._opened()
            except (*_FAILURES, ValueError) as error:
                raise DatabaseUnavailable(_reason(error)) from None
            self._months.clear()
        return self._connection

    async def _opened(self) -> Any:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_SECS,
            command_timeout=COMMAND_SECS,
            statement_cache_size=0,
            server_settings={"application_name": "sluice-recorder"},
        )
        try:
            for table, names in TABLES.items():
                there = {name for (name,) in await connection.fetch(_COLUMNS, table)}
                if not there.issuperset(names):
                    raise TablesOutdated
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _insert(self, connection: Any, rows: Sequence[Row]) -> Sequence[Row]:
        """Insert rows and add them to the sums by hour and label. Returns those that were not there."""
        await connection.execute(_MAKE_BATCH)
        await connection.copy_records_to_table(_BATCH, records=map(values, rows), columns=COLUMNS)
        there = await connection.fetch(_INSERT)
        if len(there) == len(rows):
            inserted = rows
        else:
            keys = {*map(tuple, there)}
            inserted = [row for row in _distinct(rows) if (row.at, row.id) in keys]
        groups = hours.grouped(inserted)
        await connection.executemany(_ADD, hours.sums(groups))
        await connection.executemany(_ADD_LABELS, labels.sums(groups))
        return inserted

    def _needed(self, rows: Sequence[Row]) -> set[Month]:
        ahead = {month_of(time.time() + AHEAD_SECS)}
        return months_of([row.at for row in rows]) | ahead if rows else ahead

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def _make_partition(connection: Any, month: Month) -> None:
    """Make the partition of a month, unless it is there. ATTACH locks out no reader and no writer, CREATE would."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECS:g}s'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MONTHS_LOCK)
        if await connection.fetchval("SELECT to_regclass($1)::text", month.table) is None:
            await connection.execute(f"CREATE TABLE {month.table} (LIKE ledger INCLUDING DEFAULTS)")
            await connection.execute(
                f"ALTER TABLE ledger ATTACH PARTITION {month.table} FOR VALUES FROM ({month.begin}) TO ({month.end})"
            )


def _distinct(rows: Sequence[Row]) -> Iterable[Row]:
    """The first of each key: a batch may hold an attempt twice."""
    return {(row.at, row.id): row for row in reversed(rows)}.values()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return str(error) or "the database did not answer in time"
    return (str(error).splitlines() or [""])[0][:300] or type(error).__name__
