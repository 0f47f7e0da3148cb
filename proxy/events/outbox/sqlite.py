"""The outbox in a SQLite file, by the driver of the standard library."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from proxy.events.outbox.base import (
    LONGEST_HOLDS,
    LONGEST_SECS,
    OutboxUnavailable,
    ReceiverCounts,
    Settlement,
    WaitingEvent,
)

# Milliseconds to wait for a lock, during which the process does nothing else. Then it is tried again later.
BUSY_MS: Final = 50
CACHE_KB: Final = 512
TRIM_AT_ONCE: Final = 1000  # rows in one transaction, which other writers wait for
_IN_ONE: Final = 500  # values of one statement

_HOLD: Final = (
    "INSERT INTO event_receivers (name, holder, until) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET"
    " holder = excluded.holder, until = excluded.until WHERE holder = excluded.holder OR until <= ?4"
    " OR until > ?5"
)
_RELEASE: Final = "UPDATE event_receivers SET holder = '', until = ? WHERE name = ? AND holder = ?"
_TAKE: Final = (
    "SELECT seq, id, type, at, body, tries FROM outbox"
    " WHERE receiver = ?1 AND dead_at IS NULL AND (due <= ?2 OR due > ?2 + ?4) ORDER BY seq LIMIT ?3"
)
_SENT: Final = "UPDATE event_receivers SET sent = sent + ?, sent_at = ? WHERE name = ?"
_LATER: Final = "UPDATE outbox SET tries = tries + 1, due = ?, error = ? WHERE seq = ? AND dead_at IS NULL"
_DEAD: Final = "UPDATE outbox SET tries = tries + 1, dead_at = ?, error = ? WHERE seq = ? AND dead_at IS NULL"
_FAILED: Final = "UPDATE event_receivers SET failures = failures + ?, failed_at = ?, error = ? WHERE name = ?"
_GIVE_UP: Final = "UPDATE outbox SET dead_at = ?, error = ? WHERE receiver = ? AND dead_at IS NULL AND at < ?"
_GONE: Final = "UPDATE event_receivers SET gone_at = ? WHERE name = ?"
_WAITING: Final = "SELECT receiver, count(*), min(seq) FROM outbox WHERE dead_at IS NULL GROUP BY receiver"
_DEAD_COUNT: Final = "SELECT receiver, count(*) FROM outbox WHERE dead_at IS NOT NULL GROUP BY receiver"
_TRIM: Final = (
    "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE dead_at IS NOT NULL ORDER BY dead_at, seq LIMIT"
    " max(0, min(?1, (SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL) - ?2)))"
)


class SqliteOutbox:
    """Blocks while a statement runs, as the recorder's own statements do. ``wall`` is Unix time."""

    def __init__(self, path: str, wall: Callable[[], float] = time.time) -> None:
        self._path = Path(path)
        self._wall = wall
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)  # that it is of

    async def hold(self, receiver: str, holder: str, secs: float) -> bool:
        now = self._wall()
        with self._transaction() as cursor:
            cursor.execute(_HOLD, (receiver, holder, now + secs, now, now + LONGEST_HOLDS * secs))
            return cursor.rowcount == 1

    async def release(self, receiver: str, holder: str) -> None:
        with self._transaction() as cursor:
            cursor.execute(_RELEASE, (self._wall(), receiver, holder))

    async def take(self, receiver: str, now: float, most: int) -> list[WaitingEvent]:
        with self._connected() as cursor:
            found = cursor.execute(_TAKE, (receiver, now, most, LONGEST_SECS)).fetchall()
        return [WaitingEvent(seq, id_, type_, at, body.encode(), tries) for seq, id_, type_, at, body, tries in found]

    async def settle(self, receiver: str, settlement: Settlement) -> None:
        at = settlement.at
        later = [(each.due, each.error, each.seq) for each in settlement.failed if each.due is not None]
        dead = [(at, each.error, each.seq) for each in settlement.failed if each.due is None]
        with self._transaction() as cursor:
            if settlement.sent:
                cursor.execute(_SENT, (_delete(cursor, settlement.sent), at, receiver))
            if later:
                cursor.executemany(_LATER, later)
            if dead:
                cursor.executemany(_DEAD, dead)
            if settlement.error:
                cursor.execute(_FAILED, (max(len(settlement.failed), 1), at, settlement.error, receiver))

    async def give_up(self, receiver: str, now: float, before: float, error: str) -> int:
        with self._transaction() as cursor:
            return cursor.execute(_GIVE_UP, (now, error, receiver, before)).rowcount

    async def gone(self, receiver: str, at: float | None) -> None:
        with self._transaction() as cursor:
            cursor.execute(_GONE, (at, receiver))

    async def counts(self) -> dict[str, ReceiverCounts]:
        with self._connected() as cursor:
            dead = dict(cursor.execute(_DEAD_COUNT).fetchall())
            found = {name: ReceiverCounts(0, None, count) for name, count in dead.items()}
            for name, count, first in cursor.execute(_WAITING).fetchall():
                # Its first row instead of min(at), which would read every row.
                oldest = cursor.execute("SELECT at FROM outbox WHERE seq = ?", (first,)).fetchone()
                found[name] = ReceiverCounts(count, oldest and oldest[0], dead.get(name, 0))
            return found

    async def trim(self, most: int) -> int:
        with self._transaction() as cursor:
            return cursor.execute(_TRIM, (TRIM_AT_ONCE, most)).rowcount

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._connected() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Cursor]:
        """A cursor; failures become OutboxUnavailable."""
        try:
            if self._connection is not None and self._identity() != self._file:
                self._connection.close()  # the path is another file now, such as a restored copy
                self._connection = None
            if self._connection is None:
                self._connection = self._opened()
            yield self._connection.cursor()
        except (sqlite3.Error, OSError) as error:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            raise OutboxUnavailable(str(error)) from None

    def _identity(self) -> tuple[int, int]:
        """Device and inode; Raises OSError."""
        found = self._path.stat()
        return found.st_dev, found.st_ino

    def _opened(self) -> sqlite3.Connection:
        """Does not create the file: the migrations do."""
        self._file = self._identity()
        uri = f"file:{quote(str(self._path.absolute()))}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None)
        try:
            # What is lost with the machine's power is a deletion: that event is sent twice.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        except BaseException:
            connection.close()
            raise
        return connection


def _delete(cursor: sqlite3.Cursor, seqs: Collection[int]) -> int:
    """Returns how many were there."""
    seqs = list(seqs)
    return sum(
        cursor.execute(f"DELETE FROM outbox WHERE seq IN ({', '.join('?' * len(part))})", part).rowcount
        for part in (seqs[begin : begin + _IN_ONE] for begin in range(0, len(seqs), _IN_ONE))
    )
