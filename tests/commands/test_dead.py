"""``sluice events dead``, within this process: a real database, and a real broker."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proxy.events.broker.base import BrokerMessage
from proxy.events.broker.opening import open_publisher, open_subscription
from tests.commands.running import Commands
from tests.ledger.recorder.databases import make_file
from tests.support.ports import free_port
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange

NOWHERE = {"events": {"webhooks": [{"url": "http://127.0.0.1:9/hook"}]}}


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Commands:
    return Commands(tmp_path, monkeypatch, capfd, NOWHERE)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """With two dead events, and one that waits."""
    file = tmp_path / "sluice.db"
    asyncio.run(make_file(file))
    with closing(sqlite3.connect(file)) as connection, connection:
        for number, dead_at in ((1, 1_790_000_000.0), (2, 1_790_000_001.0), (3, None)):
            connection.execute(
                "INSERT INTO outbox (id, receiver, type, at, body, tries, error, dead_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (f"evt_{number}", "webhook:a", "key_created", 5.0, '{"a": 1}', 9, "status 500", dead_at),
            )
    return file


def waiting(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [id_ for (id_,) in connection.execute("SELECT id FROM outbox WHERE dead_at IS NULL ORDER BY id")]


def test_dead_events_are_printed_and_wait_again(commands: Commands, database: Path) -> None:
    done = commands.run("events", "dead")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "2026-09-21T14:13:21Z  key_created  evt_2  webhook:a after 9 tries: status 500",
        "2026-09-21T14:13:20Z  key_created  evt_1  webhook:a after 9 tries: status 500",
    ]
    [line] = commands.run("events", "dead", "--json", "--most", "1").out.splitlines()
    assert json.loads(line) == {
        "id": "evt_2",
        "type": "key_created",
        "receiver": "webhook:a",
        "at": 5.0,
        "dead_at": 1_790_000_001.0,
        "tries": 9,
        "reason": "status 500",
        "body": {"a": 1},
    }
    assert commands.run("events", "dead", "--send-again", "evt_1", "evt_3").out == (
        "events: 1 dead event of the outbox waits again\n"
    )
    assert waiting(database) == ["evt_1", "evt_3"]
    assert commands.run("events", "dead", "--send-again").out == "events: 1 dead event of the outbox waits again\n"
    assert waiting(database) == ["evt_1", "evt_2", "evt_3"]
    assert commands.run("events", "dead") == (0, "", "events: nothing is dead\n")


def test_an_unknown_id_is_an_error(commands: Commands, database: Path) -> None:
    done = commands.run("events", "dead", "--send-again", "evt_9", "evt_8")
    assert (done.status, done.err) == (1, "events: nothing dead has the id evt_8 or evt_9\n")
    assert waiting(database) == ["evt_3"]


def test_without_a_database_yet_nothing_is_dead(commands: Commands, tmp_path: Path) -> None:
    assert commands.run("events", "dead") == (0, "", "events: nothing is dead\n")
    assert commands.run("events", "dead", "--send-again").status == 0
    assert not (tmp_path / "sluice.db").exists()


def test_what_cannot_be_used_is_told(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "sluice.db").write_bytes(b"no database" * 1000)
    done = commands.run("events", "dead")
    assert (done.status, done.out) == (1, "")
    assert "file is not a database" in done.err
    commands.configure({"database": {"enabled": False}})
    none = "events: there is no database (database.enabled) and no broker (events.url)\n"
    assert commands.run("events", "dead") == (1, "", none)


def test_a_broker_that_is_down_hides_no_dead_event(commands: Commands, database: Path) -> None:
    commands.configure({"events": {"url": f"amqp://guest:secret@127.0.0.1:{free_port()}/"}})
    done = commands.run("events", "dead")
    assert done.status == 1
    assert len(done.out.splitlines()) == 2
    assert done.err.startswith("events.url: the broker cannot be used: ")
    assert "secret" not in done.err


def test_dead_letters_are_printed_and_moved_back(commands: Commands) -> None:
    began = int(time.time())

    async def bury(exchange: RabbitExchange, bodies: dict[str, bytes]) -> None:
        notes = Notes()
        publisher = open_publisher(exchange.settings(ledger=True), notes.warn, notes.log)
        subscription = open_subscription(exchange.settings(ledger=True), notes.warn, notes.log)
        await publisher.publish([BrokerMessage(id_, "ai_usage", "", body, ledger=True) for id_, body in bodies.items()])
        async for batch in subscription.batches(len(bodies), 5.0):
            for each in batch:
                await subscription.bury(each, f"{each.id} is no row")
            break
        await subscription.close()
        await publisher.close()

    async def look(exchange: RabbitExchange) -> None:
        await bury(exchange, {"a": b'{"x": 1}', "b": b"\xffhello"})
        config: dict[str, Any] = {"url": exchange.url, "exchange": exchange.names.exchange}
        commands.configure({"events": config, "database": {"enabled": False}, "ledger": {"mode": "events"}})
        done = await asyncio.to_thread(commands.run, "events", "dead")
        assert (done.status, done.err) == (0, "")
        lines = [line.split("  ", 1) for line in done.out.splitlines()]
        assert [rest for _, rest in lines] == [
            f"ai_usage  a  queue {exchange.names.ledger}: a is no row",
            f"ai_usage  b  queue {exchange.names.ledger}: b is no row",
        ]
        done = await asyncio.to_thread(commands.run, "events", "dead", "--json")
        found = [json.loads(line) for line in done.out.splitlines()]
        assert [each["body"] for each in found] == [{"x": 1}, "\ufffdhello"]
        assert all(began <= each["dead_at"] <= time.time() for each in found)
        done = await asyncio.to_thread(commands.run, "events", "dead", "--send-again", "b")
        assert done == (0, "events: 1 dead letter of the broker was moved back\n", "")
        assert await exchange.ids(exchange.names.ledger) == ["b"]
        done = await asyncio.to_thread(commands.run, "events", "dead", "--send-again")
        assert done.out == "events: 1 dead letter of the broker was moved back\n"
        assert await exchange.ids(exchange.names.ledger) == ["a"]

    async def run() -> None:
        async with rabbit_exchange() as exchange:
            await look(exchange)

    asyncio.run(run())
