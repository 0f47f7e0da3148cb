"""The consumers and the examples of deploy/events/README.md."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, json
from msgspec.structs import fields
from pamqp.commands import Basic

from proxy.auth.key_events import KeyData
from proxy.budgets.reports import BudgetThreshold
from proxy.control.deployments.breaker_events import BreakerData
from proxy.database.transfers import Transaction
from proxy.events.base import GatewayEvent
from proxy.events.broker.amqp import open_publisher
from proxy.events.broker.base import BrokerMessage
from proxy.events.cloudevent import BATCH_TYPE, MEDIA_TYPE, batch, encode
from proxy.events.data import TransactionData, transaction_event
from proxy.ledger.recorder.announced import usage_event
from proxy.ledger.recorder.usage_data import UsageData
from proxy.ledger.row import Row
from tests.support.machine import missing, one_at_a_time
from tests.support.patience import within
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange

FOLDER = Path(__file__).parents[2] / "deploy" / "events"
TEXT = (FOLDER / "README.md").read_text()


async def test_the_python_consumer_bills_each_event_once(tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(_code("python"))
    command = [sys.executable, "consumer.py"]
    async with rabbit_exchange() as exchange:
        await _publish(exchange, _usage("a", "ann", 5), _usage("b", "bob", None), _usage("a", "ann", 5))
        async with _running(command, tmp_path, exchange, exchange.names.usage) as read:
            assert await read(2) == ["billed a ann 5", "billed b bob None"]
            await _publish_raw(exchange, exchange.names.usage, b"no event")
            await _publish(exchange, _usage("b", "bob", None), _batch(_usage("c", "cid", 7), _usage("a", "ann", 5)))
            assert await read(1) == ["billed c cid 7"]
        # All is acknowledged, and a consumer that starts anew knows what it has billed.
        async with _running(command, tmp_path, exchange, exchange.names.usage) as read:
            await _publish(exchange, _usage("c", "cid", 7), _usage("d", "dee", 1))
            assert await read(1) == ["billed d dee 1"]
        assert [each.body for each in await exchange.take(exchange.names.dead)] == [b"no event"]
        assert await exchange.count(exchange.names.usage) == 0


async def test_the_javascript_consumer_keeps_the_latest_balance(tmp_path: Path) -> None:
    (tmp_path / "consumer.mjs").write_text(_code("js"))
    (tmp_path / "node_modules").symlink_to(_node_modules())
    node = shutil.which("node") or missing("node is not installed")
    async with rabbit_exchange() as exchange:
        first, second, third = (_transaction(number, 10.0 - number) for number in (1, 2, 3))
        await _publish(exchange, _usage("a", "ann", 5), first, third, second, third)
        async with _running([node, "consumer.mjs"], tmp_path, exchange, exchange.names.analytics) as read:
            assert await read(6) == [
                "ai_usage ann",
                "transaction_created ann",
                "balance ann 1 9",
                "transaction_created ann",
                "balance ann 3 7",
                "transaction_created ann",  # the second came late
            ]
            await _publish_raw(exchange, exchange.names.analytics, b"no event")
            await _publish_raw(exchange, exchange.names.analytics, b"{}")
            await _publish(exchange, _batch(_usage("a", "ann", 5), _usage("b", "bob", 5)))
            assert await read(1) == ["ai_usage bob"]
        assert [each.body for each in await exchange.take(exchange.names.dead)] == [b"no event", b"{}"]


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("ai_usage", UsageData),
        ("transaction_created", TransactionData),
        ("budget_threshold", BudgetThreshold),
        ("key_created", KeyData),
        ("key_revoked", KeyData),
        ("breaker_changed", BreakerData),
    ],
)
def test_an_example_has_the_members_of_its_event(type_: str, data: type[Struct]) -> None:
    found = [json.decode(each) for each in re.findall(r"^```json\n(.*?)^```$", TEXT, re.S | re.M)]
    (example,) = [each for each in found if each["type"] == f"io.sluice.{type_}"]
    assert [*example["data"]] == [field.encode_name for field in fields(data)]
    decoded: Any = json.decode(json.encode(example["data"]), type=data)
    known = ("type", "id", "subject", "data")
    sequence = int(example.get("sequence", "0"))
    made = json.decode(encode(GatewayEvent(example["id"], type_, 0.0, example["subject"], decoded, sequence)))  # type: ignore[arg-type]
    assert {name: made[name] for name in known} == {name: example[name] for name in known}
    assert made.keys() == example.keys()
    assert made.get("sequence") == example.get("sequence")


# -- tools ------------------------------------------------------------------------------------------


def _code(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.S | re.M)
    return str(found)


def _usage(id_: str, owner: str, cost: int | None) -> GatewayEvent:
    row = Row(id_, 1.0, "r", 1, "/v1", False, "chat", "chat", "m", "p", "d", "u", owner=owner, cost=cost, ended_ms=1.0)
    return usage_event(row)


def _transaction(number: int, balance: float) -> GatewayEvent:
    nano = round(balance * 1e9)
    return transaction_event("ann", Transaction(f"t{number}", 1.0, -1, ""), balance=nano, sequence=number)


def _batch(*events: GatewayEvent) -> BrokerMessage:
    return BrokerMessage(events[0].id, events[0].type, BATCH_TYPE, batch([encode(each) for each in events]))


async def _publish(exchange: RabbitExchange, *events: GatewayEvent | BrokerMessage) -> None:
    notes = Notes()
    publisher = open_publisher(exchange.settings(), notes.warn, notes.log)
    for each in events:
        if isinstance(each, GatewayEvent):
            each = BrokerMessage(each.id, each.type, MEDIA_TYPE, encode(each))
        await publisher.publish([each])
    await publisher.close()


async def _publish_raw(exchange: RabbitExchange, queue: str, body: bytes) -> None:
    """Into one queue, by the default exchange."""
    await exchange.call("basic_publish", body, routing_key=queue, properties=Basic.Properties(delivery_mode=2))


@asynccontextmanager
async def _running(
    command: list[str], folder: Path, exchange: RabbitExchange, queue: str
) -> AsyncIterator[Callable[[int], Any]]:
    """The consumer's process; the call reads so many lines of it."""
    environ = os.environ | {"RABBITMQ_URL": exchange.url, "QUEUE": queue, "DATABASE": str(folder / "billing.db")}
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environ, stdout=PIPE, stderr=PIPE)

    async def read(count: int) -> list[str]:
        return [await within(_line(process), "a line") for _ in range(count)]

    try:
        yield read
        await within(_unacknowledged(exchange, queue), "all to be acknowledged")
    finally:
        process.kill()
        await process.communicate()


async def _line(process: Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    line = await process.stdout.readline()
    return line.decode().rstrip("\n") if line else pytest.fail((await process.stderr.read()).decode())


async def _unacknowledged(exchange: RabbitExchange, queue: str) -> None:
    while await exchange.count(queue):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def _node_modules() -> Path:
    """Where the packages of deploy/events/package-lock.json are. Installed once per environment and lock file."""
    npm = shutil.which("npm") or missing("npm is not installed")
    files = ("package.json", "package-lock.json", ".npmrc")
    folder = Path(sys.prefix) / "event-consumers"
    lock = (FOLDER / "package-lock.json").read_bytes()
    with one_at_a_time("event-consumers"):
        if not folder.exists() or (folder / "package-lock.json").read_bytes() != lock:
            with tempfile.TemporaryDirectory(dir=folder.parent) as parent:
                made = Path(parent, folder.name)
                made.mkdir()
                for name in files:
                    shutil.copy(FOLDER / name, made)
                command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
                done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False, timeout=300)
                if done.returncode:
                    missing(f"amqplib cannot be installed: {done.stderr.strip()[-500:]}")
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
    return folder / "node_modules"
