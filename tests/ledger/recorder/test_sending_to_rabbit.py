"""Rows through the recorder's outbox to RabbitMQ, while the recorder is killed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.database.address import Address
from proxy.events.base import BROKER, EventReceiver
from proxy.events.settings import EventSettings
from proxy.ledger.recorder.process import DONE
from proxy.ledger.recorder.settings import RecorderSettings
from tests.ledger.recorder.databases import migrated
from tests.ledger.recorder.fakes import WritingGateway
from tests.ledger.recorder.test_process import recorder
from tests.support.patience import within
from tests.support.rabbit import RabbitExchange, rabbit_exchange

ROWS, KILLS = 400, 4


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_kills_of_the_recorder_lose_no_event(kind: str, tmp_path: Path) -> None:
    async with migrated(kind, tmp_path) as where, rabbit_exchange() as exchange:
        events = EventSettings((EventReceiver(BROKER),), exchange.settings())
        settings = RecorderSettings(str(tmp_path / "spool"), where, events=events)
        gateway = WritingGateway(tmp_path / "spool")
        ids: set[str] = set()
        for _ in range(KILLS):
            ids |= {gateway.close(gateway.open()).id for _ in range(ROWS // KILLS)}
            before = await count(exchange)
            with recorder(settings) as running:
                await within(more_than(exchange, before), "some events")
                running.kill()
        gateway.end()
        with recorder(settings) as last:
            assert await asyncio.to_thread(last.wait, 60) == DONE
        assert {*await exchange.ids(exchange.names.usage)} == ids
        if kind == "sqlite":
            assert waiting(where) == 0


async def count(exchange: RabbitExchange) -> int:
    return max(await exchange.count(exchange.names.usage), 0)


async def more_than(exchange: RabbitExchange, before: int) -> None:
    while await count(exchange) <= before:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def waiting(where: Address) -> int:
    with closing(sqlite3.connect(where.target)) as connection:
        return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])
