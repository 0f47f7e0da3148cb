"""Events that the recorder sends, as a process of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from proxy.database.address import Address
from proxy.events.base import EventReceiver
from proxy.events.settings import BrokerSettings, EventSettings, WebhookSettings
from proxy.ledger.recorder.process import DONE, run_recorder
from proxy.ledger.recorder.sending import HOLDER, holder_of, sending_of
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.recorder.status import read_status
from tests.ledger.recorder.databases import migrated
from tests.ledger.recorder.fakes import ListLog, WritingGateway
from tests.ledger.recorder.test_process import recorder
from tests.support import Upstream, json_answer
from tests.support.patience import until

NAME = "webhook:test"


@pytest.fixture
async def where(tmp_path: Path) -> Address:
    async with migrated("sqlite", tmp_path) as found:
        return found


def settings_for(folder: Path, where: Address, url: str) -> RecorderSettings:
    events = EventSettings((EventReceiver(NAME),), webhooks=(WebhookSettings(NAME, url),), proxies={"NO_PROXY": "*"})
    return RecorderSettings(str(folder / "spool"), where, events=events)


def waiting(where: Address) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(where.target)) as connection:
        return connection.execute("SELECT id, tries FROM outbox ORDER BY seq").fetchall()


async def test_each_row_is_told_and_the_recorder_ends_when_all_is_sent(tmp_path: Path, where: Address) -> None:
    async with Upstream() as there:
        there.on(lambda request: json_answer({}))
        gateway = WritingGateway(tmp_path / "spool")
        rows = [gateway.close(gateway.open()) for _ in range(3)]
        gateway.end()
        log = ListLog()
        status = await asyncio.to_thread(run_recorder_in_process, settings_for(tmp_path, where, there.origin), log)
        assert status == DONE
        assert [request.json["id"] for request in there.requests] == [row.id for row in rows]
        assert {request.json["type"] for request in there.requests} == {"io.sluice.ai_usage"}
    assert waiting(where) == []
    assert log.lines == []
    told = read_status(tmp_path / "spool")
    assert told is not None
    [receiver] = told.receivers
    assert (receiver.name, receiver.up, receiver.sent, receiver.failures) == (NAME, True, 3, 0)


def run_recorder_in_process(settings: RecorderSettings, log: ListLog) -> int:
    """``run_recorder`` in a thread, which may set no signal handlers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.unix_events._UnixSelectorEventLoop, "add_signal_handler", lambda *_: None)
        return run_recorder(settings, log)


async def test_kill_9_loses_no_event(tmp_path: Path, where: Address) -> None:
    async with Upstream() as there:
        there.on(lambda request: json_answer({}, 500))
        settings = settings_for(tmp_path, where, there.origin)
        gateway = WritingGateway(tmp_path / "spool")
        row = gateway.close(gateway.open())
        with recorder(settings) as first:
            await there.request(0)
            first.kill()
        there.on(lambda request: json_answer({}))
        with recorder(settings) as second:
            await until(lambda: waiting(where) == [], "the event to be sent")
            gateway.end()
            assert await asyncio.to_thread(second.wait, 30) == DONE
        assert {request.json["id"] for request in there.requests} == {row.id}


async def test_it_ends_although_a_receiver_takes_nothing(
    tmp_path: Path, where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.events.sending.deliveries.END_SECS", 0.05)
    async with Upstream() as there:
        there.on(lambda request: json_answer({}, 500))
        gateway = WritingGateway(tmp_path / "spool")
        row = gateway.close(gateway.open())
        gateway.end()
        settings = settings_for(tmp_path, where, there.origin)
        assert await asyncio.to_thread(run_recorder_in_process, settings, ListLog()) == DONE
    assert [id_ for id_, _ in waiting(where)] == [row.id]


async def test_a_full_outbox_holds_the_rows(tmp_path: Path, where: Address) -> None:
    with closing(sqlite3.connect(where.target)) as connection, connection:
        statement = "INSERT INTO outbox (id, receiver, type, at, body, due) VALUES ('x', ?, 'ai_usage', ?, '{}', ?)"
        connection.executemany(statement, [(NAME, time.time(), time.time() + 3600)] * 3)
    async with Upstream() as there:
        there.on(lambda request: json_answer({}))
        settings = settings_for(tmp_path, where, there.origin)
        settings = structs.replace(settings, events=structs.replace(settings.events, most_waiting=3))
        gateway = WritingGateway(tmp_path / "spool")
        with recorder(settings):
            await until(lambda: counted(tmp_path) == 3, "the count")
            row = gateway.close(gateway.open())
            await until(lambda: held(tmp_path), "the row to wait")
            assert there.requests == []
            with closing(sqlite3.connect(where.target)) as connection, connection:
                connection.execute("DELETE FROM outbox")
            assert (await there.request(0)).json["id"] == row.id
        gateway.end()


def counted(folder: Path) -> int:
    status = read_status(folder / "spool")
    return 0 if status is None else sum(each.waiting for each in status.receivers)


def held(folder: Path) -> bool:
    status = read_status(folder / "spool")
    return status is not None and status.waiting == 1


def test_the_folder_has_one_name(tmp_path: Path) -> None:
    made = holder_of(tmp_path)
    assert holder_of(tmp_path) == made
    assert (tmp_path / HOLDER).stat().st_mode & 0o777 == 0o600
    (tmp_path / HOLDER).write_bytes(b"\xff")
    assert holder_of(tmp_path) not in ("", made)
    assert holder_of(tmp_path / "none") != holder_of(tmp_path / "none")


def test_nothing_is_sent_without_receivers_or_without_an_outbox(tmp_path: Path) -> None:
    settings = RecorderSettings(str(tmp_path), Address("sqlite", str(tmp_path / "a.db")))
    assert sending_of(settings, tmp_path, ListLog()) is None
    broker = BrokerSettings(("amqp://localhost",), ledger=True)
    settings = structs.replace(settings, events=EventSettings((EventReceiver("broker"),), broker))
    assert sending_of(settings, tmp_path, ListLog()) is None
    assert not (tmp_path / HOLDER).exists()
