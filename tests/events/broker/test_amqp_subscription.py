"""Reading the ledger's rows from a real RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.events.broker.amqp_link import AmqpDialer, AmqpLink
from proxy.events.broker.amqp_publisher import AmqpPublisher
from proxy.events.broker.amqp_subscription import AmqpSubscription
from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.broker.opening import open_publisher, open_subscription
from proxy.events.broker.reading import BrokerDelivery
from tests.support.patience import until, within
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange


@pytest.fixture
async def exchange() -> AsyncIterator[RabbitExchange]:
    async with rabbit_exchange() as found:
        yield found


class Readers:
    """Subscriptions and a publisher that are closed at the end."""

    def __init__(self, exchange: RabbitExchange) -> None:
        self._settings, self.notes = exchange.settings(ledger=True), Notes()
        publisher = open_publisher(self._settings, self.notes.warn, self.notes.log)
        assert isinstance(publisher, AmqpPublisher)
        self._publisher = publisher
        self._all: list[AmqpSubscription] = []

    def __call__(self) -> AmqpSubscription:
        found = open_subscription(self._settings, self.notes.warn, self.notes.log)
        assert isinstance(found, AmqpSubscription)
        self._all.append(found)
        return found

    async def send(self, *numbers: int, body: bytes = b"{}") -> None:
        await self._publisher.publish([BrokerMessage(f"evt_{n}", "ai_usage", "a/b", body, True) for n in numbers])

    async def close(self) -> None:
        for each in (*self._all, self._publisher):
            await each.close()


@pytest.fixture
async def readers(exchange: RabbitExchange) -> AsyncIterator[Readers]:
    found = Readers(exchange)
    yield found
    await found.close()


async def one(subscription: AmqpSubscription, count: int = 1) -> list[BrokerDelivery]:
    """A batch; more of them until there are ``count`` messages, as a busy broker sends some late."""
    batches, found = subscription.batches(500, 0.05), list[BrokerDelivery]()
    while len(found) < count:
        found += await within(anext(batches), "a batch")
    return found


def ids(deliveries: list[BrokerDelivery]) -> list[str]:
    return [each.id for each in deliveries]


async def test_a_batch_has_what_was_sent(readers: Readers) -> None:
    await readers.send(1, body=b'{"a": 1}')
    (found,) = await one(readers())
    assert (found.id, found.type, found.content_type, found.body) == ("evt_1", "ai_usage", "a/b", b'{"a": 1}')


async def test_a_full_batch_does_not_wait(readers: Readers) -> None:
    await readers.send(*range(7))
    batches = readers().batches(3, 3600)
    assert ids(await within(anext(batches), "a batch")) == ["evt_0", "evt_1", "evt_2"]
    assert ids(await within(anext(batches), "a batch")) == ["evt_3", "evt_4", "evt_5"]


async def test_a_batch_waits_for_its_first_message(readers: Readers) -> None:
    subscription = readers()
    waiting = asyncio.ensure_future(anext(subscription.batches(10, 0.01)))
    await until(lambda: "Reads the ledger's rows from RabbitMQ." in readers.notes.lines, "the consumer")
    assert await subscription.waiting() == 0
    await readers.send(1)
    assert ids(await within(waiting, "a batch")) == ["evt_1"]


async def test_what_is_accepted_does_not_come_again(readers: Readers, exchange: RabbitExchange) -> None:
    await readers.send(*range(10))
    first = readers()
    found = await one(first, 10)
    await first.accept(found)
    await first.close()
    assert await exchange.count(exchange.names.ledger) == 0


async def test_what_is_not_accepted_comes_again_to_another(readers: Readers) -> None:
    await readers.send(*range(10))
    first = readers()
    found = await one(first, 10)
    await first.accept([found[index] for index in (0, 1, 4, 9)])
    await first.accept([found[2], found[2]])
    await first.accept([found[0]])
    await first.accept([])
    await first.close()
    assert ids(await one(readers(), 5)) == ["evt_3", "evt_5", "evt_6", "evt_7", "evt_8"]


async def test_a_batch_is_accepted_while_the_next_is_read(readers: Readers, exchange: RabbitExchange) -> None:
    await readers.send(*range(6))
    subscription = readers()
    batches = subscription.batches(2, 1)
    first, second = await within(anext(batches), "a batch"), await within(anext(batches), "a batch")
    await subscription.accept(second)
    await subscription.close()
    assert await exchange.ids(exchange.names.ledger) == [*ids(first), "evt_4", "evt_5"]


async def test_each_message_goes_to_one_of_two(readers: Readers) -> None:
    await readers.send(*range(8))
    one_, other = readers().batches(2, 1), readers().batches(2, 1)
    found = [await within(anext(each), "a batch") for each in (one_, other)]
    assert len({delivery.id for batch in found for delivery in batch}) == 4


async def test_a_canceled_wait_loses_nothing(readers: Readers) -> None:
    subscription = readers()
    task = asyncio.ensure_future(anext(subscription.batches(10, 3600)))
    await until(lambda: "Reads the ledger's rows from RabbitMQ." in readers.notes.lines, "the consumer")
    await readers.send(1)
    await until(lambda: subscription._received, "a message")
    task.cancel()
    await asyncio.wait([task])
    assert ids(await one(subscription)) == ["evt_1"]
    assert readers.notes.lines.count("Reads the ledger's rows from RabbitMQ.") == 1


async def test_a_buried_message_is_in_the_dead_letters_with_the_reason(
    readers: Readers, exchange: RabbitExchange
) -> None:
    await readers.send(1, 2, body=b"no JSON")
    subscription = readers()
    first, second = await one(subscription, 2)
    await subscription.bury(first, "it is no JSON" + "!" * 5000)
    await subscription.accept([second])
    await subscription.close()
    assert await exchange.count(exchange.names.ledger) == 0
    (dead,) = await exchange.take(exchange.names.dead)
    headers = dead.header.properties.headers or {}
    assert (dead.header.properties.message_id, dead.header.properties.message_type) == ("evt_1", "ai_usage")
    assert dead.body == b"no JSON"
    assert str(headers["x-sluice-reason"]).startswith("it is no JSON")
    assert len(str(headers["x-sluice-reason"])) == 1000
    assert headers["x-sluice-queue"] == exchange.names.ledger


async def test_without_a_place_for_dead_letters_a_message_stays(readers: Readers, exchange: RabbitExchange) -> None:
    await readers.send(1)
    subscription = readers()
    (found,) = await one(subscription)
    await exchange.call("queue_delete", exchange.names.dead)
    with pytest.raises(BrokerUnavailable, match="the dead letters: no queue"):
        await subscription.bury(found, "poison")
    (again,) = await one(subscription)
    await subscription.bury(again, "poison")
    await subscription.close()
    assert await exchange.ids(exchange.names.dead) == ["evt_1"]


async def test_what_is_open_comes_again_after_a_failure(
    readers: Readers, exchange: RabbitExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    await readers.send(1, 2)
    subscription = readers()
    found = await one(subscription, 2)
    assert subscription._channel is not None
    with monkeypatch.context() as patch:

        async def fails(*_: object, **__: object) -> None:
            raise OSError("the socket broke")

        patch.setattr(subscription._channel, "basic_ack", fails)
        with pytest.raises(BrokerUnavailable, match="the socket broke"):
            await subscription.accept(found)
    assert ids(await one(subscription, 2)) == ["evt_1", "evt_2"]


async def test_a_message_of_others_without_an_id_can_be_buried(readers: Readers, exchange: RabbitExchange) -> None:
    await readers.send(1)
    await exchange.take(exchange.names.ledger)
    await exchange.call("basic_publish", b"?", exchange=exchange.names.exchange, routing_key="ledger_row")
    subscription = readers()
    (found,) = await one(subscription)
    await subscription.bury(found, "no row")
    (dead,) = await exchange.take(exchange.names.dead)
    assert dead.body == b"?"


async def test_a_deleted_queue_ends_the_batches_and_is_made_again(readers: Readers, exchange: RabbitExchange) -> None:
    await readers.send(1)
    subscription = readers()
    batches = subscription.batches(1, 0.01)
    found = await within(anext(batches), "a batch")
    await exchange.call("queue_delete", exchange.names.ledger)
    with pytest.raises(BrokerUnavailable, match="was deleted"):
        await within(anext(batches), "the end")
    await readers.send(2)
    assert ids(await one(subscription)) == ["evt_2"]
    with pytest.raises(BrokerUnavailable, match="its messages come again"):
        await subscription.accept(found)


async def test_a_channel_that_the_broker_closes_ends_the_batches(readers: Readers) -> None:
    await readers.send(1)
    subscription = readers()
    batches = subscription.batches(1, 0.01)
    await within(anext(batches), "a batch")
    assert subscription._channel is not None
    await subscription._channel.basic_ack(4711)  # no such delivery: PRECONDITION_FAILED
    with pytest.raises(BrokerUnavailable, match="unknown delivery tag"):
        await within(anext(batches), "the end")
    assert ids(await one(subscription)) == ["evt_1"]


async def test_close_ends_a_wait(readers: Readers) -> None:
    subscription = readers()
    waiting = asyncio.ensure_future(anext(subscription.batches(10, 0.01)))
    await until(lambda: "Reads the ledger's rows from RabbitMQ." in readers.notes.lines, "the consumer")
    await within(subscription.close(), "the close")
    with pytest.raises(BrokerUnavailable, match="closed"):
        await within(waiting, "the end")
    with pytest.raises(BrokerUnavailable, match="closed"):
        await subscription.waiting()


async def test_close_ends_a_wait_for_the_connection(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    connecting, connects, links = asyncio.Event(), asyncio.Event(), list[AmqpLink]()
    connect = AmqpDialer.connect

    async def held(dialer: AmqpDialer) -> AmqpLink:
        connecting.set()
        await connects.wait()
        links.append(await connect(dialer))
        return links[-1]

    monkeypatch.setattr(AmqpDialer, "connect", held)
    subscription = readers()
    waiting = asyncio.ensure_future(anext(subscription.batches(10, 0.01)))
    await within(connecting.wait(), "the connection")
    await subscription.close()
    connects.set()
    with pytest.raises(BrokerUnavailable, match="closed"):
        await within(waiting, "the end")
    assert [each.open for each in links] == [False]


async def test_many_arrive_in_their_order(readers: Readers, exchange: RabbitExchange) -> None:
    await readers.send(*range(3000))
    subscription, seen = readers(), list[str]()
    async for batch in subscription.batches(500, 0.05):
        seen += ids(batch)
        await subscription.accept(batch)
        if len(seen) == 3000:
            break
    assert seen == [f"evt_{number}" for number in range(3000)]
    assert await subscription.waiting() == 0
