"""Dead letters of a real RabbitMQ."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiormq.abc import DeliveredMessage
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from proxy.events.broker.amqp_dead_letters import AmqpDeadLetters, _letter, _outgoing
from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.broker.opening import open_dead_letters, open_publisher, open_subscription
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange


@pytest.fixture
async def exchange() -> AsyncIterator[RabbitExchange]:
    """With its queues, and events 1 to 3 in each."""
    async with rabbit_exchange() as found:
        publisher = open_publisher(found.settings(ledger=True), Notes().warn, Notes().log)
        await publisher.publish([BrokerMessage(f"evt_{n}", "ai_usage", "a/b", b"%d" % n, True) for n in (1, 2, 3)])
        await publisher.close()
        yield found


@pytest.fixture
async def letters(exchange: RabbitExchange) -> AsyncIterator[AmqpDeadLetters]:
    found = open_dead_letters(exchange.settings())
    assert isinstance(found, AmqpDeadLetters)
    yield found
    await found.close()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["queue", "reason", "time"]), inner),
    max_leaves=5,
)
NAMES = ["x-death", "x-sluice-reason", "x-sluice-queue", "x-sluice-time", "x-first-death-queue", "CC", "other"]


@given(st.dictionaries(st.sampled_from(NAMES), values), st.none() | st.text(max_size=3))
def test_headers_of_anybody_make_a_letter(headers: dict[str, object], text: str | None) -> None:
    properties = Basic.Properties(message_id=text, message_type=text)
    properties.headers = dict(headers)  # type: ignore[assignment]
    message = DeliveredMessage(Basic.GetOk(1), ContentHeader(0, 1, properties), b"x", None)  # type: ignore[arg-type]
    letter = _letter(message)
    assert math.isfinite(letter.at)
    assert msgspec.json.decode(msgspec.json.encode(letter), type=type(letter)) == letter
    made = _outgoing(message, 7)
    assert (made.exchange, made.key, made.body) == ("", letter.queue, b"x")
    assert made.id == (text or "dead-7")
    assert set(made.properties.headers or {}) <= {"other"}


async def reject(exchange: RabbitExchange, queue: str) -> None:
    """All messages of a queue."""
    channel = await exchange.connection.channel()
    while tag := (await channel.basic_get(queue)).delivery_tag:
        await channel.basic_reject(tag, requeue=False)
    await channel.close()


async def test_there_are_none(letters: AmqpDeadLetters) -> None:
    assert await letters.look(10) == []
    assert await letters.send_again(None) == 0


async def test_a_rejected_event_says_where_it_was(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    await reject(exchange, exchange.names.usage)
    first, *others = await letters.look(10)
    assert (first.id, first.type, first.body) == ("evt_1", "ai_usage", b"1")
    assert (first.queue, first.reason) == (exchange.names.usage, "rejected")
    assert abs(first.at - time.time()) < 3600
    assert len(others) == 2


async def test_looking_leaves_them_in_their_order(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    await reject(exchange, exchange.names.usage)
    for _ in range(3):
        assert [each.id for each in await letters.look(2)] == ["evt_1", "evt_2"]
    assert await exchange.count(exchange.names.dead) == 3


async def test_a_buried_message_has_the_reason(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    subscription = open_subscription(exchange.settings(ledger=True), Notes().warn, Notes().log)
    deliveries = await anext(subscription.batches(3, 1))
    await subscription.bury(deliveries[1], "not a row: `model` is missing")
    await subscription.accept([deliveries[0], deliveries[2]])
    await subscription.close()
    (found,) = await letters.look(10)
    assert (found.id, found.queue, found.reason) == ("evt_2", exchange.names.ledger, "not a row: `model` is missing")
    assert abs(found.at - time.time()) < 3600
    assert await letters.send_again(None) == 1
    (again,) = await exchange.take(exchange.names.ledger)
    assert again.header.properties.message_id == "evt_2"
    assert not again.header.properties.headers


async def test_all_are_sent_again_to_their_own_queue_only(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    await reject(exchange, exchange.names.usage)
    await exchange.take(exchange.names.ledger)
    assert await letters.send_again(None) == 3
    assert await exchange.count(exchange.names.dead) == 0
    assert await exchange.count(exchange.names.ledger) == 0
    assert len(await exchange.ids(exchange.names.analytics)) == 3
    first, *_ = await exchange.take(exchange.names.usage)
    properties = first.header.properties
    assert (first.body, properties.message_id, properties.message_type) == (b"1", "evt_1", "ai_usage")
    assert (properties.content_type, properties.delivery_mode, properties.app_id) == ("a/b", 2, "sluice")
    assert not properties.headers


async def test_some_are_sent_again(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    await reject(exchange, exchange.names.usage)
    await reject(exchange, exchange.names.analytics)
    assert await letters.send_again(frozenset({"evt_2", "evt_9"})) == 2
    assert await exchange.ids(exchange.names.usage) == ["evt_2"]
    assert await exchange.ids(exchange.names.analytics) == ["evt_2"]
    assert [each.id for each in await letters.look(9)] == ["evt_1", "evt_3", "evt_1", "evt_3"]


async def test_one_whose_queue_is_gone_stays(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    await reject(exchange, exchange.names.usage)
    await exchange.call("queue_delete", exchange.names.usage)
    assert await letters.send_again(None) == 0
    assert await exchange.count(exchange.names.dead) == 3


async def test_a_message_of_others_without_id_and_origin_stays(
    exchange: RabbitExchange, letters: AmqpDeadLetters
) -> None:
    await exchange.call("basic_publish", b"x", exchange=exchange.names.dead, routing_key="")
    (found,) = await letters.look(10)
    assert (found.type, found.queue, found.reason, found.at) == ("", "", "", 0.0)
    assert await letters.send_again(None) == 0
    assert await exchange.count(exchange.names.dead) == 1


async def test_more_than_go_together(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    publisher = open_publisher(exchange.settings(), Notes().warn, Notes().log)
    await publisher.publish([BrokerMessage(f"many_{n}", "key_created", "a/b", b"x") for n in range(250)])
    await publisher.close()
    await reject(exchange, exchange.names.analytics)
    assert await letters.send_again(None) == 253
    assert await exchange.count(exchange.names.analytics) == 253


async def test_a_queue_that_is_missing(exchange: RabbitExchange, letters: AmqpDeadLetters) -> None:
    await exchange.call("queue_delete", exchange.names.dead)
    for call in (letters.look(1), letters.send_again(None)):
        with pytest.raises(BrokerUnavailable, match="there is no queue"):
            await call


async def test_no_broker() -> None:
    async with rabbit_exchange() as found:
        letters = open_dead_letters(found.settings(addresses=("amqp://user:secret@127.0.0.1:1/",)))
        with pytest.raises(BrokerUnavailable, match=r"^127\.0\.0\.1:1: Connection refused$"):
            await letters.look(1)
        await letters.close()
