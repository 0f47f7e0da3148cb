"""The recorder between a spool on the disk and a ledger in memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from proxy.ledger.recorder import hours
from proxy.ledger.recorder.folders import has_segments
from proxy.ledger.recorder.health import GRACE
from proxy.ledger.recorder.recorder import GIVE_UP_SECS, MOST_WAITING
from proxy.ledger.row import Row
from proxy.ledger.spool.format import CLOSE
from tests.ledger.recorder.fakes import WritingGateway
from tests.ledger.recorder.machine import Machine, as_lost


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    yield found
    found.spool.close()


def test_each_attempt_gets_its_row_and_the_segments_are_removed(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    closed = [gateway.close(gateway.open()) for _ in range(100)]
    machine.step()
    assert machine.rows == {row.id: row for row in closed}
    gateway.end()
    machine.drain()
    assert not has_segments(machine.folder)
    assert machine.log.lines == []


def test_an_open_attempt_keeps_its_segment_and_no_other(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    long = gateway.open()
    for _ in range(100):
        gateway.close(gateway.open())
    machine.step()
    machine.step()
    assert len(list(machine.folder.glob("*.seg"))) == 2  # the first, and the one that is written
    assert machine.recorder.accounts.open == 1
    done = gateway.close(long)
    machine.step()
    machine.step()
    assert machine.rows[long.id] == done
    assert len(list(machine.folder.glob("*.seg"))) == 1


def test_after_a_restart_only_what_is_open_keeps_its_segment(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    long = gateway.open()
    others = [gateway.open() for _ in range(5)]
    for row in others:
        gateway.close(row)
    for _ in range(50):
        gateway.close(gateway.open())
    machine.step()
    machine.step()
    gateway.close(long)
    machine.restart()  # the close records of the others are gone with their segments
    for _ in range(3):
        machine.step()
    assert machine.recorder.accounts.open == 0
    assert len(list(machine.folder.glob("*.seg"))) == 1
    gateway.end()


def test_what_a_dead_gateway_left_open_is_closed_as_lost(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    closed, left = gateway.close(gateway.open()), gateway.open()
    machine.step()
    assert machine.rows == {closed.id: closed}
    gateway.die()
    machine.drain()
    assert machine.rows == {closed.id: closed, left.id: as_lost(left)}
    assert machine.recorder.lost == 1
    assert len(machine.log.lines) == 1


def test_while_a_gateway_lives_the_recorder_goes_on(machine: Machine) -> None:
    gateway, other = WritingGateway(machine.folder), WritingGateway(machine.folder)
    other.end()
    for _ in range(5):
        machine.step()
    assert not machine.recorder.done
    row = gateway.close(gateway.open())
    gateway.end()
    machine.drain()
    assert row.id in machine.rows


def test_once_ends_although_a_gateway_lives(tmp_path: Path) -> None:
    machine = Machine(tmp_path, once=True)
    gateway = WritingGateway(tmp_path)
    row, left = gateway.close(gateway.open()), gateway.open()
    machine.drain()
    assert machine.rows == {row.id: row}
    assert left.id not in machine.rows
    gateway.end()


def test_a_database_that_is_down_is_told_once_and_gets_everything_later(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    machine.ledger.mode = "down"
    row = gateway.close(gateway.open())
    for _ in range(20):
        machine.step(GRACE)
        assert not machine.step(0.0)
    assert not machine.recorder.health.up
    assert machine.recorder.health.failures > 1
    assert machine.rows == {}
    machine.ledger.mode = "up"
    machine.step()
    assert machine.rows == {row.id: row}
    assert [line.split()[0] for line in machine.log.lines] == ["warning", "info"]
    gateway.end()


def test_a_short_failure_is_not_told(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    gateway.close(gateway.open())
    machine.ledger.mode = "down"
    machine.step(GRACE / 4)
    machine.ledger.mode = "up"
    machine.step(GRACE / 2)
    assert len(machine.rows) == 1
    assert machine.log.lines == []
    gateway.end()


def test_without_a_database_only_so_much_is_read(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder, segment_bytes=1 << 20)
    machine.ledger.mode = "down"
    for _ in range(3 * MOST_WAITING):
        gateway.close(gateway.open())
    for _ in range(10):
        machine.step()
    assert MOST_WAITING <= machine.recorder.accounts.waiting < 2 * MOST_WAITING
    machine.ledger.mode = "up"
    gateway.end()
    machine.drain()
    assert len(machine.rows) == 3 * MOST_WAITING


def test_without_a_gateway_and_a_database_it_gives_up(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    row = gateway.close(gateway.open())
    machine.ledger.mode = "down"
    machine.step(0.0)
    machine.step(GIVE_UP_SECS)
    assert not machine.recorder.gives_up
    gateway.end()
    machine.step(0.0)
    machine.step(0.0)
    assert machine.recorder.gives_up
    machine.restart()
    machine.ledger.mode = "up"
    machine.drain()
    assert machine.rows == {row.id: row}


def test_missing_tables_are_made_once(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    gateway.close(gateway.open())
    machine.ledger.mode = "outdated"
    machine.upgrades = ["no right to", ""]
    machine.step()
    assert machine.recorder.health.error == "no right to"
    machine.step()
    assert machine.ran == 2
    machine.step()
    machine.step()
    assert machine.ran == 2  # they ran, and will help no more
    machine.ledger.mode = "up"
    machine.step()
    assert len(machine.rows) == 1
    gateway.end()


def test_a_row_that_is_refused_costs_no_other(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    rows = [gateway.close(gateway.open(), model="poison" if number == 7 else "m") for number in range(20)]
    gateway.end()
    machine.drain()
    assert machine.rows == {row.id: row for row in rows if row.model == "m"}
    assert machine.recorder.rejected == 1
    assert len(machine.log.lines) == 1


def test_a_row_that_can_be_cleaned_is_kept(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    row = gateway.close(gateway.open(), model="poison\0")
    gateway.end()
    machine.drain()
    assert machine.rows[row.id].model == "poison\ufffd"


def test_records_that_are_no_attempts_are_counted(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    gateway.spool.open(b"\xc1")
    gateway.spool.write([(CLOSE, b"\x91\xa1a")])  # an id, and nothing else
    row = gateway.close(gateway.open())
    gateway.end()
    machine.drain()
    assert machine.rows == {row.id: row}
    assert machine.recorder.rejected == 2
    assert not has_segments(machine.folder)


def test_announced_events_are_written_with_the_rows(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    event = gateway.announce()
    row = gateway.close(gateway.open())
    machine.step()
    assert machine.ledger.events == {event.id: event}
    assert machine.rows == {row.id: row}
    assert machine.ledger.writes == [2]
    gateway.end()
    machine.drain()
    assert not has_segments(machine.folder)


def test_an_event_alone_counts_as_written(machine: Machine) -> None:
    WritingGateway(machine.folder).announce()
    machine.step()
    assert (machine.recorder.rows, machine.recorder.written) == (0, 1)


def test_an_event_that_is_refused_costs_no_row_and_no_other_event(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    events = [gateway.announce("poison" if number == 3 else "budget_threshold") for number in range(8)]
    row = gateway.close(gateway.open())
    gateway.end()
    machine.drain()
    assert machine.ledger.events == {each.id: each for each in events if each.type != "poison"}
    assert machine.rows == {row.id: row}
    assert machine.recorder.rejected == 1
    assert len(machine.log.lines) == 1


def test_while_the_outbox_is_full_rows_wait_in_the_spool(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    rows = [gateway.close(gateway.open()) for _ in range(3)]
    machine.bound.full = True
    for _ in range(3):
        assert not machine.step()
    assert machine.rows == {}
    assert machine.recorder.health.up
    machine.bound.full = False
    machine.step()
    assert machine.rows == {row.id: row for row in rows}
    assert [line.split()[0] for line in machine.log.lines] == ["warning", "info"]
    gateway.end()


@pytest.mark.parametrize("what", ["database", "outbox"])
def test_it_gives_up_with_more_rows_than_it_reads(machine: Machine, what: str) -> None:
    gateway = WritingGateway(machine.folder, segment_bytes=1 << 20)
    for _ in range(2 * MOST_WAITING):
        gateway.close(gateway.open())
    if what == "database":
        machine.ledger.mode = "down"
    else:
        machine.bound.full = True
    machine.step(0.0)
    machine.step(GIVE_UP_SECS)
    assert not machine.recorder.gives_up
    gateway.die()
    machine.step(0.0)
    assert machine.recorder.gives_up
    machine.ledger.mode, machine.bound.full = "up", False
    machine.restart()
    machine.drain()
    assert len(machine.rows) == 2 * MOST_WAITING


def test_with_a_full_outbox_and_without_a_gateway_it_gives_up(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    row = gateway.close(gateway.open())
    machine.bound.full = True
    machine.step(0.0)
    gateway.end()
    machine.step(GIVE_UP_SECS / 2)
    machine.step(0.0)
    assert not machine.recorder.gives_up
    machine.step(GIVE_UP_SECS / 2)
    assert machine.recorder.gives_up
    machine.bound.full = False
    machine.restart()
    machine.drain()
    assert machine.rows == {row.id: row}


def test_a_full_outbox_that_forgets_holds_no_row(machine: Machine) -> None:
    gateway = WritingGateway(machine.folder)
    machine.bound.on_full, machine.bound.full = "forget", True
    row = gateway.close(gateway.open())
    machine.step()
    assert machine.rows == {row.id: row}
    machine.bound.full = False
    gateway.end()
    machine.drain()
    assert [line.split()[0] for line in machine.log.lines] == ["warning", "info"]


class Crashes(RuleBasedStateMachine):
    """Whatever dies whenever: at the end each attempt has its row exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.machine = Machine(self.folder)
        self.gateways: list[WritingGateway] = []
        self.open: list[tuple[WritingGateway, Row]] = []
        self.expected: dict[str, Row] = {}

    @precondition(lambda self: len(self.gateways) < 3)
    @rule()
    def start_gateway(self) -> None:
        self.gateways.append(WritingGateway(self.folder, segment_bytes=2048))

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), count=st.integers(1, 5))
    def open_attempts(self, which: int, count: int) -> None:
        gateway = self.gateways[which % len(self.gateways)]
        for _ in range(count):
            row = gateway.open()
            self.open.append((gateway, row))
            self.expected[row.id] = as_lost(row)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0))
    def close_attempt(self, which: int) -> None:
        gateway, row = self.open.pop(which % len(self.open))
        self.expected[row.id] = gateway.close(row)

    @precondition(lambda self: self.gateways)
    @rule(which=st.integers(0), clean=st.booleans())
    def stop_gateway(self, which: int, clean: bool) -> None:
        gateway = self.gateways.pop(which % len(self.gateways))
        self.open = [each for each in self.open if each[0] is not gateway]
        gateway.end() if clean else gateway.die()

    @rule()
    def record(self) -> None:
        self.machine.step()

    @rule()
    def kill_recorder(self) -> None:
        self.machine.restart()

    @rule(mode=st.sampled_from(("up", "down", "down after commit")))
    def change_database(self, mode: str) -> None:
        self.machine.ledger.mode = mode  # type: ignore[assignment]

    def teardown(self) -> None:
        for gateway in self.gateways:
            gateway.die()
        self.machine.ledger.mode = "up"
        self.machine.drain()
        assert self.machine.rows == self.expected
        assert len(self.machine.ledger.counted) == len(self.expected)
        assert self.machine.ledger.sums() == hours.sums(hours.grouped(self.expected.values()))
        assert not has_segments(self.folder)
        self.machine.spool.close()
        shutil.rmtree(self.folder)


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(stateful_step_count=30)
