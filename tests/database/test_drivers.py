"""Connections of both kinds of databases. What a transaction does is in test_engine.py."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database import drivers
from tests.database.databases import KINDS, address, new_database


@asynccontextmanager
async def disposed(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    yield engine
    await engine.dispose()


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url


async def scalar(engine: AsyncEngine, statement: str) -> object:
    async with engine.begin() as connection:
        return (await connection.execute(text(statement))).scalar_one()


async def test_a_sqlite_connection_has_wal_and_foreign_keys(tmp_path: Path) -> None:
    async with disposed(drivers.open_single(address(f"sqlite:///{tmp_path}/keys.db"), 1.0)) as engine:
        found = [await scalar(engine, f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert found == ["wal", 1, 1]


async def test_connections_that_switch_a_file_to_wal_at_once_all_succeed(tmp_path: Path) -> None:
    where = address(f"sqlite:///{tmp_path}/keys.db")
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(disposed(drivers.open_single(where, 10.0))) for _ in range(5)]
        assert await asyncio.gather(*(scalar(engine, "SELECT 1") for engine in engines)) == [1] * 5


async def test_a_writing_transaction_takes_the_lock_at_its_beginning(tmp_path: Path) -> None:
    where = address(f"sqlite:///{tmp_path}/keys.db")
    async with (
        disposed(drivers.open_single(where, 10.0)) as one,
        disposed(drivers.open_single(where, 0.0)) as other,
        one.execution_options(**drivers.WRITING).begin(),
    ):
        assert await scalar(other, "SELECT 1") == 1  # readers do not wait
        with pytest.raises(OperationalError, match="locked"):
            async with other.execution_options(**drivers.WRITING).begin():
                pass


async def test_a_pool_has_a_limit_of_connections_and_of_the_wait_for_one(tmp_path: Path) -> None:
    where = address(f"sqlite:///{tmp_path}/keys.db")
    async with disposed(drivers.open_pool(where, 0.1)) as engine, AsyncExitStack() as stack:
        for _ in range(drivers.CONNECTIONS):
            await stack.enter_async_context(engine.connect())
        with pytest.raises(drivers.failures(where), match="limit"):
            await engine.connect()


async def test_errors_contain_no_parameters_of_the_statement(url: str) -> None:
    async with disposed(drivers.open_single(address(url), 5.0)) as engine:
        with pytest.raises(DBAPIError) as caught:
            async with engine.begin() as connection:
                await connection.execute(text("SELECT * FROM missing WHERE hash = :hash"), {"hash": "hash-of-a-key"})
    assert "hash-of-a-key" not in str(caught.value)
    assert isinstance(caught.value, drivers.failures(address(url)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("SELECT 1", {}, sqlite3.OperationalError("disk I/O error")), "disk I/O error"),
        (ValueError("first line\nsecond line"), "first line"),
        (ValueError("x" * 1000), "x" * 300),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_the_reason_is_the_first_line_of_the_drivers_message(error: Exception, expected: str) -> None:
    assert drivers.reason(error) == expected


COUNT = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute('SELECT count(*) FROM t').fetchone())"


async def counted(path: Path) -> int:
    """Rows of ``t`` as another process sees them, which closes the file then."""
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", COUNT + "; c.close()", str(path), stdout=PIPE)
    return int((await other.communicate())[0])


async def test_another_connection_leaves_the_locks_of_those_that_are_open(tmp_path: Path) -> None:
    """Without them, another process that closes the file removes the WAL, and what is written to it is lost."""
    path = tmp_path / "keys.db"
    where = address(f"sqlite:///{path}")
    async with disposed(drivers.open_pool(where, 10.0)) as kept, disposed(drivers.open_single(where, 10.0)) as single:
        async with kept.begin() as connection:
            await connection.execute(text("CREATE TABLE t (n INTEGER)"))
        assert await scalar(single, "SELECT count(*) FROM t") == 0
        assert await counted(path) == 0
        async with kept.begin() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
        assert await counted(path) == 1
    assert await counted(path) == 1
