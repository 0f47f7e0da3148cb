"""The database of the commands that work on the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.config.schema import Database
from proxy.database import drivers
from proxy.database.address import address_of
from proxy.database.opening import compare
from proxy.errors import ConfigError

PATIENCE: Final = 10.0  # seconds, for a connection and for a lock

# The recorder writes these tables in one transaction, rows first. PostgreSQL takes the locks in this order. Who posts
# to an account writes it before its transfer.
_LOCK: Final = (
    "LOCK TABLE ledger, ledger_hours, ledger_labels, budget_spend, accounts, transfers IN SHARE ROW EXCLUSIVE MODE"
)


@asynccontextmanager
async def opened(settings: Database, data_dir: str | Path) -> AsyncIterator[AsyncEngine]:
    """The engine of the configured database. Each use of it connects anew.

    Raises ConfigError if there is no database, its tables are older than this code, or it fails meanwhile.
    """
    if not settings.enabled:
        raise ConfigError(["ledger: there is none, as database.enabled is false"])
    address = address_of(settings, data_dir)
    revisions = await compare(settings, data_dir, PATIENCE)
    if revisions is None:
        raise ConfigError([f"ledger: there is none, as {address} does not exist"])
    if revisions.before != revisions.after:
        raise ConfigError([f"ledger: the tables of {address} are not up to date; run `sluice db upgrade`"])
    engine = drivers.open_single(address, PATIENCE)
    try:
        yield engine
    except BrokenPipeError:  # of the output
        raise
    except drivers.failures(address) as error:
        raise ConfigError([f"database: {address} cannot be used: {drivers.reason(error)}"]) from None
    finally:
        await engine.dispose()


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection. All statements of one of its transactions see the same rows, as always in SQLite's WAL mode."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@asynccontextmanager
async def alone(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction during which no other one writes the ledger. Keep it short: recorders wait. Readers do not."""
    async with engine.execution_options(**drivers.WRITING).begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE:g}s'")
            await connection.exec_driver_sql(_LOCK)
        yield connection
