"""RabbitMQ killed, held, out of memory and disk, or with certificates: a broker of the tests' own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from proxy.events.broker import amqp_confirms, amqp_link, amqp_topology
from proxy.events.broker.amqp_link import AmqpDialer
from proxy.events.broker.amqp_publisher import AmqpPublisher
from proxy.events.broker.amqp_subscription import AmqpSubscription
from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from tests.support.patience import until, within
from tests.support.rabbit import Notes, OwnRabbit, RabbitExchange, rabbit_exchange
from tests.support.tls import Authority

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one broker

AUTHORITY = Authority()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rabbit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnRabbit]:
    folder = tmp_path_factory.mktemp("tls")
    files = (*AUTHORITY.server_files(folder), AUTHORITY.ca_file(folder))
    async with OwnRabbit(files, client_certificate=True) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def quiet(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """No task is left behind, and none dies unseen."""
    before = asyncio.all_tasks()
    with caplog.at_level(logging.WARNING):
        yield
        await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()}, "the end of all tasks")  # type: ignore[arg-type]
    # aiormq's own lines are not for the log of the process: they are here only where a test has a connection, too.
    assert [each.message for each in caplog.records if not each.name.startswith("aiormq")] == []


@pytest_asyncio.fixture(loop_scope="module")
async def exchange(rabbit: OwnRabbit, quiet: None) -> AsyncIterator[RabbitExchange]:
    async with rabbit_exchange(rabbit.url) as found:
        yield found


def publisher_of(exchange: RabbitExchange, notes: Notes | None = None, **changes: Any) -> AmqpPublisher:
    notes = notes or Notes()
    return AmqpPublisher(exchange.settings(**changes), notes.warn, notes.log)


def events(first: int, count: int, body: bytes = b"{}") -> list[BrokerMessage]:
    return [BrokerMessage(f"evt_{number}", "ai_usage", "a/b", body) for number in range(first, first + count)]


async def refusal(publisher: AmqpPublisher, messages: list[BrokerMessage]) -> str:
    with pytest.raises(BrokerUnavailable) as caught:
        await within(publisher.publish(messages), "a refusal")
    return str(caught.value)


async def publish(publisher: AmqpPublisher, messages: list[BrokerMessage]) -> int:
    """Until it succeeds, as the delivery does. Returns the failures."""
    failures = 0
    while True:
        try:
            await within(publisher.publish(messages), "a publish to end")
            return failures
        except BrokerUnavailable:
            failures += 1
            await asyncio.sleep(0.05)


# certificates


async def test_a_broker_by_tls(rabbit: OwnRabbit, exchange: RabbitExchange, tmp_path: Path) -> None:
    cert, key = map(str, AUTHORITY.client_files(tmp_path))
    files = {"ca_file": str(AUTHORITY.ca_file(tmp_path)), "cert_file": cert, "key_file": key}
    publisher = publisher_of(exchange, addresses=(rabbit.tls_url,), **files)
    await publisher.publish(events(1, 1))
    await publisher.close()
    assert await exchange.ids(exchange.names.usage) == ["evt_1"]


async def test_an_unknown_authority_is_not_trusted(rabbit: OwnRabbit, exchange: RabbitExchange) -> None:
    publisher = publisher_of(exchange, addresses=(rabbit.tls_url,))
    assert "its certificate is not trusted (" in await refusal(publisher, events(1, 1))
    await publisher.close()


async def test_a_broker_that_wants_a_certificate(rabbit: OwnRabbit, exchange: RabbitExchange, tmp_path: Path) -> None:
    publisher = publisher_of(exchange, addresses=(rabbit.tls_url,), ca_file=str(AUTHORITY.ca_file(tmp_path)))
    found = await refusal(publisher, events(1, 1))
    assert "certificate" in found or "closed" in found
    assert "guest" not in found
    await publisher.close()


async def test_the_name_in_the_certificate_must_be_the_host(
    rabbit: OwnRabbit, exchange: RabbitExchange, tmp_path: Path
) -> None:
    address = rabbit.tls_url.replace("localhost", "127.0.0.2")
    publisher = publisher_of(exchange, addresses=(address,), ca_file=str(AUTHORITY.ca_file(tmp_path)))
    found = await refusal(publisher, events(1, 1))
    assert "not trusted" in found or "refused" in found
    await publisher.close()


# permissions


async def test_a_user_who_may_only_write(rabbit: OwnRabbit, exchange: RabbitExchange) -> None:
    await rabbit.control("add_user", "writer", "secret")
    await rabbit.control("set_permissions", "writer", "^$", "^test-.*$", "^$")
    notes, address = Notes(), rabbit.url.replace("guest:guest", "writer:secret")
    publisher = publisher_of(exchange, notes, addresses=(address,))
    missing = await refusal(publisher, events(1, 1))
    assert f"the user may not make the exchange '{exchange.names.dead}', which is missing" in missing
    assert "secret" not in missing
    guest = publisher_of(exchange)
    await guest.publish(events(1, 1))
    await guest.close()
    await publisher.publish(events(2, 1))
    await publisher.publish(events(3, 1))
    await publisher.close()
    assert await exchange.ids(exchange.names.usage) == ["evt_1", "evt_2", "evt_3"]
    assert len([each for each in notes.warnings if "may not declare" in each]) == 5  # 2 exchanges, 3 queues, once each


# alarms


@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_an_alarm_is_waited_out(rabbit: OwnRabbit, exchange: RabbitExchange, kind: str) -> None:
    notes = Notes()
    publisher = publisher_of(exchange, notes)
    await publisher.publish(events(0, 1))
    await rabbit.alarm(kind)
    try:
        first = await refusal(publisher, events(1, 500, b"x" * 1000))
        assert f"has blocked the connection: low on {kind}" in first
        assert "(500 events are not confirmed)" in first
        assert f"low on {kind}" in await refusal(publisher, events(1, 500, b"x" * 1000))
        await within(publisher.dead(), "the count of dead letters")
    finally:
        await rabbit.calm()
    await publish(publisher, events(1, 500, b"x" * 1000))
    await publisher.close()
    assert notes.lines == ["Connected to RabbitMQ."]
    found = await exchange.ids(exchange.names.usage)
    assert set(found) == {f"evt_{number}" for number in range(501)}


async def test_a_blocked_connection_can_be_closed(rabbit: OwnRabbit, exchange: RabbitExchange) -> None:
    publisher = publisher_of(exchange)
    await publisher.publish(events(0, 1))
    await rabbit.alarm("memory")
    try:
        # More than the sockets hold, so that some of it stays in this process.
        assert "low on memory" in await refusal(publisher, events(1, 30, b"x" * 1_000_000))
        await within(publisher.close(), "the close")
    finally:
        await rabbit.calm()


# a broker that does not answer


async def test_a_broker_that_hangs_is_not_waited_for(
    rabbit: OwnRabbit, exchange: RabbitExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, fresh = publisher_of(exchange), publisher_of(exchange)
    await publisher.publish(events(0, 1))
    for module in (amqp_link, amqp_confirms):
        monkeypatch.setattr(module, "LIMIT_SECS", 1.0)
    rabbit.hold()
    try:
        for each in (publisher, publisher, fresh):
            assert (await refusal(each, events(1, 3))).endswith(" does not respond")
        assert await within(fresh.dead(), "the count of dead letters") == -1
        await within(fresh.close(), "the close")
    finally:
        rabbit.resume()
    await publish(publisher, events(1, 3))
    await publisher.close()
    assert set(await exchange.ids(exchange.names.usage)) == {"evt_0", "evt_1", "evt_2", "evt_3"}


async def test_a_close_does_not_wait_for_a_broker_that_hangs(
    rabbit: OwnRabbit, exchange: RabbitExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = publisher_of(exchange)
    await publisher.publish(events(1, 1))
    monkeypatch.setattr(amqp_topology, "LIMIT_SECS", 3600.0)
    rabbit.hold()
    try:
        await within(publisher.close(), "the close")
    finally:
        rabbit.resume()


async def test_a_lost_heartbeat_ends_an_idle_subscription(rabbit: OwnRabbit, exchange: RabbitExchange) -> None:
    settings, notes = exchange.settings(ledger=True), Notes()
    subscription = AmqpSubscription(settings, notes.warn, notes.log, AmqpDialer(settings, "test", heartbeat=1))
    waiting = asyncio.ensure_future(anext(subscription.batches(10, 0.01)))
    await until(lambda: notes.lines, "the consumer")
    rabbit.hold()
    try:
        with pytest.raises(BrokerUnavailable):
            await within(waiting, "the end of the connection")
        await within(subscription.close(), "the close")
    finally:
        rabbit.resume()


# kills


async def test_nothing_is_lost_when_the_broker_is_killed_while_events_are_sent(
    rabbit: OwnRabbit, exchange: RabbitExchange
) -> None:
    publisher = publisher_of(exchange)
    sent, ended = 0, False

    async def load() -> int:
        nonlocal sent
        failures = 0
        while not ended:
            failures += await publish(publisher, events(sent, 50))
            sent += 50
        return failures

    async def more() -> None:
        reached = sent + 500
        await until(lambda: sent >= reached, "events to be sent")

    loading = asyncio.ensure_future(load())
    for _ in range(2):
        await more()
        await rabbit.restart()
    await more()
    ended = True
    assert await within(loading, "the load to end") >= 2
    await publisher.close()
    for queue in (exchange.names.usage, exchange.names.analytics):
        assert set(await exchange.ids(queue)) == {f"evt_{number}" for number in range(sent)}


async def test_a_killed_broker_ends_the_batches_and_sends_again(rabbit: OwnRabbit, exchange: RabbitExchange) -> None:
    settings, notes = exchange.settings(ledger=True), Notes()
    publisher = publisher_of(exchange, ledger=True)
    await publisher.publish([BrokerMessage("evt_1", "ai_usage", "a/b", b"{}", True)])
    subscription = AmqpSubscription(settings, notes.warn, notes.log)
    batches = subscription.batches(10, 0.01)
    (first,) = await within(anext(batches), "a batch")
    await rabbit.restart()
    with pytest.raises(BrokerUnavailable):
        await within(anext(batches), "the end of the connection")
    with pytest.raises(BrokerUnavailable):
        await subscription.accept([first])
    (again,) = await within(anext(subscription.batches(10, 0.01)), "a batch")
    assert again.id == "evt_1"
    await subscription.accept([again])
    await subscription.close()
    await publisher.close()
