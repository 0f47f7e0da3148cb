"""The publisher of RabbitMQ against a real one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from proxy.events.broker import amqp_publisher
from proxy.events.broker.amqp_confirms import AmqpConfirms, OutgoingMessage
from proxy.events.broker.amqp_link import AmqpLink
from proxy.events.broker.amqp_publisher import MOST, AmqpPublisher
from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.broker.opening import open_publisher
from tests.support.patience import until, within
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange


@pytest.fixture
async def exchange() -> AsyncIterator[RabbitExchange]:
    async with rabbit_exchange() as found:
        yield found


@pytest.fixture
def notes() -> Notes:
    return Notes()


class Opened:
    """Publishers that are closed at the end."""

    def __init__(self, exchange: RabbitExchange, notes: Notes) -> None:
        self._exchange, self._notes, self._all = exchange, notes, list[AmqpPublisher]()

    def __call__(self, **changes: Any) -> AmqpPublisher:
        found = open_publisher(self._exchange.settings(**changes), self._notes.warn, self._notes.log)
        assert isinstance(found, AmqpPublisher)
        self._all.append(found)
        return found

    async def close(self) -> None:
        for each in self._all:
            await each.close()


@pytest.fixture
async def opened(exchange: RabbitExchange, notes: Notes, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Opened]:
    found = Opened(exchange, notes)
    with caplog.at_level(logging.WARNING):
        yield found
        await found.close()
    assert [each.message for each in caplog.records] == []  # no task's lost exception, no line of aiormq


def event(number: int, type_: str = "ai_usage", *, ledger: bool = False, body: bytes = b"{}") -> BrokerMessage:
    return BrokerMessage(f"evt_{number}", type_, "application/cloudevents+json", body, ledger)


async def refusal(publisher: AmqpPublisher, *messages: BrokerMessage) -> str:
    with pytest.raises(BrokerUnavailable) as caught:
        await within(publisher.publish(messages or [event(1)]), "a refusal")
    return str(caught.value)


async def test_an_event_is_in_each_queue_of_its_type(exchange: RabbitExchange, opened: Opened) -> None:
    await opened().publish([event(1), event(2, "key_created"), event(3)])
    assert await exchange.ids(exchange.names.usage) == ["evt_1", "evt_3"]
    assert await exchange.ids(exchange.names.analytics) == ["evt_1", "evt_2", "evt_3"]
    assert await exchange.count(exchange.names.dead) == 0
    assert await exchange.count(exchange.names.ledger) == -1


async def test_a_message_is_persistent_and_says_what_it_is(exchange: RabbitExchange, opened: Opened) -> None:
    await opened().publish([event(1, body=b'{"a": 1}')])
    (message,) = await exchange.take(exchange.names.usage)
    properties = message.header.properties
    assert message.body == b'{"a": 1}'
    assert message.routing_key == "ai_usage"
    assert (properties.message_id, properties.message_type, properties.app_id) == ("evt_1", "ai_usage", "sluice")
    assert (properties.content_type, properties.delivery_mode) == ("application/cloudevents+json", 2)
    assert properties.timestamp is not None


async def test_a_row_of_the_ledger_is_in_its_queue_too_and_nowhere_twice(
    exchange: RabbitExchange, opened: Opened
) -> None:
    await opened(ledger=True).publish([event(1, ledger=True), event(2)])
    assert await exchange.ids(exchange.names.ledger) == ["evt_1"]
    assert await exchange.ids(exchange.names.usage) == ["evt_1", "evt_2"]
    assert await exchange.ids(exchange.names.analytics) == ["evt_1", "evt_2"]


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 3_000_000])
async def test_a_body_of_any_size_arrives_whole(exchange: RabbitExchange, opened: Opened, size: int) -> None:
    await opened().publish([event(1, body=b"x" * size), event(2, body=b"y")])
    first, second = await exchange.take(exchange.names.analytics)
    assert first.body == b"x" * size
    assert second.body == b"y"


async def test_many_events_keep_their_order(exchange: RabbitExchange, opened: Opened) -> None:
    publisher = opened()
    await publisher.publish([event(number) for number in range(2500)])
    await publisher.publish([event(number) for number in range(2500, 2600)])
    assert await exchange.count(exchange.names.usage) == 2600
    queue = await exchange.ids(exchange.names.analytics)
    assert queue == [f"evt_{number}" for number in range(2600)]


async def test_nothing_to_send_needs_no_broker(opened: Opened) -> None:
    await opened(addresses=("amqp://127.0.0.1:1/",)).publish([])


async def test_an_event_without_a_queue_is_not_safe(exchange: RabbitExchange, opened: Opened) -> None:
    await exchange.call("exchange_declare", exchange.names.exchange, exchange_type="topic", durable=True)
    publisher = opened(declare=False)
    assert "no queue gets 'ai_usage'" in await refusal(publisher)
    await exchange.call("queue_declare", exchange.names.usage, durable=True)
    await exchange.call("queue_bind", exchange.names.usage, exchange.names.exchange, "ai_usage")
    await publisher.publish([event(1)])
    assert await exchange.ids(exchange.names.usage) == ["evt_1"]


async def test_nothing_is_made_unless_it_may_be(exchange: RabbitExchange, opened: Opened) -> None:
    assert "no exchange" in await refusal(opened(declare=False))
    assert await exchange.count(exchange.names.usage) == -1


async def test_a_row_is_not_safe_without_the_queue_of_the_ledger(exchange: RabbitExchange, opened: Opened) -> None:
    await opened().publish([event(1)])
    publisher = opened(declare=False, ledger=True)
    assert f"there is no queue '{exchange.names.ledger}'" in await refusal(publisher, event(2, ledger=True))


async def test_a_full_queue_is_waited_out_and_its_neighbors_get_few_duplicates(
    exchange: RabbitExchange, opened: Opened
) -> None:
    full = {"x-max-length": 3, "x-overflow": "reject-publish"}
    await exchange.call("queue_declare", exchange.names.usage, durable=True, arguments=full)
    publisher, events = opened(), [event(number) for number in range(20)]
    assert "a queue refused it" in await refusal(publisher, *events)
    once = await exchange.ids(exchange.names.analytics)
    for _ in range(5):
        assert "a queue refused it" in await refusal(publisher, *events)
    assert len(await exchange.ids(exchange.names.analytics)) == 5
    await exchange.call("queue_delete", exchange.names.usage)
    await publisher.publish(events)
    assert {*once, *await exchange.ids(exchange.names.usage)} == {each.id for each in events}


async def test_events_that_were_safe_in_a_failed_call_are_not_sent_again(
    exchange: RabbitExchange, opened: Opened
) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await exchange.call("queue_declare", exchange.names.usage, durable=True, arguments=full)
    publisher, events = opened(), [event(0, "key_created"), event(1), event(2), event(3, "key_revoked")]
    for _ in range(3):
        await refusal(publisher, *events)
    await exchange.take(exchange.names.usage)
    await exchange.call("queue_unbind", exchange.names.usage, exchange.names.exchange, "ai_usage")
    await publisher.publish(events)
    found = await exchange.ids(exchange.names.analytics)
    assert found.count("evt_0") == 1
    assert found.count("evt_3") == 1
    assert set(found) == {each.id for each in events}


async def test_the_same_id_with_other_content_is_another_event(exchange: RabbitExchange, opened: Opened) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await exchange.call("queue_declare", exchange.names.usage, durable=True, arguments=full)
    publisher = opened()
    await refusal(publisher, event(0, "key_created", body=b"[1]"), event(1), event(2))
    await exchange.call("queue_unbind", exchange.names.usage, exchange.names.exchange, "ai_usage")
    await publisher.publish([event(0, "key_created", body=b"[1,2]"), event(1), event(2)])
    bodies = [each.body for each in await exchange.take(exchange.names.analytics)]
    assert b"[1]" in bodies
    assert b"[1,2]" in bodies


async def test_a_deleted_queue_is_made_again_and_gets_what_it_missed(
    exchange: RabbitExchange, opened: Opened, notes: Notes
) -> None:
    publisher = opened()
    await publisher.publish([event(1)])
    await exchange.call("queue_delete", exchange.names.usage)
    await publisher.publish([event(2), event(3)])
    assert await exchange.ids(exchange.names.usage) == ["evt_2", "evt_3"]
    assert set(await exchange.ids(exchange.names.analytics)) == {"evt_1", "evt_2", "evt_3"}
    assert [each for each in notes.warnings if exchange.names.usage in each] == [
        f"The queue '{exchange.names.usage}' was deleted, and is made again. "
        "Events that were in it can be sent again: sluice events replay --from TIME --type ai_usage"
    ]


async def test_a_queue_that_is_deleted_and_made_again_under_way_misses_no_event(
    exchange: RabbitExchange, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opened(), opened()
    await asyncio.gather(one.publish([event(1)]), other.publish([event(2)]))
    restore = one._topology.restore

    async def late(link: AmqpLink) -> bool:
        """Between the confirms and the look of one publisher, the other one makes the queue again."""
        monkeypatch.setattr(one._topology, "restore", restore)
        await other.publish([event(4)])
        return await restore(link)

    monkeypatch.setattr(one._topology, "restore", late)
    await exchange.call("queue_delete", exchange.names.usage)
    await one.publish([event(3)])
    assert sorted(await exchange.ids(exchange.names.usage)) == ["evt_3", "evt_4"]


async def test_the_deleted_exchange_is_made_again(exchange: RabbitExchange, opened: Opened) -> None:
    publisher = opened()
    await publisher.publish([event(1)])
    await exchange.call("exchange_delete", exchange.names.exchange)
    assert "no exchange" in await refusal(publisher, event(2))
    await publisher.publish([event(2)])
    assert await exchange.ids(exchange.names.usage) == ["evt_1", "evt_2"]


async def test_two_publishers_that_make_the_same_queues_agree(exchange: RabbitExchange, opened: Opened) -> None:
    publishers = [opened(ledger=True) for _ in range(4)]
    await asyncio.gather(*(each.publish([event(number)]) for number, each in enumerate(publishers)))
    assert len(await exchange.ids(exchange.names.usage)) == 4


async def test_the_next_address_is_taken_after_a_failure(exchange: RabbitExchange, opened: Opened) -> None:
    publisher = opened(addresses=("amqp://127.0.0.1:1/", exchange.url))
    assert "127.0.0.1:1: Connection refused" in await refusal(publisher)
    await publisher.publish([event(1)])


async def test_dead_letters_are_counted_without_a_publish(exchange: RabbitExchange, opened: Opened) -> None:
    await opened().publish([event(1)])
    await exchange.call("basic_publish", b"x", exchange=exchange.names.dead, routing_key="")
    assert await opened().dead() == 1
    assert await opened(addresses=("amqp://127.0.0.1:1/",)).dead() == -1


async def test_dead_letters_are_counted_again_between_publishes(
    exchange: RabbitExchange, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = opened()
    await publisher.publish([event(1)])
    assert await publisher.dead() == 0
    await exchange.call("basic_publish", b"x", exchange=exchange.names.dead, routing_key="")
    await publisher.publish([event(2)])
    assert await publisher.dead() == 0  # so soon it is not counted
    monkeypatch.setattr(amqp_publisher, "DEAD_PAUSE_SECS", 0.0)
    await publisher.publish([event(3)])
    assert await publisher.dead() == 1


async def test_a_queue_that_is_locked_by_another_connection_is_a_reason(
    exchange: RabbitExchange, opened: Opened
) -> None:
    await exchange.call("queue_declare", exchange.names.usage, exclusive=True)
    publisher = opened()
    assert "RESOURCE_LOCKED" in await refusal(publisher)
    await exchange.call("queue_delete", exchange.names.usage)
    await publisher.publish([event(1)])
    await exchange.call("queue_delete", exchange.names.dead)
    await exchange.call("queue_declare", exchange.names.dead, exclusive=True)
    assert await opened().dead() == -1


async def test_a_rejected_event_is_in_the_dead_letters(exchange: RabbitExchange, opened: Opened) -> None:
    await opened().publish([event(1)])
    channel = await exchange.connection.channel()
    message = await channel.basic_get(exchange.names.usage)
    assert message.delivery_tag is not None
    await channel.basic_reject(message.delivery_tag, requeue=False)
    await channel.close()

    async def dead() -> None:
        while not await exchange.count(exchange.names.dead):  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    await within(dead(), "the queue to pass it on")
    assert await exchange.ids(exchange.names.dead) == ["evt_1"]


async def test_a_canceled_publish_leaves_a_publisher_that_works(exchange: RabbitExchange, opened: Opened) -> None:
    publisher = opened()
    await publisher.publish([event(0)])
    task = asyncio.create_task(publisher.publish([event(number) for number in range(2000)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await within(publisher.publish([event(5000)]), "a publish after a canceled one")
    assert (await exchange.ids(exchange.names.usage))[-1] == "evt_5000"


async def test_close_ends_a_publish_in_progress(exchange: RabbitExchange, opened: Opened) -> None:
    publisher = opened()
    await publisher.publish([event(0)])
    task = asyncio.create_task(publisher.publish([event(number, body=b"x" * 2000) for number in range(30_000)]))
    await until(lambda: publisher._width > 1000 or task.done() or publisher._lock.locked(), "a publish in progress")
    await within(publisher.close(), "the close")
    with pytest.raises(BrokerUnavailable):
        await within(task, "the publish to fail")
    assert "closed" in await refusal(publisher)


async def test_close_between_two_windows_ends_a_publish(
    exchange: RabbitExchange, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = opened()
    send = AmqpConfirms.send

    async def sent_last(confirms: AmqpConfirms, messages: Sequence[OutgoingMessage]) -> list[str]:
        found = await send(confirms, messages)
        await publisher.close()
        return found

    monkeypatch.setattr(AmqpConfirms, "send", sent_last)
    with pytest.raises(BrokerUnavailable):
        await publisher.publish([event(number) for number in range(MOST + 1)])
    assert await exchange.ids(exchange.names.usage) == [f"evt_{number}" for number in range(MOST)]


async def test_close_without_a_connection_is_nothing(opened: Opened) -> None:
    await opened().close()
