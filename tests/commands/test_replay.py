"""``sluice events replay``, within this process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from proxy.commands import replay
from proxy.database.accounts import AccountTable
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.upkeep import replay as again
from proxy.events.base import BROKER, EventReceiver, webhook_name
from proxy.events.receivers import EventReceivers
from proxy.ledger.consumer.messages import row_of
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.row import Row
from tests.commands.running import Commands
from tests.database.databases import KINDS, address, new_database
from tests.ledger.recorder.databases import make_file, query
from tests.ledger.rows import ROW

HOOK = "http://127.0.0.1:9/hook"
CONFIG: dict[str, Any] = {
    "events": {"url": "amqp://127.0.0.1:9/", "webhooks": [{"url": HOOK, "types": ["transaction_created"]}]}
}
AT = 1_790_000_000.0


def charged(number: int, **changes: Any) -> Row:
    names = {"counters": ["balance/total/ann"], "cost": 7, "usage_source": "provider", "end": "ok", "answered": True}
    return structs.replace(ROW, id=f"n{number:04}", at=AT + number, **names | changes)


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Of a database with the tables and some rows, one of which is a charge, and an opening balance."""
    from proxy.database.migrate import upgrade

    async with new_database(request.param, tmp_path) as found:
        where = address(found)
        await make_file(Path(where.target)) if where.kind == "sqlite" else await upgrade(where)
        ledger = open_ledger(where, 100, [EventReceiver(BROKER)])
        await ledger.write([charged(number) for number in range(5)])
        await ledger.close()
        yield found


@pytest.fixture
def commands(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Commands:
    return Commands(tmp_path, monkeypatch, capfd, CONFIG | {"database": {"url": url}})


async def outbox(url: str) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Receiver, type, id and CloudEvent of what waits, in order."""
    found = await query(address(url), "SELECT receiver, type, id, body FROM outbox ORDER BY receiver, type, seq")
    return [(receiver, type_, id_, json.loads(body)) for receiver, type_, id_, body in found]


async def test_events_come_again_under_the_same_ids(url: str, commands: Commands) -> None:
    told = await outbox(url)
    assert len(told) == 11
    await query(address(url), "DELETE FROM outbox RETURNING 1")
    done = await asyncio.to_thread(commands.run, "events", "replay", "--from", "2020-01-01")
    hook = webhook_name(HOOK)
    assert done == (
        0,
        f"events: 5 events of ai_usage wait for {BROKER}\n"
        f"events: 6 events of transaction_created wait for {BROKER}, {hook}\n",
        "",
    )
    again = await outbox(url)
    mine = {(type_, id_): event for receiver, type_, id_, event in again if receiver == BROKER}
    assert len(mine) == len(told)
    for _, type_, id_, event in told:
        assert mine[type_, id_] == event
        if type_ == "ai_usage":
            assert row_of(event["data"]) == charged(int(id_[1:]))
    assert [type_ for receiver, type_, _, _ in again if receiver == hook] == ["transaction_created"] * 6


async def test_a_transfer_that_was_posted_comes_again_as_it_was(url: str, commands: Commands) -> None:
    engine = Engine(address(url), DatabaseHealth())
    table = AccountTable(engine, EventReceivers([EventReceiver(BROKER)]).transfers())
    await query(address(url), "DELETE FROM outbox RETURNING 1")
    await table.post("ann", 500, "Top-up")
    await table.post("ann", -20, "Correction")
    await table.post("bob", 30, "Top-up", default_nano=100, usd_rate=0.9)
    await engine.close()
    told = {id_: event for _, _, id_, event in await outbox(url)}
    assert [event["data"]["sequence"] for event in told.values()] == [7, 8, 1, 2]
    words = ("--from", "2020-01-01", "--type", "transaction_created", "--receiver", BROKER)
    assert (await asyncio.to_thread(commands.run, "events", "replay", *words)).status == 0
    again = await outbox(url)
    assert len(again) == 6 + 2 * len(told)
    assert {id_: event for _, _, id_, event in again[len(told) :] if id_ in told} == told


async def test_a_transfer_that_had_no_receiver_has_no_number(url: str, commands: Commands) -> None:
    ledger = open_ledger(address(url))
    await ledger.write([charged(9)])
    await ledger.close()
    await query(address(url), "DELETE FROM outbox RETURNING 1")
    words = ("--from", "2026-09-21T14:13:25Z", "--type", "transaction_created", "--receiver", BROKER)
    done = await asyncio.to_thread(commands.run, "events", "replay", *words)
    assert (done.status, done.out) == (0, f"events: 1 event of transaction_created waits for {BROKER}\n")
    [(_, _, id_, event)] = await outbox(url)
    assert id_ == "txn_n0009"
    assert "sequence" not in event
    assert [event["data"][name] for name in ("sequence", "balance", "balance_usd")] == [None] * 3


async def test_period_type_and_receiver_are_chosen(url: str, commands: Commands) -> None:
    await query(address(url), "DELETE FROM outbox RETURNING 1")
    words = ("--from", "2026-09-21T14:13:21Z", "--to", "2026-09-21T14:13:23Z", "--receiver", BROKER)
    done = await asyncio.to_thread(commands.run, "events", "replay", *words, "--type", "ai_usage")
    assert (done.status, done.out) == (0, f"events: 2 events of ai_usage wait for {BROKER}\n")
    assert [id_ for _, _, id_, _ in await outbox(url)] == ["n0001", "n0002"]


async def test_a_type_that_nobody_takes_is_told(url: str, commands: Commands) -> None:
    words = ("--from", "2020-01-01", "--receiver", webhook_name(HOOK), "--type", "ai_usage")
    done = await asyncio.to_thread(commands.run, "events", "replay", *words)
    assert done.out == "events: 0 events of ai_usage wait for no receiver, as none takes this type\n"


def test_many_events_are_put_some_at_a_time_while_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "FULL_SECS", 0.01)
    real = again.waiting
    file = tmp_path / "sluice.db"

    async def fill() -> None:
        await make_file(file)
        ledger = open_ledger(address(f"sqlite:///{file}"))
        await ledger.write([charged(number, counters=[]) for number in range(2500)])
        await ledger.close()

    found: list[int] = []

    async def waiting(engine: Any) -> int:
        """A recorder sends what was counted."""
        found.append(await real(engine))
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DELETE FROM outbox")
        return found[-1]

    asyncio.run(fill())
    monkeypatch.setattr(again, "waiting", waiting)
    commands = Commands(tmp_path, monkeypatch, capfd, {"events": {"url": "amqp://127.0.0.1:9/", "mostWaiting": 1000}})
    done = commands.run("events", "replay", "--from", "2020-01-01", "--type", "ai_usage")
    assert (done.status, done.out) == (0, f"events: 2,500 events of ai_usage wait for {BROKER}\n")
    assert done.err == "events: the outbox is full (1,000 events wait); this goes on as they are sent\n" * 2
    assert found == [0, 1000, 0, 1000, 0]


def test_what_cannot_be_done_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = Commands(tmp_path, monkeypatch, capfd, {})
    every = ("events", "replay", "--from", "2020-01-01")
    assert commands.run(*every) == (1, "", "events: there are no receivers; set events.url or events.webhooks\n")
    commands.configure(CONFIG)
    wrong = commands.run(*every, "--receiver", "nobody")
    assert wrong.err == f"events: there is no receiver nobody; the configuration has broker, {webhook_name(HOOK)}\n"
    assert "ledger: there is none" in commands.run(*every).err
    assert commands.run("events", "replay").status == 2
    assert "invalid choice" in commands.run(*every, "--type", "key_created").err
