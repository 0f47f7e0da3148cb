"""Migrations: run by one process at a time, all or none."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from msgspec import structs
from sqlalchemy import Connection, insert, inspect, text

from proxy.database import drivers, migrate
from proxy.database.migrate import FOLDER, VERSION_TABLE, Revisions, upgrade
from proxy.database.tables import LEDGER, METADATA
from proxy.errors import ConfigError
from tests.database.databases import KINDS, NEWEST, address, new_database
from tests.ledger.rows import ROW
from tests.support.patience import within

REPOSITORY = Path(__file__).parents[2]

# As each of several replicas does at its start.
UPGRADE = """
import asyncio, sys
from proxy.config.schema import Database
from proxy.database.address import address_of
from proxy.database.migrate import upgrade
address = address_of(Database(url=sys.argv[1]), "")
print("ready", flush=True)
sys.stdin.readline()
print(asyncio.run(upgrade(address)).before)
"""


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that is about to upgrade, as soon as it is told to."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UPGRADE, url, stdin=-1, stdout=-1, cwd=REPOSITORY
    )
    try:
        assert process.stdout is not None
        assert await within(process.stdout.readline(), "a replica") == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url


async def ask(url: str, statement: str) -> None:
    engine = drivers.open_single(address(url), 5.0)
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def tables(url: str) -> set[str]:
    engine = drivers.open_single(address(url), 5.0)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    return set(names)


async def test_an_empty_database_gets_every_table_and_a_second_upgrade_does_nothing(url: str) -> None:
    assert await upgrade(address(url)) == Revisions(None, NEWEST)
    assert await tables(url) == {*METADATA.tables, VERSION_TABLE}
    assert await upgrade(address(url)) == Revisions(NEWEST, NEWEST)


async def test_the_migrations_create_the_tables_of_the_code(url: str) -> None:
    await upgrade(address(url))

    def differences(connection: Connection) -> list[object]:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        return [*compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)]

    engine = drivers.open_single(address(url), 5.0)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_sums_of_labels_begin_after_the_rows_that_are_there(url: str) -> None:
    await upgrade(address(url))
    engine = drivers.open_single(address(url), 5.0)
    begins = []
    table = " ON transfers" if engine.dialect.name == "postgresql" else ""
    for rows in (0, 1):
        for statement in (
            "DROP TABLE ledger_labels",
            "DROP TABLE ledger_labels_begin",
            *(f"DROP TABLE {name}" for name in ("outbox", "event_receivers", "event_ids")),
            *(f"DROP TABLE {name}" for name in ("routing_entries", "routing_changes", "address_health", "leases")),
            "ALTER TABLE ledger DROP COLUMN saved",
            *(f"ALTER TABLE ledger_hours DROP COLUMN {name}" for name in ("from_cache", "saved")),
            "ALTER TABLE accounts DROP COLUMN sequence",
            f"DROP TRIGGER transfers_no_renumber{table}",
            *(f"ALTER TABLE transfers DROP COLUMN {name}" for name in ("sequence", "balance")),
            f"UPDATE {VERSION_TABLE} SET version_num = '0007'",
        ):
            await ask(url, statement)
        if rows:
            async with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    await connection.execute(text("CREATE TABLE ledger_all PARTITION OF ledger DEFAULT"))
                former = {name: value for name, value in structs.asdict(ROW).items() if name != "saved"}
                await connection.execute(insert(LEDGER).values(former))
        await upgrade(address(url))
        async with engine.connect() as connection:
            begins.append((await connection.execute(text("SELECT hour FROM ledger_labels_begin"))).scalars().all())
    await engine.dispose()
    assert begins[0] == []
    [begin] = begins[1]
    assert begin % 3600 == 0
    assert begin > time.time()


async def test_of_replicas_that_start_at_once_one_runs_the_migrations(url: str) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(replica(url)) for _ in range(3)]
        heard = await within(asyncio.gather(*(each.communicate(b"go\n") for each in replicas)), "three upgrades")
    assert sorted(out for out, _ in heard) == [f"{each}\n".encode() for each in (NEWEST, NEWEST, None)]


async def test_upgrades_of_one_process_take_turns_too(url: str) -> None:
    found = await asyncio.gather(*(upgrade(address(url)) for _ in range(5)))
    assert sorted(str(each.before) for each in found) == [NEWEST] * 4 + ["None"]


async def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    await upgrade(address(url))
    await ask(url, f"UPDATE {VERSION_TABLE} SET version_num = '0815'")
    with pytest.raises(
        ConfigError, match=r"its revision is 0815, which this version of Sluice does not know.*" + NEWEST
    ):
        await upgrade(address(url))


async def test_a_migration_that_fails_leaves_nothing_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "100% migrations"
    shutil.copytree(FOLDER, folder)
    broken = f'import sqlalchemy as sa\nfrom alembic import op\nrevision = "9999"\ndown_revision = "{NEWEST}"\n'
    broken += (
        'def upgrade():\n    op.create_table("half", sa.Column("id", sa.Text))\n    raise RuntimeError("broken")\n'
    )
    (folder / "versions" / "9999_broken.py").write_text(broken)
    monkeypatch.setattr(migrate, "FOLDER", folder)
    with pytest.raises(RuntimeError, match="broken"):
        await upgrade(address(url))
    assert await tables(url) == set()


async def test_the_version_table_of_another_application_is_left_alone(url: str) -> None:
    await ask(url, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    await ask(url, "INSERT INTO alembic_version VALUES ('theirs')")
    assert (await upgrade(address(url))).after == NEWEST


async def test_without_missing_migrations_no_right_to_write_is_needed(tmp_path: Path) -> None:
    async with new_database("postgresql", tmp_path) as url:
        await upgrade(address(url))
        assert (await upgrade(address(f"{url}?default_transaction_read_only=on"))).before == NEWEST
