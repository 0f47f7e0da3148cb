"""The two kinds of databases, made to look alike: how a connection is made, and how a transaction begins."""

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

# How a transaction of SQLite begins. One that reads first and writes then would fail at once, without waiting for
# its turn, if somebody else has written in between: whoever is going to write says so at the beginning.
WRITING = {"sqlite_begin": "BEGIN IMMEDIATE"}
ALONE = {"sqlite_begin": "BEGIN EXCLUSIVE"}


def open_pool(address: Address, time_limit: float) -> AsyncEngine:
    """A few connections, made when they are needed; ``time_limit`` (seconds) bounds each wait for one."""
    pool = {"poolclass": AsyncAdaptedQueuePool, "pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": time_limit}
    if address.kind == "sqlite":
        # SQLite's own wait for a lock ends a little before ours, with a better reason.
        return _sqlite(address.target, 0.75 * time_limit, pool)
    # A connection that died while nobody used it is found out before a query needs it.
    return _postgresql(address.target, time_limit, {**pool, "pool_pre_ping": True})


def open_single(address: Address, patience: float) -> AsyncEngine:
    """A connection for each use; ``patience`` (seconds) is how long another may keep a SQLite file to itself."""
    if address.kind == "sqlite":
        return _sqlite(address.target, patience, {"poolclass": NullPool})
    return _postgresql(address.target, min(patience, 10.0), {"poolclass": NullPool})


def failures(address: Address) -> tuple[type[Exception], ...]:
    """What is raised where a database cannot be reached or does not do as it is told."""
    common = (SQLAlchemyError, OSError, TimeoutError)
    if address.kind == "sqlite":
        return (*common, sqlite3.Error)
    import asyncpg  # type: ignore[import-untyped, unused-ignore]

    return (*common, asyncpg.PostgresError, asyncpg.InterfaceError)  # not every version translates a failed connect


def reason(error: Exception) -> str:
    """The driver's own words, without the statement that SQLAlchemy adds to them."""
    origin = getattr(error, "orig", None) or error
    words = (str(origin).splitlines() or [""])[0]
    return words[:300] or type(origin).__name__


def _sqlite(path: str, patience: float, options: dict[str, Any]) -> AsyncEngine:
    def set_up(connection: Any, _entry: object) -> None:
        connection.run_async(lambda driver: _set_up(driver, patience))

    arguments = {"timeout": patience, "isolation_level": None}  # no transactions of the driver's own making
    url = URL.create("sqlite+aiosqlite", database=path)
    engine = create_async_engine(url, connect_args=arguments, **options, **_common())
    event.listen(engine.sync_engine, "do_connect", lambda *_: _make_private(Path(path)))
    event.listen(engine.sync_engine, "connect", set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _postgresql(dsn: str, time_limit: float, options: dict[str, Any]) -> AsyncEngine:
    import asyncpg

    def connect() -> Any:
        # asyncpg reads the URL, as libpq would: SQLAlchemy's own reading knows no sslmode, options or sslrootcert.
        return asyncpg.connect(
            dsn, timeout=time_limit, statement_cache_size=0, server_settings={"application_name": "sluice"}
        )

    def create() -> Any:
        # No statement outlives its query: a pooler between us and the server (PgBouncer) may give the next one to
        # another backend, and a migration by a newer replica would make it invalid.
        return engine.sync_engine.dialect.dbapi.connect(  # type: ignore[union-attr]
            async_creator_fn=connect,
            prepared_statement_cache_size=0,
            prepared_statement_name_func=lambda: f"sluice_{uuid4().hex}",
        )

    engine = create_async_engine("postgresql+asyncpg://", creator=create, **options, **_common())
    return engine


def _common() -> dict[str, Any]:
    return {
        "hide_parameters": True,  # among them are hashes of keys
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
    }


def _make_private(file: Path) -> None:
    """Before SQLite makes it: the files beside it take its mode over."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


async def _set_up(connection: aiosqlite.Connection, patience: float) -> None:
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):  # a power failure never takes half of a transaction
        await (await connection.execute(f"PRAGMA {pragma}")).close()
    deadline = time.monotonic() + patience
    while True:
        try:
            # Readers do not wait for the writer. The file keeps it: all but the first find it done.
            await (await connection.execute("PRAGMA journal_mode = WAL")).close()
            return
        except sqlite3.OperationalError as error:
            # Two who do it at once: SQLite tells one so without its usual wait, as each holds what the other needs.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.01)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
