"""Runs the migrations in ``migrations/versions``: numbered, one file each."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec import Struct
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database import drivers
from proxy.database.address import Address
from proxy.errors import ConfigError

FOLDER = Path(__file__).with_name("migrations")
# Not Alembic's default: another application in the same database may use that.
VERSION_TABLE = "sluice_revision"
PATIENCE = 60.0  # seconds to wait for another replica that runs the migrations

_LOCK = int.from_bytes(b"sluice", "big")  # key of an advisory lock in PostgreSQL


class Revisions(Struct, frozen=True):
    """The revision before and after; ``None``: there were no tables."""

    before: str | None
    after: str


async def upgrade(address: Address) -> Revisions:
    """Run the missing migrations, all or none. Of several replicas that try at once, one runs them.

    Raises ConfigError if this code does not know the database's revision. Raises ``drivers.failures`` if the database
    cannot be reached.
    """
    engine = drivers.open_single(address, PATIENCE)
    try:
        # Look first: usually nothing is missing, and then neither a lock nor the right to write is needed.
        async with engine.begin() as connection:
            before = await connection.run_sync(_revision)
        if before == _head():
            return Revisions(before, before)
        async with engine.execution_options(**drivers.ALONE).begin() as connection:
            await _take_lock(connection)
            before = await connection.run_sync(_revision)
            await connection.run_sync(_run)
            return Revisions(before, _head())
    finally:
        await engine.dispose()


async def compare(address: Address, time_limit: float) -> Revisions:
    """The revision, and the one after ``upgrade``. Raises as ``upgrade`` does."""
    engine = drivers.open_single(address, time_limit)
    try:
        async with engine.begin() as connection:
            return Revisions(await connection.run_sync(_revision), _head())
    finally:
        await engine.dispose()


async def _take_lock(connection: AsyncConnection) -> None:
    """Take a lock until the end of the transaction. In SQLite the transaction itself is exclusive."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE:g}s'"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _revision(connection: Connection) -> str | None:
    current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if current is not None and current not in _known():
        complaint = f"database: its revision is {current}, which this version of Sluice does not know (the newest it"
        complaint += f" knows is {_head()}): a newer version has upgraded it, and is needed to go on with it"
        raise ConfigError([complaint])
    return current


def _run(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    config = Config()
    # The config parser interpolates `%`.
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = VERSION_TABLE
    return config
