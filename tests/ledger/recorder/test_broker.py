"""The recorder between a spool on the disk and a broker in this process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from proxy.events.base import BROKER, EventReceiver, OutboxEvent
from proxy.events.broker.base import BrokerMessage
from proxy.events.broker.reading import BrokerDelivery
from proxy.ledger.consumer.messages import rows_of
from proxy.ledger.recorder.announced import EventRoutes
from proxy.ledger.recorder.broker import BrokerLedger
from proxy.ledger.recorder.folders import has_segments
from proxy.ledger.recorder.health import BROKER as WORDS
from proxy.ledger.recorder.health import GRACE
from proxy.ledger.recorder.journal import SettledJournal
from proxy.ledger.row import Row
from proxy.ledger.spool.format import EVENT
from tests.ledger.consumer.brokers import MemoryBroker, MemoryPublisher
from tests.ledger.recorder.fakes import WritingGateway
from tests.ledger.recorder.machine import Machine, as_lost


class BrokerMachine(Machine):
    """A folder, a broker and a recorder that can be killed."""

    def __init__(self, folder: Path, *, batch: int = 1, types: tuple[str, ...] = (), **options: Any) -> None:
        self.broker = MemoryBroker()
        self.publisher = MemoryPublisher(self.broker)
        self.batch = batch
        self.types = types
        super().__init__(folder, **options)

    def restart(self) -> None:
        self.ledger: Any = BrokerLedger(self.publisher, EventRoutes([EventReceiver(BROKER, self.types)]), self.batch)
        super().restart()

    def more(self) -> dict[str, Any]:
        return {"journal": SettledJournal(self.folder), "words": WORDS}

    @property
    def told(self) -> list[Row]:
        """Rows of all messages, in their order."""
        found = [rows_of(delivery(each)) for each in self.broker.told if each.ledger]
        assert not any(each.poison for each in found)
        return [row for each in found for row in each.rows]

    @property
    def rows(self) -> dict[str, Row]:
        """As consumers that know each id keep them: nobody is told two different rows of an attempt."""
        found: dict[str, Row] = {}
        for row in self.told:
            assert found.setdefault(row.id, row) == row
        return found


def delivery(message: BrokerMessage) -> BrokerDelivery:
    return BrokerDelivery(message.id, message.type, message.content_type, message.body, None)


def announced(number: int, type_: str = "budget_threshold") -> OutboxEvent:
    return OutboxEvent(f"evt_{number}", type_, 1_790_000_000.0 + number, b"{}")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[BrokerMachine]:
    found = BrokerMachine(tmp_path)
    yield found
    found.spool.close()


def test_each_attempt_is_sent_and_the_segments_are_removed(machine: BrokerMachine) -> None:
    gateway = WritingGateway(machine.folder)
    closed = [gateway.close(gateway.open()) for _ in range(100)]
    machine.step()
    assert machine.told == closed
    assert [(each.id, each.type, each.ledger) for each in machine.broker.told[:1]] == [(closed[0].id, "ai_usage", True)]
    gateway.end()
    machine.drain()
    assert len(machine.told) == 100
    assert list(machine.folder.iterdir()) == []
    assert machine.log.lines == []


def test_batches_carry_the_same_rows(tmp_path: Path) -> None:
    machine = BrokerMachine(tmp_path, batch=30)
    gateway = WritingGateway(tmp_path)
    closed = [gateway.close(gateway.open()) for _ in range(100)]
    gateway.end()
    machine.drain()
    assert machine.told == closed
    assert len(machine.broker.told) < 10
    assert all(each.ledger for each in machine.broker.told)


def test_announced_events_are_sent_and_are_not_for_the_ledger(machine: BrokerMachine) -> None:
    gateway = WritingGateway(machine.folder)
    gateway.spool.write([(EVENT, msgspec.msgpack.encode(announced(number))) for number in range(3)])
    gateway.end()
    machine.drain()
    assert [(each.id, each.ledger) for each in machine.broker.told] == [(f"evt_{number}", False) for number in range(3)]


def test_the_types_of_the_broker_leave_out_events_but_no_row(tmp_path: Path) -> None:
    machine = BrokerMachine(tmp_path, types=("key_created",))
    gateway = WritingGateway(tmp_path)
    row = gateway.close(gateway.open())
    events = [announced(1), announced(2, "key_created")]
    gateway.spool.write([(EVENT, msgspec.msgpack.encode(each)) for each in events])
    gateway.end()
    machine.drain()
    assert [each.id for each in machine.broker.told] == [row.id, "evt_2"]


def test_a_broker_that_is_down_is_told_once_and_gets_everything_later(machine: BrokerMachine) -> None:
    gateway = WritingGateway(machine.folder)
    machine.broker.mode = "down"
    row = gateway.close(gateway.open())
    for _ in range(20):
        machine.step(GRACE)
    assert machine.told == []
    machine.broker.mode = "up"
    machine.step()
    assert machine.told == [row]
    assert machine.log.lines == [
        "warning The broker takes no rows of the ledger. They wait in the spool.",
        "info The broker takes rows of the ledger again.",
    ]
    gateway.end()


def test_an_attempt_whose_close_record_is_gone_is_never_told_as_lost(machine: BrokerMachine) -> None:
    gateway = WritingGateway(machine.folder, segment_bytes=2048)
    long = gateway.open()
    others = [gateway.open() for _ in range(12)]
    for row in others:
        gateway.close(row)
    for _ in range(50):
        gateway.close(gateway.open())
    machine.step()
    machine.step()
    assert len(list(machine.folder.glob("*.seg"))) == 2
    assert len(list(machine.folder.glob("*.settled"))) == 1
    machine.restart()
    machine.step()
    assert machine.recorder.accounts.open == 1  # ``long``
    gateway.die()
    machine.restart()
    machine.drain()
    assert machine.rows[long.id] == as_lost(long)
    assert sum(row.end == "lost" for row in machine.rows.values()) == 1
    assert not has_segments(machine.folder)
    assert list(machine.folder.glob("*.settled")) == []


def test_a_journal_that_cannot_be_read_closes_nothing(machine: BrokerMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the broker is down, when the database of others would not be asked."""
    gateway = WritingGateway(machine.folder)
    gateway.open()
    gateway.die()

    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(SettledJournal, "load", fail)
        with pytest.raises(OSError, match="Input/output error"):
            machine.step()
    assert machine.recorder.lost == 0
    machine.drain()
    assert machine.recorder.lost == 1


def test_a_segment_stays_if_its_attempts_cannot_be_noted(
    machine: BrokerMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = WritingGateway(machine.folder, segment_bytes=2048)
    gateway.open()
    others = [gateway.open() for _ in range(12)]
    for row in others:
        gateway.close(row)
    for _ in range(50):
        gateway.close(gateway.open())
    segments = len(list(machine.folder.glob("*.seg")))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SettledJournal, "_append", fail)
        with pytest.raises(OSError, match="No space"):
            machine.step()
    assert len(list(machine.folder.glob("*.seg"))) == segments
    machine.step()
    assert len(list(machine.folder.glob("*.seg"))) == 2
    gateway.end()


class BrokerCrashes(RuleBasedStateMachine):
    """Whatever dies whenever: each attempt is told, always with the same row; and so is each event."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.machine = BrokerMachine(self.folder)
        self.gateways: list[WritingGateway] = []
        self.open: list[tuple[WritingGateway, Row]] = []
        self.expected: dict[str, Row] = {}
        self.events: set[str] = set()

    @precondition(lambda self: len(self.gateways) < 3)
    @rule()
    def start_gateway(self) -> None:
        self.gateways.append(WritingGateway(self.folder, segment_bytes=1024))

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), count=st.integers(1, 8))
    def open_attempts(self, which: int, count: int) -> None:
        gateway = self.gateways[which % len(self.gateways)]
        for _ in range(count):
            row = gateway.open()
            self.open.append((gateway, row))
            self.expected[row.id] = as_lost(row)

    @precondition(lambda self: self.open)
    @rule(kept=st.integers(0, 3))
    def close_attempts(self, kept: int) -> None:
        """All but the first ones."""
        while len(self.open) > kept:
            gateway, row = self.open.pop()
            self.expected[row.id] = gateway.close(row)

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), count=st.integers(1, 20))
    def call(self, which: int, count: int) -> None:
        """Short attempts, which begin new segments."""
        gateway = self.gateways[which % len(self.gateways)]
        for _ in range(count):
            row = gateway.open()
            self.expected[row.id] = gateway.close(row)

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0))
    def announce(self, which: int) -> None:
        event = announced(len(self.events))
        self.events.add(event.id)
        gateway = self.gateways[which % len(self.gateways)]
        gateway.spool.write([(EVENT, msgspec.msgpack.encode(event))])

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), clean=st.booleans())
    def stop_gateway(self, which: int, clean: bool) -> None:
        gateway = self.gateways.pop(which % len(self.gateways))
        self.open = [each for each in self.open if each[0] is not gateway]
        gateway.end() if clean else gateway.die()

    @rule()
    def record(self) -> None:
        self.machine.step()
        self.machine.step()

    @rule()
    def kill_recorder(self) -> None:
        self.machine.restart()

    @rule(mode=st.sampled_from(("up", "down", "unconfirmed")))
    def change_broker(self, mode: Any) -> None:
        self.machine.broker.mode = mode

    def teardown(self) -> None:
        for gateway in self.gateways:
            gateway.die()
        self.machine.broker.mode = "up"
        self.machine.drain()
        assert self.machine.rows == self.expected
        assert {each.id for each in self.machine.broker.told if not each.ledger} == self.events
        assert not has_segments(self.folder)
        self.machine.restart()
        self.machine.step()
        assert list(self.folder.iterdir()) == []
        self.machine.spool.close()
        shutil.rmtree(self.folder)


TestBrokerCrashes = BrokerCrashes.TestCase
TestBrokerCrashes.settings = settings(stateful_step_count=50)
