"""Recorders that are killed while they send to a real RabbitMQ."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from proxy.database.address import Address
from proxy.events.base import BROKER, EventReceiver
from proxy.events.settings import EventSettings
from proxy.ledger.consumer.messages import row_of
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.recorder.status import read_status
from proxy.ledger.row import Row
from tests.ledger.recorder.fakes import WritingGateway
from tests.ledger.recorder.machine import as_lost
from tests.support.command_line import ROOT
from tests.support.patience import until, within
from tests.support.rabbit import RabbitExchange, rabbit_exchange


@asynccontextmanager
async def recorder(exchange: RabbitExchange, folder: Path) -> AsyncIterator[Process]:
    events = EventSettings((EventReceiver(BROKER),), exchange.settings(ledger=True))
    settings = RecorderSettings(str(folder), Address("sqlite", str(folder / "none.db")), events=events)
    command = [sys.executable, "-m", "proxy.ledger.recorder"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stderr=PIPE)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(settings))
    process.stdin.close()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.communicate()


def segments(folder: Path) -> int:
    return len(list(folder.glob("*.seg")))


def settled(folder: Path) -> int:
    return len(list(folder.glob("*.settled")))


async def test_kill_9_never_makes_a_lost_attempt_of_one_that_was_told(tmp_path: Path) -> None:
    gateway = WritingGateway(tmp_path, segment_bytes=2048)
    long = gateway.open()
    expected: dict[str, Row] = {}
    async with rabbit_exchange() as exchange:
        for _ in range(3):
            # Beside ``long`` in its segment, and closed in another one, which is removed.
            opened = [gateway.open() for _ in range(12)]
            expected |= {row.id: gateway.close(row) for row in opened}
            for _ in range(40):
                row = gateway.close(gateway.open())
                expected[row.id] = row
            async with recorder(exchange, tmp_path):
                await until(lambda: segments(tmp_path) == 2, "the segments but the first and the last to be removed")
        assert settled(tmp_path) == 1
        gateway.die()
        expected[long.id] = as_lost(long)
        async with recorder(exchange, tmp_path) as process:
            await within(process.wait(), "its end")
        told = [json.loads(each.body)["data"] for each in await exchange.take(exchange.names.ledger)]
    rows = [row_of(each) for each in told]
    assert {row.id: row for row in rows} == expected
    assert all(row == expected[row.id] for row in rows)
    assert segments(tmp_path) == settled(tmp_path) == 0


async def test_its_status_has_the_dead_letters(tmp_path: Path) -> None:
    gateway = WritingGateway(tmp_path)
    gateway.close(gateway.open())
    async with rabbit_exchange() as exchange, recorder(exchange, tmp_path):

        def counted() -> bool:
            status = read_status(tmp_path)
            return status is not None and status.rows == 1 and status.dead_letters == 0

        await until(counted, "the status")
    status = read_status(tmp_path)
    assert status is not None
    [receiver] = status.receivers
    assert (receiver.name, receiver.up, receiver.sent, receiver.waiting) == (BROKER, True, 1, 0)
    gateway.end()
