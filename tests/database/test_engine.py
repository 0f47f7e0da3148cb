"""Transactions, their time limit, and a database that goes away."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database import drivers
from proxy.database.address import Address
from proxy.database.engine import GRACE, Engine
from proxy.database.health import DatabaseHealth, Unreachable
from proxy.errors import ConfigError
from tests.database.databases import KINDS, Forwarder, address, new_database
from tests.support.patience import PATIENCE, until, within

Opener = Callable[..., Engine]


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:

        def engine(url: str, **options: float) -> Engine:
            made = Engine(address(url), DatabaseHealth(), **({"time_limit": PATIENCE} | options))
            stack.push_async_callback(made.close)
            return made

        yield engine


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url


async def one(connection: AsyncConnection) -> object:
    return (await connection.execute(text("SELECT 1"))).scalar_one()


def running(statement: str) -> Callable[[AsyncConnection], object]:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text(statement))

    return work


async def test_the_first_use_runs_the_missing_migrations(url: str, opened: Opener) -> None:
    engine = opened(url)
    await asyncio.gather(*(engine.read(running("SELECT * FROM api_keys")) for _ in range(10)))
    assert engine.state.up
    assert engine.state.latency is not None


async def test_a_transaction_that_fails_leaves_nothing_behind(url: str, opened: Opener) -> None:
    engine = opened(url)
    await engine.write(running("CREATE TABLE notes (word TEXT PRIMARY KEY)"))

    async def twice(connection: AsyncConnection) -> None:
        for _ in range(2):
            await connection.execute(text("INSERT INTO notes VALUES ('same')"))

    with pytest.raises(IntegrityError):
        await engine.write(twice)

    async def count(connection: AsyncConnection) -> object:
        return (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one()

    assert await engine.read(count) == 0
    assert engine.state.up


def modes_below(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


async def test_no_call_takes_longer_than_the_limit(url: str, opened: Opener) -> None:
    engine = opened(url, time_limit=1.0)
    await engine.ready()

    async def stuck(_connection: AsyncConnection) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Unreachable, match="no answer within 1 s"):
        await engine.read(stuck)
    assert not engine.state.up
    engine._time_limit = PATIENCE
    assert await engine.read(one) == 1
    assert engine.state.up


async def test_a_canceled_call_returns_its_connection(url: str, opened: Opener) -> None:
    engine = opened(url)
    await engine.ready()
    for _ in range(2 * drivers.CONNECTIONS):
        begun = asyncio.Event()

        async def stuck(_connection: AsyncConnection, begun: asyncio.Event = begun) -> None:
            begun.set()
            await asyncio.Event().wait()

        asking = asyncio.create_task(engine.read(stuck))
        await within(begun.wait(), "a connection")
        asking.cancel()
        await asyncio.wait((asking,))
        assert asking.cancelled()
    assert await engine.read(one) == 1


async def test_queries_beyond_the_pool_wait_for_a_connection(url: str, opened: Opener) -> None:
    engine = opened(url)
    assert await asyncio.gather(*(engine.read(one) for _ in range(10 * drivers.CONNECTIONS))) == [1] * 50


async def test_closing_does_not_wait_for_what_is_stuck(url: str) -> None:
    engine = Engine(address(url), DatabaseHealth(), time_limit=8.0)
    begun = asyncio.Event()

    async def stuck(_connection: AsyncConnection) -> None:
        begun.set()
        await asyncio.Event().wait()

    asking = asyncio.create_task(engine.read(stuck))
    await within(begun.wait(), "a connection")
    asking.cancel()  # it runs only later; the engine cancels its work by itself
    await within(engine.close(), "the end of all connections")
    assert not engine._running


async def test_a_call_that_closing_ends_raises_unreachable(url: str) -> None:
    engine = Engine(address(url), DatabaseHealth(), time_limit=PATIENCE)
    begun = asyncio.Event()

    async def stuck(_connection: AsyncConnection) -> None:
        begun.set()
        await asyncio.Event().wait()

    asking = asyncio.create_task(engine.read(stuck))
    await within(begun.wait(), "a connection")
    await within(engine.close(), "the end of all connections")
    with pytest.raises(Unreachable, match="it was closed"):
        await within(asking, "the end of the call")
    assert engine.state.up


@pytest.mark.parametrize("call", [lambda engine: engine.ready(), lambda engine: engine.read(one)])
async def test_migrations_that_closing_ends_are_unreachable(
    call: Callable[[Engine], Coroutine[Any, Any, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def endless(_address: Address) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("proxy.database.engine.upgrade", endless)
    engine = Engine(address(f"sqlite:///{tmp_path}/a.db"), DatabaseHealth(), time_limit=PATIENCE)
    asking = asyncio.create_task(call(engine))
    await within(begun.wait(), "the migrations")
    await within(engine.close(), "the end of the migrations")
    with pytest.raises(Unreachable, match="it was closed"):
        await within(asking, "the end of the call")


@pytest.mark.parametrize("turns", range(4))  # of the loop, before the engine closes
async def test_closing_leaves_no_migrations_behind(turns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running: set[str] = set()

    async def endless(_address: Address) -> None:
        running.add("migrations")
        try:
            await asyncio.Event().wait()
        finally:
            running.clear()

    monkeypatch.setattr("proxy.database.engine.upgrade", endless)
    engine = Engine(address(f"sqlite:///{tmp_path}/a.db"), DatabaseHealth(), time_limit=PATIENCE)
    asking = asyncio.create_task(engine.read(one))
    for _ in range(turns):
        await asyncio.sleep(0)
    await within(engine.close(), "the end of all connections")
    assert not running
    with pytest.raises(Unreachable, match="it was closed"):
        await within(asking, "the end of the call")


async def test_a_call_that_is_canceled_as_the_engine_closes_leaves_no_task(url: str) -> None:
    """A task that never ends would keep the process from stopping."""
    for turns in range(40):  # of the loop, so that the cancellation meets every step of the query
        engine = Engine(address(url), DatabaseHealth(), time_limit=PATIENCE)
        await engine.read(one)
        asking = asyncio.create_task(engine.read(one))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await within(engine.close(), "the end of all connections")
        left = asyncio.all_tasks() - {asyncio.current_task(), asking}
        assert not [task for task in left if "aiosqlite" in repr(task) or "Engine" in repr(task)]


def threads_of_sqlite() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}


async def test_closing_waits_for_a_connection_that_is_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread would report to a loop that is closed by then."""
    before, begun, opens = threads_of_sqlite(), threading.Event(), threading.Event()
    connect = sqlite3.connect

    def held(*arguments: Any, **options: Any) -> sqlite3.Connection:
        begun.set()
        assert opens.wait(PATIENCE)
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", held)
    engine = Engine(address(f"sqlite:///{tmp_path}/a.db"), DatabaseHealth(), time_limit=PATIENCE)
    asking = asyncio.create_task(engine.read(one))
    await until(begun.is_set, "the connection")
    closing = asyncio.create_task(engine.close())
    closed, _ = await asyncio.wait((closing,), timeout=4 * GRACE)
    opens.set()
    await within(closing, "the end of all connections")
    assert not closed
    assert threads_of_sqlite() == before
    await asyncio.wait((asking,))


async def test_a_file_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = threads_of_sqlite()
    engine = Engine(address(f"sqlite:///{tmp_path}"), DatabaseHealth(), time_limit=PATIENCE)  # a folder
    with pytest.raises(Unreachable, match="unable to open database file"):
        await engine.read(one)
    assert threads_of_sqlite() == before
    await engine.close()


async def test_an_engine_that_was_closed_opens_no_connection(url: str, opened: Opener) -> None:
    engine = opened(url)
    await engine.read(one)
    await engine.close()
    with pytest.raises(Unreachable, match="it was closed"):
        await engine.read(one)
    assert engine.state.up  # the database is, so nobody is warned


async def test_work_over_its_time_limit_is_canceled_once(opened: Opener, tmp_path: Path) -> None:
    engine = opened(f"sqlite:///{tmp_path}/a.db")
    task = asyncio.create_task(asyncio.Event().wait())
    engine._abandon(task)
    engine._abandon(task)  # by closing, while the task still closes its connection
    assert task.cancelling() == 1
    await asyncio.wait((task,))
    assert not engine._canceled


async def test_a_database_that_was_down_at_the_start_is_migrated_when_it_answers(
    tmp_path: Path, opened: Opener
) -> None:
    async with new_database("postgresql", tmp_path) as url, Forwarder(url) as way:
        await way.cut()
        engine = opened(way.url)
        with pytest.raises(Unreachable):
            await engine.ready()
        with pytest.raises(Unreachable):
            await engine.read(one)
        assert not engine.state.up
        await way.restore()
        await engine.read(running("SELECT * FROM api_keys"))
        assert engine.state.up


async def test_broken_idle_connections_are_replaced(tmp_path: Path, opened: Opener) -> None:
    async with new_database("postgresql", tmp_path) as url, Forwarder(url) as way:
        engine = opened(way.url)
        await engine.ready()
        await asyncio.gather(*(engine.read(one) for _ in range(3)))
        await way.cut()
        await way.restore()
        assert await asyncio.gather(*(engine.read(one) for _ in range(3))) == [1, 1, 1]


async def test_a_server_that_hangs_is_unreachable_until_it_answers(tmp_path: Path, opened: Opener) -> None:
    async with new_database("postgresql", tmp_path) as url, Forwarder(url) as way:
        engine = opened(way.url)
        await engine.ready()
        assert await engine.read(one) == 1
        way.hold()
        engine._time_limit = 1.0
        with pytest.raises(Unreachable, match="no answer within"):
            await engine.read(one)
        await way.restore()

        async def asked_until_it_answers() -> object:
            while True:  # connections that were being made while it hung take their time to end
                try:
                    return await engine.read(one)
                except Unreachable:
                    pass

        assert await within(asked_until_it_answers(), "the server to answer") == 1
        assert engine.state.up


async def test_a_wrong_database_is_reported_with_the_servers_message(tmp_path: Path, opened: Opener) -> None:
    async with new_database("postgresql", tmp_path) as url:
        with pytest.raises(Unreachable, match=r'database "[a-z_0-9]+_gone" does not exist'):
            await opened(f"{url}_gone").ready()


async def test_a_newer_database_is_a_config_error_at_the_start_and_unreachable_later(url: str, opened: Opener) -> None:
    await opened(url).write(running("UPDATE sluice_revision SET version_num = '0815'"))
    engine = opened(url)
    with pytest.raises(ConfigError, match="0815"):
        await engine.ready()
    with pytest.raises(Unreachable, match="0815"):
        await engine.read(one)


async def test_the_file_and_its_folder_are_private(tmp_path: Path, opened: Opener) -> None:
    engine = opened(f"sqlite:///{tmp_path}/data/sluice.db")
    await engine.write(running("CREATE TABLE notes (word TEXT)"))
    modes = await asyncio.to_thread(modes_below, tmp_path)
    assert modes == {"data": 0o700, "sluice.db": 0o600, "sluice.db-wal": 0o600, "sluice.db-shm": 0o600}


async def test_a_file_that_another_process_writes_can_be_read(tmp_path: Path, opened: Opener) -> None:
    engine = opened(f"sqlite:///{tmp_path}/keys.db", time_limit=0.4)
    engine._time_limit = PATIENCE  # SQLite keeps its own limit, 0.3 s, and is therefore first
    await engine.ready()
    await engine.write(running("CREATE TABLE notes (word TEXT)"))
    with closing(sqlite3.connect(tmp_path / "keys.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        await engine.read(running("SELECT * FROM notes"))
        with pytest.raises(Unreachable, match="database is locked"):
            await engine.write(running("INSERT INTO notes VALUES ('late')"))
        other.execute("COMMIT")
    await engine.write(running("INSERT INTO notes VALUES ('in time')"))


async def test_transactions_that_read_and_then_write_one_file_take_turns(tmp_path: Path, opened: Opener) -> None:
    url = f"sqlite:///{tmp_path}/keys.db"
    one_process, another = opened(url), opened(url)
    await one_process.write(running("CREATE TABLE counter (value INTEGER)"))
    await one_process.write(running("INSERT INTO counter VALUES (0)"))

    async def count(connection: AsyncConnection) -> None:
        value = (await connection.execute(text("SELECT value FROM counter"))).scalar_one()
        await connection.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

    await asyncio.gather(*(engine.write(count) for engine in (one_process, another) for _ in range(20)))

    async def value(connection: AsyncConnection) -> object:
        return (await connection.execute(text("SELECT value FROM counter"))).scalar_one()

    assert await another.read(value) == 40
