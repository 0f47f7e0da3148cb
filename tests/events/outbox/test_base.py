"""What both databases promise those who send events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path

import pytest

from proxy.database.address import Address
from proxy.events.outbox.base import EventOutbox, FailedTry, OutboxUnavailable, ReceiverCounts, Settlement
from proxy.events.outbox.opening import open_outbox
from tests.database.databases import KINDS
from tests.events.outbox.outboxes import AT, RECEIVER, insert, left, receiver_row
from tests.ledger.recorder.databases import migrated, query


@pytest.fixture(params=KINDS)
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Address]:
    async with migrated(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def outbox(where: Address) -> AsyncIterator[EventOutbox]:
    found = open_outbox(where)
    yield found
    await found.close()


async def test_events_come_in_order_as_often_as_they_are_taken(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "a", "b", "c")
    await insert(where, "other", receiver="webhook:x")
    for _ in range(2):
        found = await outbox.take(RECEIVER, AT, 2)
        assert [(each.id, each.type, each.at, each.body, each.tries) for each in found] == [
            ("a", "ai_usage", AT, b'{"id":"a"}', 0),
            ("b", "ai_usage", AT, b'{"id":"b"}', 0),
        ]


async def test_an_event_that_was_sent_is_gone_and_counted_once(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "a", "b", "c")
    assert await outbox.hold(RECEIVER, "h", 30.0)
    found = await outbox.take(RECEIVER, AT, 2)
    done = Settlement(AT + 1, sent=[each.seq for each in found])
    await outbox.settle(RECEIVER, done)
    await outbox.settle(RECEIVER, done)
    assert [each.id for each in await outbox.take(RECEIVER, AT, 9)] == ["c"]
    assert await receiver_row(where, "sent", "sent_at", "failures", "failed_at") == (2, AT + 1, 0, None)


async def test_a_thousand_events_are_settled_at_once(where: Address, outbox: EventOutbox) -> None:
    await insert(where, *map(str, range(1200)))
    await outbox.hold(RECEIVER, "h", 30.0)
    found = await outbox.take(RECEIVER, AT, 2000)
    await outbox.settle(RECEIVER, Settlement(AT, sent=[each.seq for each in found][:1100]))
    assert len(await left(where)) == 100
    assert await receiver_row(where, "sent") == (1100,)


async def test_a_failed_event_comes_when_it_is_due(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "a", "b")
    await outbox.hold(RECEIVER, "h", 30.0)
    first, second = await outbox.take(RECEIVER, AT, 9)
    failed = [FailedTry(first.seq, AT + 5, "status 500"), FailedTry(second.seq, None, "too old")]
    await outbox.settle(RECEIVER, Settlement(AT, failed=failed, error="too old"))
    assert await outbox.take(RECEIVER, AT + 4, 9) == []
    assert [(each.id, each.tries) for each in await outbox.take(RECEIVER, AT + 5, 9)] == [("a", 1)]
    assert await left(where) == [("a", 1, "status 500", False), ("b", 1, "too old", True)]
    assert await receiver_row(where, "sent", "failures", "failed_at", "error") == (0, 2, AT, "too old")


async def test_a_receiver_that_failed_as_a_whole_keeps_its_events(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "a")
    await outbox.hold(RECEIVER, "h", 30.0)
    await outbox.settle(RECEIVER, Settlement(AT, error="it is down"))
    assert await left(where) == [("a", 0, "", False)]
    assert await receiver_row(where) == (0, 1, "it is down")


async def test_any_reason_of_a_failure_is_settled(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "a", "b", "c")
    await outbox.hold(RECEIVER, "h", 30.0)
    first, second, third = await outbox.take(RECEIVER, AT, 9)
    failed = [FailedTry(second.seq, AT + 5, "a\0b"), FailedTry(third.seq, None, "\0")]
    await outbox.settle(RECEIVER, Settlement(AT, sent=[first.seq], failed=failed, error="c\0"))
    assert [each[0] for each in await left(where)] == ["b", "c"]
    assert await outbox.give_up(RECEIVER, AT, AT + 1, "d\0") == 1


async def test_one_holder_has_a_receiver(where: Address, outbox: EventOutbox) -> None:
    other = open_outbox(where)
    try:
        assert await outbox.hold(RECEIVER, "one", 30.0)
        assert not await other.hold(RECEIVER, "two", 30.0)
        assert await outbox.hold(RECEIVER, "one", 30.0)
        assert await other.hold("webhook:x", "two", 30.0)
        await other.release(RECEIVER, "two")
        assert not await other.hold(RECEIVER, "two", 30.0)
        await outbox.release(RECEIVER, "one")
        assert await other.hold(RECEIVER, "two", 30.0)
    finally:
        await other.close()


async def test_a_hold_ends_by_itself(where: Address, outbox: EventOutbox) -> None:
    assert await outbox.hold(RECEIVER, "one", -1.0)
    assert await outbox.hold(RECEIVER, "two", 30.0)
    assert not await outbox.hold(RECEIVER, "one", 30.0)


async def test_a_clock_that_was_set_back_stops_nothing(where: Address, outbox: EventOutbox) -> None:
    assert await outbox.hold(RECEIVER, "one", 86400.0)  # as it looks after the clock was set back by a day
    assert await outbox.hold(RECEIVER, "two", 30.0)
    await insert(where, "later", due=AT + 3600)
    await insert(where, "tomorrow", due=AT + 86400)
    assert [each.id for each in await outbox.take(RECEIVER, AT, 9)] == ["tomorrow"]
    assert len(await outbox.take(RECEIVER, inf, 9)) == 2


async def test_of_many_that_want_it_at_once_one_gets_it(where: Address) -> None:
    several = [open_outbox(where) for _ in range(5)]
    try:
        got = await asyncio.gather(*(each.hold(RECEIVER, str(number), 30.0) for number, each in enumerate(several)))
        assert sorted(got) == [False] * 4 + [True]
    finally:
        for each in several:
            await each.close()


async def test_counts_of_what_waits_and_what_is_dead(where: Address, outbox: EventOutbox) -> None:
    assert await outbox.counts() == {}
    await insert(where, "a", at=AT - 7)
    await insert(where, "b", "c")
    await insert(where, "d", receiver="webhook:x", at=AT - 9)
    assert await outbox.give_up("webhook:x", AT, AT - 8, "gone") == 1
    assert await outbox.counts() == {
        RECEIVER: ReceiverCounts(3, AT - 7, 0),
        "webhook:x": ReceiverCounts(0, None, 1),
    }
    await insert(where, "e", receiver="webhook:x")
    assert (await outbox.counts())["webhook:x"] == ReceiverCounts(1, AT, 1)


async def test_only_old_events_are_given_up(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "old", at=AT - 100)
    await insert(where, "new")
    assert await outbox.give_up(RECEIVER, AT, AT - 50, "not reached for a day") == 1
    assert await left(where) == [("old", 0, "not reached for a day", True), ("new", 0, "", False)]


async def test_the_first_dead_events_are_deleted(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "a", "b", "c", "d")
    for number, each in enumerate(await outbox.take(RECEIVER, AT, 3)):
        await outbox.settle(RECEIVER, Settlement(AT - number, failed=[FailedTry(each.seq, None, "e")], error="e"))
    assert await outbox.trim(3) == 0
    assert await outbox.trim(1) == 2
    assert [id for id, *_ in await left(where)] == ["a", "d"]  # noqa: A001


async def test_a_receiver_that_is_gone_is_noted(where: Address, outbox: EventOutbox) -> None:
    await outbox.hold(RECEIVER, "h", 30.0)
    await outbox.gone(RECEIVER, AT)
    assert await receiver_row(where, "gone_at") == (AT,)
    await outbox.gone(RECEIVER, None)
    assert await receiver_row(where, "gone_at") == (None,)


async def test_any_text_comes_back(where: Address, outbox: EventOutbox) -> None:
    await insert(where, 'ü"\\u0000 😀')
    [found] = await outbox.take(RECEIVER, AT, 9)
    assert found.body == '{"id":"ü"\\u0000 😀"}'.encode()


async def test_without_tables_it_is_not_available_until_they_are_there(where: Address, outbox: EventOutbox) -> None:
    for change, work in (("RENAME TO away", False), ("RENAME TO outbox", True)):
        table = "away" if work else "outbox"
        if where.kind == "sqlite":
            import sqlite3

            connection = sqlite3.connect(where.target)
            connection.execute(f"ALTER TABLE {table} {change}")
            connection.close()
        else:
            import asyncpg

            link = await asyncpg.connect(where.target)
            await link.execute(f"ALTER TABLE {table} {change}")
            await link.close()
        if work:
            assert await outbox.take(RECEIVER, AT, 9) == []
        else:
            with pytest.raises(OutboxUnavailable):
                await outbox.take(RECEIVER, AT, 9)


async def test_a_canceled_call_leaves_an_outbox_that_works(where: Address, outbox: EventOutbox) -> None:
    await insert(where, "a")
    task = asyncio.create_task(outbox.take(RECEIVER, AT, 9))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert [each.id for each in await outbox.take(RECEIVER, AT, 9)] == ["a"]
    assert await query(where, "SELECT count(*) FROM outbox") == [(1,)]
