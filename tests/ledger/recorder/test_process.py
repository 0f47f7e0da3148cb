"""The recorder as a process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from proxy.database.address import Address
from proxy.ledger.recorder import process
from proxy.ledger.recorder.folders import has_segments, is_recorded, lock_recorder
from proxy.ledger.recorder.process import DONE, LEFT, TAKEN, _Process, run_recorder
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.recorder.status import read_status
from tests.ledger.recorder.databases import migrated, query
from tests.ledger.recorder.fakes import ListLog, WritingGateway
from tests.support.command_line import ROOT
from tests.support.patience import PATIENCE, until, within

# A gateway that is killed with an attempt open.
DIES = """
import os, sys
from pathlib import Path
from tests.ledger.recorder.fakes import WritingGateway
gateway = WritingGateway(Path(sys.argv[1]))
gateway.close(gateway.open())
gateway.open()
os.kill(os.getpid(), 9)
"""


def settings_in(folder: Path, where: Address, *, once: bool = False) -> RecorderSettings:
    return RecorderSettings(str(folder / "spool"), where, once=once)


@pytest.fixture
def where(tmp_path: Path) -> Address:
    """A SQLite file with tables, made outside of an event loop."""

    async def make() -> Address:
        async with migrated("sqlite", tmp_path) as found:
            return found

    return asyncio.run(make())


def rows(where: Address) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(where.target)) as connection:
        return sorted(connection.execute('SELECT id, "end" FROM ledger'))


@contextmanager
def recorder(settings: RecorderSettings) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "proxy.ledger.recorder"]
    started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    with started:
        assert started.stdin is not None
        started.stdin.write(msgspec.json.encode(settings))
        started.stdin.close()
        started.stdin = None
        try:
            yield started
        finally:
            started.kill()


def test_a_left_spool_is_written_and_removed(tmp_path: Path, where: Address) -> None:
    settings, log = settings_in(tmp_path, where), ListLog()
    gateway = WritingGateway(tmp_path / "spool")
    row = gateway.close(gateway.open())
    gateway.end()
    assert run_recorder(settings, log) == DONE
    assert rows(where) == [(row.id, "ok")]
    status = read_status(tmp_path / "spool")
    assert status is not None
    assert (status.rows, status.waiting, status.database, status.error) == (1, 0, True, "")
    assert not has_segments(tmp_path / "spool")
    assert log.lines == []


async def test_a_recorder_without_work_shows_that_it_lives(
    tmp_path: Path, where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BEAT_SECS", "STATUS_SECS", "PAUSE"):
        monkeypatch.setattr(process, name, 0.001)
    folder = tmp_path / "spool"
    living = WritingGateway(folder)
    working = _Process(settings_in(tmp_path, where), folder, ListLog())
    running = asyncio.create_task(working.run())
    await until(lambda: read_status(folder), "its first status")
    first = read_status(folder)
    await until(lambda: read_status(folder) != first, "its next status")
    working._stop.set()
    assert await within(running, "its end") == DONE
    living.end()


async def test_the_broker_is_closed_after_the_last_look_at_its_dead_letters(
    tmp_path: Path, where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = WritingGateway(tmp_path / "spool")  # as long as it lives, the recorder does
    working = _Process(settings_in(tmp_path, where), tmp_path / "spool", ListLog())
    begun, order = asyncio.Event(), list[str]()
    close = working._database.close

    async def look() -> int:
        begun.set()
        try:
            return await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            order.append("looked")

    async def closed() -> None:
        order.append("closes")
        await close()

    monkeypatch.setattr(working, "_dead", look)
    monkeypatch.setattr(working._database, "close", closed)
    running = asyncio.create_task(working.run())
    await within(begun.wait(), "a look")
    working._stop.set()
    assert await within(running, "the end") == DONE
    assert order == ["looked", "closes"]
    gateway.end()


async def test_a_look_that_loses_its_cancellation_does_not_keep_the_recorder(
    tmp_path: Path, where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = WritingGateway(tmp_path / "spool")
    working = _Process(settings_in(tmp_path, where), tmp_path / "spool", ListLog())
    begun, lost = asyncio.Event(), False

    async def look() -> int:
        nonlocal lost
        begun.set()
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            if lost:
                raise
            lost = True
            return 0

    monkeypatch.setattr(working, "_dead", look)
    running = asyncio.create_task(working.run())
    await within(begun.wait(), "a look")
    working._stop.set()
    assert await within(running, "the end") == DONE
    gateway.end()


def test_only_one_recorder_works_in_a_folder(tmp_path: Path, where: Address) -> None:
    settings = settings_in(tmp_path, where)
    (tmp_path / "spool").mkdir()
    assert not is_recorded(tmp_path / "spool")
    lock = lock_recorder(tmp_path / "spool")
    assert lock is not None
    assert is_recorded(tmp_path / "spool")
    assert run_recorder(settings, ListLog()) == TAKEN
    lock.release()
    assert not is_recorded(tmp_path / "spool")
    assert run_recorder(settings, ListLog()) == DONE


def test_a_folder_that_is_missing_is_told(tmp_path: Path, where: Address) -> None:
    log = ListLog()
    assert run_recorder(settings_in(tmp_path, where), log) == LEFT
    assert log.lines == ["error The spool cannot be used."]


def test_without_a_database_it_leaves_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.ledger.recorder.recorder.GIVE_UP_SECS", 0.0)
    (tmp_path / "no.db").write_text("not a database" * 100)
    settings = settings_in(tmp_path, Address("sqlite", str(tmp_path / "no.db")))
    gateway = WritingGateway(tmp_path / "spool")
    gateway.close(gateway.open())
    gateway.end()
    assert run_recorder(settings, ListLog()) == LEFT
    assert has_segments(tmp_path / "spool")
    status = read_status(tmp_path / "spool")
    assert status is not None
    assert status.error == "file is not a database"
    assert status.waiting == 1


def test_kill_9_of_the_recorder_and_of_a_gateway_loses_and_doubles_nothing(tmp_path: Path, where: Address) -> None:
    settings = settings_in(tmp_path, where)
    living = WritingGateway(tmp_path / "spool")
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "spool")], cwd=ROOT, check=False, timeout=PATIENCE)
    left = living.open()
    with recorder(settings):
        asyncio.run(until(lambda: len(rows(where)) == 2, "the rows of the dead gateway"))
    living.close(left)
    living.end()
    assert run_recorder(settings, ListLog()) == DONE
    assert sorted(end for _, end in rows(where)) == ["lost", "ok", "ok"]
    assert asyncio.run(query(where, "SELECT sum(attempts) FROM ledger_hours")) == [(3,)]


def test_sigterm_ends_it_while_gateways_live(tmp_path: Path, where: Address) -> None:
    gateway = WritingGateway(tmp_path / "spool")
    gateway.close(gateway.open())
    with recorder(settings_in(tmp_path, where)) as started:
        asyncio.run(until(lambda: rows(where), "the row"))
        started.send_signal(signal.SIGTERM)
        assert started.wait(PATIENCE) == 0
        assert started.stderr is not None
        assert started.stderr.read() == b""
    gateway.end()


def test_the_recorder_of_a_dead_gateway_leaves_a_living_one_to_its_own(tmp_path: Path, where: Address) -> None:
    settings = structs.replace(settings_in(tmp_path, where), parent=1)
    gateway = WritingGateway(tmp_path / "spool")
    gateway.close(gateway.open())
    assert run_recorder(settings, ListLog()) == LEFT
    assert rows(where) == []
    gateway.end()
    assert run_recorder(settings, ListLog()) == DONE  # nobody else would
    assert len(rows(where)) == 1


def test_it_makes_the_tables_and_imports_nothing_large(tmp_path: Path) -> None:
    where = Address("sqlite", str(tmp_path / "new.db"))
    gateway = WritingGateway(tmp_path / "spool")
    gateway.close(gateway.open())
    gateway.end()
    script = (
        "import sys; from proxy.ledger.recorder.__main__ import main; status = main();"
        "print(status, sorted({'sqlalchemy', 'aiohttp', 'alembic', 'asyncpg', 'ssl', 'argparse'} & {*filter(sys.modules.get, sys.modules)}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        input=msgspec.json.encode(settings_in(tmp_path, where)),
        capture_output=True,
        timeout=PATIENCE,
    )
    assert ran.stderr == b""
    assert ran.stdout == b"0 []\n"
    assert len(rows(where)) == 1
    assert os.stat(where.target).st_mode & 0o777 == 0o600


def test_records_are_synced_while_the_database_is_slow(tmp_path: Path) -> None:
    """The disk gets them within a tenth of a second, whatever the database does."""

    class Slow:
        async def write(self, rows: object, events: object) -> int:
            await asyncio.sleep(3600)
            return 0

        async def close(self) -> None:
            pass

    async def run() -> int:
        gateway = WritingGateway(tmp_path / "spool")
        gateway.close(gateway.open())
        settings = settings_in(tmp_path, Address("sqlite", str(tmp_path / "no.db")))
        running = process._Process(settings, tmp_path / "spool", ListLog())
        running._recorder._database = Slow()  # type: ignore[assignment]
        synced = 0

        def sync() -> None:
            nonlocal synced
            synced += 1

        running._spool.sync = sync  # type: ignore[method-assign]
        task = asyncio.create_task(running.run())
        await until(lambda: synced > 2, "the spool to be synced")
        os.kill(os.getpid(), signal.SIGTERM)
        gateway.end()
        return await task

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "END_SECS", 0.01)
        assert asyncio.run(run()) == DONE
    assert has_segments(tmp_path / "spool")
