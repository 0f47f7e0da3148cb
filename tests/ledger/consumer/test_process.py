"""``sluice ledger consume`` as a process, here between a broker in this process and a SQLite file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.database.address import Address
from proxy.events.settings import EventSettings
from proxy.ledger.consumer import consumer as consumers
from proxy.ledger.consumer import process
from proxy.ledger.consumer.process import DONE, LEFT, ConsumerSettings, _Consuming
from tests.ledger.consumer.brokers import MemoryBroker, MemoryPublisher, MemorySubscription
from tests.ledger.consumer.test_consumer import message, row
from tests.ledger.recorder.databases import make_file, query
from tests.ledger.recorder.fakes import ListLog
from tests.support.command_line import ROOT
from tests.support.patience import PATIENCE, until, within


class Place:
    """A broker and an empty database."""

    def __init__(self, folder: Path) -> None:
        self.broker = MemoryBroker()
        self.publisher = MemoryPublisher(self.broker)
        self.subscription = MemorySubscription(self.broker)
        self.where = Address("sqlite", str(folder / "sluice.db"))
        self.log = ListLog()

    def start(self, *, once: bool = False) -> asyncio.Task[int]:
        settings = ConsumerSettings(self.where, EventSettings(), once=once)
        return asyncio.create_task(_Consuming(settings, self.subscription, self.log).run())

    async def ids(self) -> list[str]:
        return [id_ for (id_,) in await query(self.where, "SELECT id FROM ledger ORDER BY id")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(consumers, "QUIET_SECS", 0.01)
    return Place(tmp_path)


async def test_once_makes_the_tables_writes_the_rows_and_ends(place: Place) -> None:
    await place.publisher.publish([message(row(1)), message(row(2))])
    assert await within(place.start(once=True), "its end") == DONE
    assert await place.ids() == ["n1", "n2"]
    assert place.subscription.closed
    assert place.log.lines == [
        "info Rows of the ledger are taken from the broker.",
        "info No more rows are taken from the broker.",
    ]


async def test_a_signal_counts_where_a_library_loses_the_cancellation(place: Place) -> None:
    working = _Consuming(ConsumerSettings(place.where, EventSettings()), place.subscription, place.log)
    begun, canceled = asyncio.Event(), 0

    async def careless() -> None:
        nonlocal canceled
        while True:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                canceled += 1
                if canceled == 2:
                    raise

    working._consumer.run = careless  # type: ignore[method-assign]
    running = asyncio.create_task(working.run())
    await within(begun.wait(), "the consumer")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await within(running, "its end") == DONE


async def test_once_that_gives_up_has_another_status(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "GIVE_UP_SECS", 0.0)
    place.broker.mode = "down"
    assert await within(place.start(once=True), "its end") == LEFT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(number: signal.Signals, place: Place) -> None:
    await make_file(Path(place.where.target))
    running = place.start()
    await place.publisher.publish([message(row(1))])
    await until(lambda: not place.broker.ledger and not place.subscription.held, "the row")
    os.kill(os.getpid(), number)
    assert await within(running, "its end") == DONE
    assert await place.ids() == ["n1"]


async def test_a_signal_ends_it_while_the_database_is_down(place: Place, tmp_path: Path) -> None:
    (tmp_path / "sluice.db").write_bytes(b"no database" * 1000)
    running = place.start()
    await place.publisher.publish([message(row(1))])
    await until(lambda: place.subscription.held, "the message")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await within(running, "its end") == DONE
    assert len(place.broker.ledger) == 1  # it comes again


async def test_what_is_old_is_deleted_meanwhile(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.ledger.recorder.retention.FIRST_SECS", 0.0)
    monkeypatch.setattr(process, "LOOK_SECS", 0.01)
    await make_file(Path(place.where.target))
    await query(place.where, "INSERT INTO event_ids (id, at) VALUES ('old', 1.0)")
    running = place.start()

    async def gone() -> None:
        while await query(place.where, "SELECT * FROM event_ids"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await within(gone(), "the retention")
    os.kill(os.getpid(), signal.SIGTERM)
    await within(running, "its end")


def test_it_imports_nothing_large() -> None:
    script = (
        "import sys, proxy.ledger.consumer.process;"
        "print(sorted({'sqlalchemy', 'aiohttp', 'alembic', 'asyncpg', 'aiormq', 'nats'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=PATIENCE, check=True)
    assert ran.stdout == b"[]\n"
