"""The ledger in a SQLite file, by the driver of the standard library."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder import hours, labels, sqlite_outbox, sqlite_spending
from proxy.ledger.recorder.announced import EventRoutes
from proxy.ledger.recorder.base import DatabaseUnavailable, RowsRejected, TablesOutdated
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.tables import TABLES
from proxy.ledger.recorder.values import values
from proxy.ledger.row import COLUMNS, Row

# Milliseconds to wait for a lock. The recorder waits with it, and then tries again.
BUSY_MS: Final = 100
CACHE_KB: Final = 512  # of the file's pages, which the kernel caches too
EXPIRE_AT_ONCE: Final = 1000  # rows in one transaction, which other writers wait for


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# Not INSERT OR IGNORE: that ignores every other constraint too.
_INSERT: Final = (
    f"INSERT INTO ledger ({_quoted(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (at, id) DO NOTHING"
)
_ADD: Final = (
    f"INSERT INTO ledger_hours ({_quoted(hours.COLUMNS)}) VALUES ({', '.join('?' * len(hours.COLUMNS))})"
    f" ON CONFLICT (hour, digest) DO UPDATE SET "
    + ", ".join(f'"{name}" = "{name}" + excluded."{name}"' for name in hours.SUMS)
)
_ADD_LABELS: Final = (
    f"INSERT INTO ledger_labels ({_quoted(labels.COLUMNS)}) VALUES ({', '.join('?' * len(labels.COLUMNS))})"
    f" ON CONFLICT (name, hour, digest) DO UPDATE SET "
    + ", ".join(f'"{name}" = "{name}" + excluded."{name}"' for name in labels.SUMS)
)
_PRESENT: Final = "SELECT id FROM ledger WHERE (at, id) IN"
_EXPIRE: Final = (
    "DELETE FROM {0} WHERE ({1}, {2}) IN (SELECT {1}, {2} FROM {0} WHERE {1} < ? ORDER BY {1}, {2} LIMIT ?)"
)
_EXPIRE_ROWS: Final = _EXPIRE.format("ledger", "at", "id")
_EXPIRE_HOURS: Final = _EXPIRE.format("ledger_hours", "hour", "digest")
_EXPIRE_LABELS: Final = (
    "DELETE FROM ledger_labels WHERE (name, hour, digest) IN"
    f" ({labels.NAMES} SELECT name, hour, digest FROM names JOIN ledger_labels USING (name) WHERE hour < ? LIMIT ?)"
)

_BAD_VALUES: Final = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(OverflowError, ValueError, TypeError),
)


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode."""
    found = path.stat()
    return found.st_dev, found.st_ino


class SqliteLedger:
    """Blocks while a statement runs: the recorder has nothing else to do."""

    def __init__(self, path: str, default_balance: int = 0, routes: EventRoutes | None = None) -> None:
        self._path = Path(path)
        self._default_balance = default_balance
        self._routes = EventRoutes() if routes is None else routes
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)  # that it is of

    async def write(self, rows: Sequence[Row], events: Sequence[OutboxEvent] = ()) -> int:
        routes = self._routes
        forgotten = 0
        with self._transaction() as connection:
            cursor = connection.cursor()
            insert = cursor.execute
            inserted = [row for row in rows if insert(_INSERT, values(row)).rowcount]
            groups = hours.grouped(inserted)
            cursor.executemany(_ADD, hours.sums(groups))
            cursor.executemany(_ADD_LABELS, labels.sums(groups))
            transfers = sqlite_spending.add(cursor, inserted, self._default_balance, numbered=bool(routes.transactions))
            if routes.receivers:
                forgotten = sqlite_outbox.add(cursor, routes, inserted, transfers, events)
        routes.bound.forgotten += forgotten
        return len(inserted)

    async def present(self, keys: Sequence[tuple[float, str]]) -> set[str]:
        places = ", ".join(("(?, ?)",) * len(keys))
        with self._transaction() as connection:
            found = connection.execute(f"{_PRESENT} (VALUES {places})", [value for key in keys for value in key])
            return {id for (id,) in found}  # noqa: A001 - the column's name

    async def expire(self, before: Expiry) -> bool:
        with self._transaction() as connection:
            for statement, moment in (
                (_EXPIRE_ROWS, before.rows),
                (_EXPIRE_HOURS, before.hours),
                (_EXPIRE_LABELS, before.hours),
            ):
                if connection.execute(statement, (moment, EXPIRE_AT_ONCE)).rowcount == EXPIRE_AT_ONCE:
                    return True
            cursor = connection.cursor()
            if sqlite_spending.expire(cursor, before, EXPIRE_AT_ONCE):
                return True
            return sqlite_outbox.expire(cursor, self._routes, before, EXPIRE_AT_ONCE)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is not None and not self._is_current():
                self._reconnect()
            if self._connection is None:
                self._connection = self._opened()
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except _BAD_VALUES as error:
            raise RowsRejected(str(error)) from None
        except (sqlite3.Error, OSError) as error:
            self._reconnect()
            raise DatabaseUnavailable(str(error)) from None

    def _is_current(self) -> bool:
        """Whether the path still is the file that was opened: rows in a removed one would be lost."""
        try:
            return _identity(self._path) == self._file
        except FileNotFoundError:
            return False

    def _opened(self) -> sqlite3.Connection:
        """Does not create the file: the migrations do, with its mode."""
        try:
            self._file = _identity(self._path)
        except FileNotFoundError:
            raise TablesOutdated from None
        uri = f"file:{quote(str(self._path.absolute()))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None)
        try:
            # Segments are removed after a commit, which must have reached the disk then.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
            for table, names in TABLES.items():
                there = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}
                if not there.issuperset(names):
                    raise TablesOutdated
        except BaseException:
            connection.close()
            raise
        return connection

    def _reconnect(self) -> None:
        """Open the file anew at the next use: it may be another one then."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
