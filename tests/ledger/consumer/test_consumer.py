"""From a broker in this process into a ledger in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from msgspec import json, structs

from proxy.events import cloudevent
from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.ledger.consumer import consumer as consumers
from proxy.ledger.consumer.consumer import GIVE_UP_SECS, MOST_ROWS, REPORT_SECS, LedgerConsumer
from proxy.ledger.recorder import hours
from proxy.ledger.row import Row
from tests.ledger.consumer.brokers import MemoryBroker, MemoryPublisher, MemorySubscription
from tests.ledger.recorder.fakes import ListLog, MemoryLedger, finish
from tests.ledger.rows import ROW
from tests.support.patience import until, within


class ClockThatSleeps:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


def row(number: int, **changes: Any) -> Row:
    return structs.replace(ROW, **{"id": f"n{number}", "at": 1_790_000_000.0 + number} | changes)


def body(each: Row) -> bytes:
    return json.encode({"type": "io.sluice.ai_usage", "data": structs.asdict(each)})


def message(*rows: Row) -> BrokerMessage:
    if len(rows) == 1:
        return BrokerMessage(rows[0].id, "ai_usage", cloudevent.MEDIA_TYPE, body(rows[0]), ledger=True)
    return BrokerMessage(
        rows[0].id, "ai_usage", cloudevent.BATCH_TYPE, cloudevent.batch([*map(body, rows)]), ledger=True
    )


class Site:
    """A broker, a database, and one consumer between them."""

    def __init__(self, *, once: bool = False) -> None:
        self.broker = MemoryBroker()
        self.publisher = MemoryPublisher(self.broker)
        self.ledger = MemoryLedger()
        self.log = ListLog()
        self.clock = ClockThatSleeps()
        self.upgrades: list[str] = []
        self.commits = 0
        self.once = once
        self.subscription = MemorySubscription(self.broker)
        self.consumer = LedgerConsumer(
            self.subscription,
            self.ledger,
            self.log,
            self.upgrade,
            wrote=self.wrote,
            once=once,
            now=self.clock,
            sleep=self.clock.sleep,
        )

    async def upgrade(self) -> str:
        return self.upgrades.pop(0) if self.upgrades else ""

    def wrote(self) -> None:
        self.commits += 1

    def publish(self, *messages: BrokerMessage) -> None:
        finish(self.publisher.publish(messages))

    @property
    def rows(self) -> list[Row]:
        return sorted(self.ledger.rows.values(), key=lambda each: each.at)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(consumers, "QUIET_SECS", 0.001)
    return Site(once=True)


@contextmanager
def running(site: Site) -> Iterator[asyncio.Task[None]]:
    task = asyncio.get_running_loop().create_task(site.consumer.run())
    try:
        yield task
    finally:
        task.cancel()


async def test_each_message_becomes_a_row_and_is_accepted_after_the_commit(site: Site) -> None:
    rows = [row(number) for number in range(20)]
    site.publish(*map(message, rows))
    with running(site):
        await until(lambda: len(site.ledger.rows) == 20 and not site.subscription.held, "the rows")
        site.publish(message(row(20)))
        await until(lambda: len(site.ledger.rows) == 21 and not site.subscription.held, "one that came later")
    assert site.rows[:20] == rows
    assert site.consumer.rows == 21
    assert site.commits == 2
    assert site.log.lines == []


async def test_once_ends_when_nothing_waits(once: Site) -> None:
    once.publish(*(message(row(number)) for number in range(3 * MOST_ROWS)))
    await within(once.consumer.run(), "its end")
    assert once.consumer.emptied
    assert len(once.rows) == 3 * MOST_ROWS
    assert not once.broker.ledger
    assert not once.subscription.held


async def test_messages_that_come_twice_are_rows_once(once: Site) -> None:
    once.publish(message(row(1)), message(row(1)), message(row(2)))
    await within(once.consumer.run(), "its end")
    once.publish(message(row(2)), message(row(1), row(2), row(3)))
    again = Site(once=True)
    again.broker, again.ledger = once.broker, once.ledger
    again.consumer._subscription = MemorySubscription(once.broker)
    again.consumer._database = once.ledger
    await within(again.consumer.run(), "its end")
    assert [each.id for each in once.rows] == ["n1", "n2", "n3"]
    assert len(once.ledger.counted) == 3


async def test_a_batch_with_many_rows_is_not_written_in_one_transaction(once: Site) -> None:
    batches = [[row(100 * number + each) for each in range(100)] for number in range(20)]
    once.publish(*(message(*rows) for rows in batches))
    await within(once.consumer.run(), "its end")
    assert len(once.rows) == 2000
    assert max(once.ledger.writes) == MOST_ROWS


async def test_answers_from_the_cache_are_rows_of_a_batch_like_others(once: Site) -> None:
    given = [structs.replace(row(number), attempt=0, end="cached", cost=0, saved=number) for number in (1, 2)]
    once.publish(message(given[0], row(3), given[1]))
    await within(once.consumer.run(), "its end")
    assert once.rows == [*given, row(3)]
    assert not once.broker.dead


async def test_poison_goes_to_the_dead_letters_and_holds_up_nothing(once: Site) -> None:
    bad = BrokerMessage("bad", "ai_usage", "text/plain", b"hello", ledger=True)
    refused = message(row(7, model="poison"))
    mixed = BrokerMessage("mixed", "ai_usage", "", cloudevent.batch([body(row(8)), b'{"type": "x"}']), ledger=True)
    once.publish(message(row(1)), bad, message(row(2)), refused, mixed, message(row(3, model="poison\0")))
    await within(once.consumer.run(), "its end")
    assert [each.id for each in once.rows] == ["n1", "n2", "n3", "n8"]
    assert once.rows[2].model == "poison\ufffd"
    assert once.broker.dead == [
        ("bad", "no row: JSON is malformed: invalid character (byte 0)"),
        ("n7", "the database refuses it: poison"),
        ("mixed", "event 2 is no row: Object missing required field data"),
    ]
    assert once.consumer.refused == 3
    assert len(once.log.lines) == 1
    once.clock.at += REPORT_SECS
    once.publish(bad)
    once.consumer.emptied = False
    await within(once.consumer.run(), "its end")
    assert len(once.log.lines) == 2
    assert not once.subscription.held


async def test_while_the_database_is_down_nothing_is_accepted_and_nothing_more_is_taken(site: Site) -> None:
    site.ledger.mode = "down"
    site.publish(*(message(row(number)) for number in range(MOST_ROWS + 5)))
    with running(site):
        await until(lambda: site.clock.at > 60.0, "a minute of failures")
        assert len(site.subscription.held) == MOST_ROWS
        assert len(site.broker.ledger) == 5
        assert not site.consumer.database_health.up
        site.ledger.mode = "up"
        await until(lambda: len(site.rows) == MOST_ROWS + 5 and not site.subscription.held, "the rows")
    assert site.log.lines == [
        "warning The ledger's database takes no rows. They wait at the broker.",
        "info The ledger's database takes rows again.",
    ]


async def test_a_commit_whose_answer_is_lost_gives_each_row_once(site: Site) -> None:
    site.ledger.mode = "down after commit"
    site.publish(message(row(1)))
    with running(site):
        await until(lambda: site.clock.at > 1.0, "some failures")
        site.ledger.mode = "up"
        await until(lambda: site.commits, "a commit")
    assert len(site.ledger.counted) == 1


async def test_a_broker_that_is_down_is_told_once(site: Site) -> None:
    site.broker.mode = "down"
    with running(site):
        await until(lambda: site.clock.at > 60.0, "a minute of failures")
        site.broker.mode = "up"
        site.publish(message(row(1)))
        await until(lambda: site.rows, "the row")
    assert site.log.lines == ["warning The broker gives no rows.", "info The broker gives rows again."]


async def test_a_broker_that_breaks_before_the_acceptance_sends_again(site: Site) -> None:
    site.publish(message(row(1)), message(row(2)))
    received = site.subscription.receive(10)
    site.subscription.crash()
    with pytest.raises(BrokerUnavailable):
        await site.consumer.take(received)
    assert len(site.rows) == 2
    with running(site):
        await until(lambda: not site.broker.ledger and not site.subscription.held, "the second time")
    assert len(site.ledger.counted) == 2


async def test_missing_tables_are_made_once(site: Site) -> None:
    site.ledger.mode = "outdated"
    site.upgrades = ["no right to", ""]
    site.publish(message(row(1)))
    with running(site):
        await until(lambda: "although its migrations ran" in site.consumer.database_health.error, "the second try")
        site.ledger.mode = "up"
        await until(lambda: site.rows, "the row")


@pytest.mark.parametrize("what", ["broker", "database"])
async def test_once_gives_up_after_a_while(what: str, once: Site) -> None:
    once.publish(message(row(1)))
    if what == "broker":
        once.broker.mode = "down"
    else:
        once.ledger.mode = "down"
    await within(once.consumer.run(), "its end")
    assert not once.consumer.emptied
    assert once.consumer.gives_up
    assert GIVE_UP_SECS <= once.clock.at < 2 * GIVE_UP_SECS
    await once.subscription.close()
    assert len(once.broker.ledger) == 1


class Interleavings(RuleBasedStateMachine):
    """Whatever is published, confirmed, killed and sent again, in whatever order: each row is there once."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = MemoryBroker()
        self.publisher = MemoryPublisher(self.broker)
        self.ledger = MemoryLedger()
        self.spool: list[Row] = []  # not confirmed
        self.number = 0
        self.subscriptions = [MemorySubscription(self.broker), MemorySubscription(self.broker)]
        self.received: list[list[Any]] = [[], []]
        self.expected: dict[str, Row] = {}

    @rule(count=st.integers(1, 5))
    def call(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            made = row(self.number, cost=self.number)
            self.spool.append(made)
            self.expected[made.id] = made

    @precondition(lambda self: self.spool)
    @rule(mode=st.sampled_from(("up", "down", "unconfirmed")), batch=st.integers(1, 4), killed=st.booleans())
    def publish(self, mode: Any, batch: int, killed: bool) -> None:
        """``killed``: after the confirmation, before the recorder knows it."""
        self.broker.mode = mode
        parts = [self.spool[at : at + batch] for at in range(0, len(self.spool), batch)]
        try:
            finish(self.publisher.publish([message(*rows) for rows in parts]))
            if not killed:
                self.spool.clear()
        except BrokerUnavailable:
            pass
        self.broker.mode = "up"

    @rule(which=st.integers(0, 1), most=st.integers(1, 5))
    def receive(self, which: int, most: int) -> None:
        self.received[which] += self.subscriptions[which].receive(most)

    @rule(
        which=st.integers(0, 1),
        database=st.sampled_from(("up", "down after commit")),
        broker=st.sampled_from(("up", "down")),
    )
    def take(self, which: int, database: Any, broker: Any) -> None:
        """``down after commit``: it is killed between the commit and the acceptance."""
        consumer = LedgerConsumer(
            self.subscriptions[which], self.ledger, ListLog(), self._no_upgrade, sleep=self._killed
        )
        self.ledger.mode, self.broker.mode = database, broker
        try:
            finish(consumer.take(self.received[which]))
            self.received[which] = []
        except (BrokerUnavailable, asyncio.CancelledError):
            self.kill(which)
        self.ledger.mode = self.broker.mode = "up"

    @rule(which=st.integers(0, 1))
    def kill(self, which: int) -> None:
        self.subscriptions[which].crash()
        self.received[which] = []

    async def _no_upgrade(self) -> str:
        return ""

    async def _killed(self, _seconds: float) -> None:
        raise asyncio.CancelledError

    def teardown(self) -> None:
        if self.spool:
            self.publish("up", 3, killed=False)
        for which in (0, 1):
            self.kill(which)
        self.receive(0, 10_000)
        self.take(0, "up", "up")
        assert {each.id: each for each in self.ledger.rows.values()} == self.expected
        assert len(self.ledger.counted) == len(self.expected)
        assert self.ledger.sums() == hours.sums(hours.grouped(self.expected.values()))
        assert not self.broker.ledger
        assert not self.broker.dead
        assert not any(each.held for each in self.subscriptions)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(stateful_step_count=30)
