"""SQLite and PostgreSQL behind one face: how a connection is made, and how a transaction begins."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from sqlalchemy import URL, AsyncAdaptedQueuePool, Connection, NullPool, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from proxy.database.address import Address

if TYPE_CHECKING:
    import aiosqlite

CONNECTIONS = 5

# How SQLite begins a transaction. If it reads first and another connection writes meanwhile, its own first write
# fails at once, without the busy timeout. So a transaction that will write takes the lock at its beginning.
WRITING = {"sqlite_begin": "BEGIN IMMEDIATE"}
ALONE = {"sqlite_begin": "BEGIN EXCLUSIVE"}


def open_pool(address: Address, time_limit: float) -> AsyncEngine:
    """A pool that connects at first use. ``time_limit`` (seconds) bounds each wait for a connection."""
    pool = {"poolclass": AsyncAdaptedQueuePool, "pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": time_limit}
    if address.kind == "sqlite":
        # SQLite's own busy timeout ends before ours, with a better message.
        return _sqlite(address.target, 0.75 * time_limit, pool)
    # Detects a connection that died while it was idle before a query uses it.
    return _postgresql(address.target, time_limit, {**pool, "pool_pre_ping": True})


def open_single(address: Address, patience: float) -> AsyncEngine:
    """A new connection for each use. ``patience`` (seconds): the busy timeout of a SQLite file."""
    if address.kind == "sqlite":
        return _sqlite(address.target, patience, {"poolclass": NullPool})
    return _postgresql(address.target, min(patience, 10.0), {"poolclass": NullPool})


def failures(address: Address) -> tuple[type[Exception], ...]:
    """The exceptions of a database that cannot be reached or fails."""
    common = (SQLAlchemyError, OSError, TimeoutError)
    if address.kind == "sqlite":
        return (*common, sqlite3.Error)
    import asyncpg  # type: ignore[import-untyped, unused-ignore]

    return (*common, asyncpg.PostgresError, asyncpg.InterfaceError)  # SQLAlchemy does not wrap every failed connect


def reason(error: Exception) -> str:
    """The driver's message, without the statement that SQLAlchemy adds."""
    origin = getattr(error, "orig", None) or error
    words = (str(origin).splitlines() or [""])[0]
    return words[:300] or type(origin).__name__


def _sqlite(path: str, patience: float, options: dict[str, Any]) -> AsyncEngine:
    def set_up(connection: Any, _entry: object) -> None:
        connection.run_async(lambda driver: _set_up(driver, patience))

    arguments: dict[str, Any] = {
        "timeout": patience,
        "isolation_level": None,  # the driver begins no transactions of its own
        "async_creator_fn": _connect_sqlite,
    }
    url = URL.create("sqlite+aiosqlite", database=path)
    engine = create_async_engine(url, connect_args=arguments, **options, **_common())
    event.listen(engine.sync_engine, "do_connect", lambda *_: _make_private(Path(path)))
    event.listen(engine.sync_engine, "connect", set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _postgresql(dsn: str, time_limit: float, options: dict[str, Any]) -> AsyncEngine:
    import asyncpg

    def connect() -> Any:
        # asyncpg parses the URL as libpq does. SQLAlchemy's parser knows no sslmode, options or sslrootcert.
        return asyncpg.connect(
            dsn, timeout=time_limit, statement_cache_size=0, server_settings={"application_name": "sluice"}
        )

    def create() -> Any:
        # No statement is kept prepared: a pooler (PgBouncer) may send the next query to another backend, and a
        # migration by a newer replica would invalidate it.
        return engine.sync_engine.dialect.dbapi.connect(  # type: ignore[union-attr]
            async_creator_fn=connect,
            prepared_statement_cache_size=0,
            prepared_statement_name_func=lambda: f"sluice_{uuid4().hex}",
        )

    engine = create_async_engine("postgresql+asyncpg://", creator=create, **options, **_common())
    return engine


def _common() -> dict[str, Any]:
    return {
        "hide_parameters": True,  # they include hashes of keys
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
    }


def _make_private(file: Path) -> None:
    """Create it with mode 0600 before SQLite does. SQLite gives its other files the same mode.

    A file that is there must not be opened: its close would give up the locks of all connections of this process
    (fcntl(2), "advisory record locking"). Another process could then remove the WAL that these write to.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass


async def _connect_sqlite(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Connect. Where that fails or is canceled, wait for the connection's thread: aiosqlite leaves it behind, and it
    would report to an event loop that may be closed by then.
    """
    import aiosqlite

    connection = aiosqlite.connect(*arguments, **options)
    connection._thread.daemon = True  # as SQLAlchemy does: a file that hangs does not keep the process
    opening = asyncio.ensure_future(connection)
    try:
        return await asyncio.shield(opening)
    except BaseException:
        await asyncio.wait((opening,))
        if not opening.cancelled() and opening.exception() is None:
            await connection.close()
        connection._thread.join()
        raise


async def _set_up(connection: aiosqlite.Connection, patience: float) -> None:
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):  # a power failure never leaves half a transaction
        await (await connection.execute(f"PRAGMA {pragma}")).close()
    deadline = time.monotonic() + patience
    while True:
        try:
            # Readers do not wait for the writer. The mode is stored in the file, so only the first call changes it.
            await (await connection.execute("PRAGMA journal_mode = WAL")).close()
            return
        except sqlite3.OperationalError as error:
            # A concurrent switch to WAL deadlocks; SQLite fails one side without the busy timeout.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.01)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
