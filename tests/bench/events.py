"""What sending events to RabbitMQ takes: CPU of this process and events per second. ``python -m tests.bench.events``.

``publisher``: the publisher alone, which gets 500 messages a call, or 20 of 100 events each. ``outbox``: with
the outbox in SQLite and the delivery, as in the recorder. An event is that of a usual row of the ledger. The broker is
the one of the tests, with an exchange of our own, which two queues get it from.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from proxy.database.migrate import upgrade
from proxy.events.base import BROKER, EventReceiver, OutboxEvent
from proxy.events.broker.opening import open_publisher
from proxy.events.cloudevent import waiting
from proxy.events.outbox.base import WaitingEvent
from proxy.events.sending.broker import messages
from proxy.events.sending.opening import open_deliveries
from proxy.events.settings import BrokerSettings, EventSettings
from proxy.ledger.recorder.announced import usage_event
from tests.bench.recorder import attempt
from tests.database.databases import address, new_database
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange

TOGETHER = {1: 500, 100: 2000}  # events of one call, by events in a message
MOST_SECS = 300.0


class Stopwatch:
    """CPU seconds of this process, and seconds of the clock, since it was made."""

    def __init__(self) -> None:
        self._cpu, self._clock = time.process_time(), time.monotonic()

    def line(self, what: str, batch: int, count: int) -> str:
        cpu, clock = time.process_time() - self._cpu, time.monotonic() - self._clock
        return f"{what:<10} {batch:>4} in a message {count / clock:>9,.0f} events/s {cpu / count * 1e6:6.1f} us CPU an event"


def made(count: int) -> list[OutboxEvent]:
    nonce = secrets.token_hex(8)
    return [waiting(usage_event(attempt(number, nonce, 20, 1))) for number in range(count)]


async def publisher_alone(settings: BrokerSettings, events: Sequence[OutboxEvent]) -> str:
    notes = Notes()
    publisher = open_publisher(settings, notes.warn, notes.log)
    rows = [WaitingEvent(number, each.id, each.type, each.at, each.body) for number, each in enumerate(events)]
    await publisher.publish(list(messages(rows[:1], 1)))  # connects
    watch, step = Stopwatch(), TOGETHER[settings.batch]
    for begin in range(0, len(rows), step):
        await publisher.publish(list(messages(rows[begin : begin + step], settings.batch)))
    line = watch.line("publisher", settings.batch, len(rows))
    await publisher.close()
    return line


async def through_outbox(settings: BrokerSettings, events: Sequence[OutboxEvent]) -> str:
    with tempfile.TemporaryDirectory() as name:
        async with new_database("sqlite", Path(name)) as url:
            where = address(url)
            await upgrade(where)
            connection = sqlite3.connect(where.target)
            with connection:
                connection.executemany(
                    "INSERT INTO outbox (id, receiver, type, at, body) VALUES (?, ?, ?, ?, ?)",
                    [(each.id, BROKER, each.type, each.at, each.body.decode()) for each in events],
                )
            given = EventSettings((EventReceiver(BROKER),), settings)
            deliveries = open_deliveries(given, where, secrets.token_hex(8), _Quiet())
            watch = Stopwatch()
            deliveries.start()
            async with asyncio.timeout(MOST_SECS):
                while connection.execute("SELECT EXISTS (SELECT 1 FROM outbox)").fetchone()[0]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            line = watch.line("outbox", settings.batch, len(events))
            await deliveries.close()
            connection.close()
            return line


class _Quiet:
    def info(self, message: str, **fields: object) -> None: ...

    def warning(self, message: str, **fields: object) -> None:
        print(message, fields)


async def measure(exchange: RabbitExchange, count: int) -> None:
    events = made(count)
    print(f"{count} events of {len(events[0].body)} bytes")
    for batch in TOGETHER:
        settings = replace(exchange.settings(), batch=batch)
        print(await publisher_alone(settings, events))
        print(await through_outbox(settings, events))
        for queue in (exchange.names.usage, exchange.names.analytics):
            await exchange.call("queue_purge", queue)


async def run(count: int, rounds: int) -> None:
    async with rabbit_exchange() as exchange:
        for _ in range(rounds):
            await measure(exchange, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(run(given.events, given.rounds))


if __name__ == "__main__":
    main()
