"""Open attempts, waiting rows and needed segments. Flows with a spool are in test_recorder.py."""

from __future__ import annotations

import msgspec
from msgspec import structs

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder.accounts import Accounts
from proxy.ledger.row import Opened, encode
from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.format import CLOSE, EVENT, OPEN
from tests.ledger.rows import ROW

FIRST, SECOND = SegmentName("a" * 16, 1), SegmentName("a" * 16, 2)
OPENED, CLOSED = encode(Opened(ROW, 1_000_000, 1_000_000)), encode(structs.replace(ROW, end="ok"))


def test_a_segment_is_needed_until_the_rows_of_its_attempts_are_written() -> None:
    accounts = Accounts("estimate")
    accounts.take(FIRST, [(OPEN, OPENED)], 0.0)
    accounts.take(SECOND, [(CLOSE, CLOSED)], 1.0)
    assert accounts.is_needed(FIRST)
    assert accounts.is_needed(SECOND)
    assert (accounts.open, accounts.waiting, accounts.waiting_since) == (0, 1, 1.0)
    assert [row.end for row in accounts.batch(10).rows] == ["ok"]
    assert accounts.is_needed(FIRST)  # not written yet
    accounts.written(1)
    assert not accounts.is_needed(FIRST)
    assert not accounts.is_needed(SECOND)
    assert accounts.waiting_since is None


def test_an_attempt_that_was_opened_twice_is_one() -> None:
    accounts = Accounts("estimate")
    accounts.take(FIRST, [(OPEN, OPENED), (OPEN, OPENED), (CLOSE, CLOSED)], 0.0)
    accounts.written(1)
    assert not accounts.is_needed(FIRST)


def test_lost_attempts_follow_the_policy() -> None:
    for policy, cost in (("estimate", 1004), ("zero", 0)):
        accounts = Accounts(policy)  # type: ignore[arg-type]
        accounts.take(FIRST, [(OPEN, OPENED)], 0.0)
        assert accounts.end(FIRST.gateway, 0.0) == 1
        assert accounts.end(FIRST.gateway, 0.0) == 0
        assert [(row.end, row.cost) for row in accounts.batch(1).rows] == [("lost", cost)]


def test_open_attempts_whose_row_is_known_need_their_segment_no_more() -> None:
    accounts = Accounts("estimate")
    accounts.take(FIRST, [(OPEN, OPENED)], 0.0)
    assert accounts.open_keys() == [(ROW.at, ROW.id)]
    accounts.settled({"other"})
    assert accounts.is_needed(FIRST)
    accounts.settled({ROW.id})
    assert not accounts.is_needed(FIRST)
    assert accounts.open == 0


def test_an_event_waits_among_the_rows_and_needs_its_segment_until_it_is_written() -> None:
    event = OutboxEvent("evt_1", "budget_threshold", 1.5, b"{}")
    accounts = Accounts("estimate")
    accounts.take(FIRST, [(EVENT, msgspec.msgpack.encode(event)), (EVENT, b"\xc1")], 3.0)
    accounts.take(SECOND, [(CLOSE, CLOSED)], 4.0)
    assert (accounts.waiting, accounts.waiting_since, accounts.open) == (3, 3.0, 0)
    batch = accounts.batch(10)
    assert (batch.events, [row.id for row in batch.rows], batch.records) == ([event], [ROW.id], 2)
    assert accounts.unreadable == 1
    accounts.written(1)
    assert not accounts.is_needed(FIRST)
    assert accounts.is_needed(SECOND)
    assert accounts.batch(10).events == []


def test_events_of_a_gateway_that_died_wait_all_the_same() -> None:
    event = OutboxEvent("evt_1", "budget_threshold", 1.5, b"{}")
    accounts = Accounts("estimate")
    accounts.take(FIRST, [(EVENT, msgspec.msgpack.encode(event))], 0.0)
    assert accounts.end(FIRST.gateway, 0.0) == 0
    assert accounts.batch(1).events == [event]


def test_records_of_a_kind_that_is_not_known_are_skipped() -> None:
    accounts = Accounts("estimate")
    accounts.take(FIRST, [(77, OPENED)], 0.0)
    assert not accounts.is_needed(FIRST)
    assert accounts.unreadable == 0
