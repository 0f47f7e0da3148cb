"""Gateways without a database: by RabbitMQ and ``sluice ledger consume`` into a PostgreSQL elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.database.address import Address
from proxy.database.migrate import upgrade
from proxy.events.broker.base import BrokerMessage
from proxy.events.broker.opening import open_dead_letters, open_publisher
from proxy.events.settings import BrokerSettings
from proxy.ledger.recorder.status import read_status
from tests.database.databases import Forwarder, address
from tests.ledger.consumer.test_consumer import message, row
from tests.ledger.recorder.databases import query
from tests.support import Chunk, Headers, Upstream, Wait, chat_events, completion, json_answer
from tests.support.answers import SSE_HEADERS
from tests.support.command_line import ROOT
from tests.support.gateway import ADMIN, Gateway, GatewayProcess, one_provider
from tests.support.nats import OwnNats
from tests.support.patience import until, within
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange
from tests.support.recorder import recorder_ended, recorder_works
from tests.support.services import postgres_database

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TIMES = frozenset({"at", "sent_ms", "headers_ms", "first_content_ms", "ended_ms", "longest_gap_ms"})
NAMES = frozenset({"id", "request_id"})


@pytest.fixture
async def exchange() -> AsyncIterator[RabbitExchange]:
    async with rabbit_exchange() as found:
        yield found


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Of a PostgreSQL with the tables."""
    async with postgres_database() as found:
        await upgrade(address(found))
        yield found


def events_of(exchange: RabbitExchange) -> dict[str, Any]:
    return {"url": exchange.url, "exchange": exchange.names.exchange}


def sidecar(up: Upstream, exchange: RabbitExchange, folder: Path) -> dict[str, Any]:
    return one_provider(
        up,
        dataDir=str(folder),
        database={"enabled": False},
        events=events_of(exchange),
        ledger={"enabled": True, "mode": "events"},
        server={"drainSecs": 5},
    )


def write(file: Path, config: dict[str, Any]) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(config))


@asynccontextmanager
async def consumer(events: Any, url: str, folder: Path, *words: str, **more: Any) -> AsyncIterator[Process]:
    """``sluice ledger consume`` as a process. It is killed at the end."""
    file = folder / "consumer.yaml"
    config = {"database": {"url": url}, "events": events, "dataDir": str(folder)} | more
    write(file, config)
    command = ["-m", "proxy", "ledger", "consume", "--config", str(file), *words]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=folder, env=environ, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def consume(events: Any, url: str, folder: Path, **more: Any) -> str:
    """Consume what waits. Returns the log."""
    async with consumer(events, url, folder, "--once", **more) as process:
        _, words = await within(process.communicate(), "the consumer to end")
        assert process.returncode == 0, words
        return words.decode()


async def publish(exchange: RabbitExchange, *messages: BrokerMessage) -> None:
    await publish_to(exchange.settings(ledger=True), *messages)


async def publish_to(settings: BrokerSettings, *messages: BrokerMessage) -> None:
    notes = Notes()
    publisher = open_publisher(settings, notes.warn, notes.log)
    await publisher.publish(messages)
    await publisher.close()


async def ledger(url: str) -> list[dict[str, Any]]:
    return [
        json.loads(each)
        for (each,) in await query(address(url), "SELECT row_to_json(ledger)::text FROM ledger ORDER BY at")
    ]


async def ids(url: str) -> list[str]:
    return [each["id"] for each in await ledger(url)]


async def attempts(url: str) -> int:
    """As the sums by hour have them."""
    [(found,)] = await query(address(url), "SELECT coalesce(sum(attempts), 0)::int FROM ledger_hours")
    return int(found)


async def counted(url: str, count: int) -> None:
    """So many rows are there."""

    async def look() -> None:
        while await attempts(url) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    await within(look(), f"{count} rows")


async def call(up: Upstream, gw: GatewayProcess) -> None:
    """Calls of all kinds: plain, streamed, refused, and one whose client leaves."""
    client = await gw.client()
    up.queue(json_answer(completion()))
    labels = [("x-router-labels", "feature=search"), ("x-router-run", "run-7")]
    assert (await client.fetch("POST", CHAT, json=CALL, headers=labels)).status == 200
    up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello", " world"))])
    assert (await client.fetch("POST", CHAT, json=CALL | {"stream": True})).status == 200
    up.queue(json_answer({"error": {"message": "no"}}, status=400))
    assert (await client.fetch("POST", CHAT, json=CALL)).status == 400
    go = asyncio.Event()
    up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello", " world")[:2]), Wait(go)])
    leaving = await gw.client()
    await leaving.request("POST", CHAT, json=CALL | {"stream": True})
    assert (await leaving.read_head()).status == 200
    for _ in range(2):  # all that come: what it used is estimated by them
        await leaving.read_event()
    leaving.reset()


async def run_gateway(up: Upstream, config: dict[str, Any], folder: Path) -> None:
    async with GatewayProcess(config) as gw:
        await call(up, gw)
        await recorder_works(folder / "spool")
        gw.signal(signal.SIGINT)
        assert await gw.wait() == 0
    await recorder_ended(folder / "spool")


def alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what no two calls share; of times, whether they are known."""
    return [
        {name: value is not None if name in TIMES else value for name, value in each.items() if name not in NAMES}
        for each in rows
    ]


async def test_rows_are_those_that_a_gateway_with_a_database_writes(
    exchange: RabbitExchange, url: str, tmp_path: Path
) -> None:
    events, database = tmp_path / "events", tmp_path / "database"
    async with Upstream() as up:
        await run_gateway(up, sidecar(up, exchange, events), events)
        assert not (events / "sluice.db").exists()
        assert await exchange.count(exchange.names.ledger) == 4
        log = await consume(events_of(exchange), url, tmp_path / "consumer")
        assert "rows=4" in log
        async with postgres_database() as other:
            await upgrade(address(other))
            config = one_provider(up, dataDir=str(database), database={"url": other}, ledger={"enabled": True})
            await run_gateway(up, config | {"server": {"drainSecs": 5}}, database)
            expected = await ledger(other)
    found = await ledger(url)
    assert len({each["end"] for each in found}) == 3
    assert alike(found) == alike(expected)
    assert await attempts(url) == 4
    assert await exchange.count(exchange.names.ledger) == 0
    told = {
        each.header.properties.message_id: json.loads(each.body) for each in await exchange.take(exchange.names.usage)
    }
    assert {id_: event["data"]["input"] for id_, event in told.items()} == {each["id"]: each["input"] for each in found}


async def test_kill_9_of_gateway_and_recorder_tells_each_attempt_once(
    exchange: RabbitExchange, url: str, tmp_path: Path
) -> None:
    """What was open is lost, and what was sent before stays as it was, although its records are read again."""
    spool, killed = tmp_path / "spool", set[int]()
    go = asyncio.Event()
    async with Upstream() as up:
        async with GatewayProcess(sidecar(up, exchange, tmp_path)) as gw:
            client, streaming = await gw.client(), await gw.client()
            up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello")), Wait(go)])
            await streaming.request("POST", CHAT, json=CALL | {"stream": True})
            await until(lambda: len(up.requests) == 1, "the stream")
            for number in range(3):
                up.queue(json_answer(completion()))
                assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
                await arrived(exchange, number + 1)
                await kill_recorder(spool, killed)
            await gw.kill()
        async with GatewayProcess(sidecar(up, exchange, tmp_path)) as gw:  # whose recorder finds what is left
            await gw.client()
            await arrived(exchange, 4)
            gw.signal(signal.SIGINT)
            await gw.wait()
    await consume(events_of(exchange), url, tmp_path / "consumer")
    assert sorted(each["end"] for each in await ledger(url)) == ["lost", "ok", "ok", "ok"]
    assert await attempts(url) == 4


async def arrived(exchange: RabbitExchange, count: int) -> None:
    """So many different rows, or more messages, wait for the consumer."""

    async def look() -> None:
        while await exchange.count(exchange.names.ledger) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    await within(look(), f"{count} messages")


async def kill_recorder(spool: Path, killed: set[int]) -> None:
    """The one that works now, which is none of those that were ``killed``."""

    def runs() -> bool:
        status = read_status(spool)
        return status is not None and status.pid not in killed

    await until(runs, "the next recorder")
    status = read_status(spool)
    assert status is not None
    killed.add(status.pid)
    os.kill(status.pid, signal.SIGKILL)


async def test_a_sidecar_may_have_a_database_for_its_keys(exchange: RabbitExchange, url: str, tmp_path: Path) -> None:
    where = tmp_path / "sidecar"
    async with Upstream() as up:
        config = sidecar(up, exchange, where) | {"database": {"enabled": True}, "auth": {"mode": "keys"}}
        async with Gateway(config) as gw:
            client, admin = await gw.client(), [("Authorization", f"Bearer {ADMIN}")]
            made = await client.fetch("POST", "/auth/api-keys", json={"name": "k", "owner": "ann"}, headers=admin)
            assert made.status == 201, made.body
            up.queue(json_answer(completion()))
            mine = [("Authorization", f"Bearer {made.json['key']}")]
            assert (await client.fetch("POST", CHAT, json=CALL, headers=mine)).status == 200
            assert (await client.fetch("GET", "/billing/usage", headers=mine)).json["error"]["code"] == "no_ledger"
            await arrived(exchange, 1)
    await consume(events_of(exchange), url, tmp_path / "consumer")
    assert [each["owner"] for each in await ledger(url)] == ["ann"]
    assert await query(Address("sqlite", str(where / "sluice.db")), "SELECT count(*) FROM ledger") == [(0,)]
    told = await exchange.take(exchange.names.analytics)
    assert sorted(each.header.properties.message_type for each in told) == ["ai_usage", "key_created"]
    assert made.json["key"].encode() not in b"".join(each.body for each in told)


async def test_duplicates_and_poison(exchange: RabbitExchange, url: str, tmp_path: Path) -> None:
    poison = BrokerMessage("poison", "ai_usage", "application/json", b'{"hello": 1}', ledger=True)
    refused = message(row(5, at=1e300))
    await publish(exchange, message(row(1)), message(row(1)), poison, message(row(1), row(2)), refused, message(row(3)))
    log = await consume(events_of(exchange), url, tmp_path)
    assert "rows=3  refused=2" in log
    assert await ids(url) == ["n1", "n2", "n3"]
    assert await attempts(url) == 3
    await publish(exchange, message(row(3)), message(row(2)))
    await consume(events_of(exchange), url, tmp_path)
    assert await attempts(url) == 3
    dead = await exchange.take(exchange.names.dead)
    reasons = {each.header.properties.message_id: each.header.properties.headers["x-sluice-reason"] for each in dead}
    assert reasons["poison"] == "no row: Object missing required field type"
    assert reasons["n5"].startswith("the database refuses it: ")


async def test_a_consumer_that_is_killed_between_commit_and_acceptance_counts_nothing_twice(
    exchange: RabbitExchange, url: str, tmp_path: Path
) -> None:
    """Rows are committed one batch at a time; it is killed as soon as the first is there."""
    for first in range(0, 3000, 1000):  # rows of its own for each, as the last one may have come to its end
        await publish(exchange, *(message(row(first + number)) for number in range(1000)))
        before = await attempts(url)
        async with consumer(events_of(exchange), url, tmp_path) as process:

            async def committed(before: int = before) -> None:
                while await attempts(url) == before:  # noqa: ASYNC110
                    await asyncio.sleep(0)

            await within(committed(), "a commit")
            process.kill()
            await process.wait()
    await consume(events_of(exchange), url, tmp_path)
    assert await attempts(url) == 3000
    assert len(await ids(url)) == 3000
    assert await exchange.count(exchange.names.ledger) == 0


async def test_two_consumers_share_the_messages_and_end_by_sigterm(
    exchange: RabbitExchange, url: str, tmp_path: Path
) -> None:
    async with (
        consumer(events_of(exchange), url, tmp_path / "one") as one,
        consumer(events_of(exchange), url, tmp_path / "other") as other,
    ):
        for number in range(20):
            await publish(exchange, *(message(row(100 * number + each)) for each in range(100)))

        await counted(url, 2000)
        for process in (one, other):
            process.send_signal(signal.SIGTERM)
            _, words = await within(process.communicate(), "its end")
            assert process.returncode == 0
            assert "No more rows are taken from the broker." in words.decode()
    assert len(await ids(url)) == 2000
    assert await exchange.count(exchange.names.ledger) == 0


async def test_a_database_that_is_cut_off_gets_every_row_when_it_is_back(
    exchange: RabbitExchange, url: str, tmp_path: Path
) -> None:
    async with Forwarder(url) as way, consumer(events_of(exchange), way.url, tmp_path) as process:
        await publish(exchange, message(row(0)))
        await counted(url, 1)
        await way.cut()
        await publish(exchange, *(message(row(number)) for number in range(1, 2001)))
        assert process.stderr is not None
        while b"takes no rows" not in await within(process.stderr.readline(), "the log line"):
            pass
        assert await exchange.count(exchange.names.ledger) >= 1000  # at most two batches are taken
        await way.restore()
        await counted(url, 2001)
    assert await attempts(url) == 2001


async def test_nats_gives_rows_as_well(url: str, tmp_path: Path) -> None:
    poison = BrokerMessage("poison", "ai_usage", "application/json", b'{"hello": 1}', ledger=True)
    async with OwnNats() as nats:
        settings, events = BrokerSettings((nats.url,), ledger=True), {"url": nats.url}
        await publish_to(settings, *(message(row(number)) for number in range(1000)), poison)
        assert "rows=1000  refused=1" in await consume(events, url, tmp_path)
        await publish_to(settings, message(row(7), row(1000)))
        assert "rows=1  refused=0" in await consume(events, url, tmp_path)
        assert await attempts(url) == 1001
        letters = open_dead_letters(settings)
        assert [(each.id, each.reason) for each in await letters.look(10)] == [
            ("poison", "no row: Object missing required field type")
        ]
        await letters.close()


async def test_charges_become_transfers_that_are_told(exchange: RabbitExchange, url: str, tmp_path: Path) -> None:
    rows = [row(number, counters=["balance/total/ann"], cost=5, usage_source="provider") for number in range(3)]
    await publish(exchange, *map(message, rows))
    await exchange.take(exchange.names.analytics)
    auth = {"mode": "jwt", "jwt": {"secret": "a-very-well-kept-secret-of-enough-bytes"}}
    await consume(events_of(exchange), url, tmp_path, billing={"enabled": True, "defaultBalance": 1}, auth=auth)
    told = [json.loads(each.body) for each in await exchange.take(exchange.names.analytics)]
    assert {each["type"] for each in told} == {"io.sluice.transaction_created"}  # the rows were told before
    assert [(each["data"]["sequence"], each["data"]["amount"]) for each in told] == [
        (1, 10**9),
        (2, -5),
        (3, -5),
        (4, -5),
    ]
    assert await query(address(url), "SELECT count(*)::int FROM outbox") == [(0,)]
    assert await query(address(url), "SELECT id, credits, charges FROM accounts") == [("ann", 10**9, 15)]
