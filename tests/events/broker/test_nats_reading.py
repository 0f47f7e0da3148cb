from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.nats import open_dead_letters, open_publisher, open_subscription
from proxy.events.broker.nats_reading import headers_of, unix_time
from proxy.events.broker.nats_stream import stream_names
from proxy.events.broker.reading import BrokerDelivery, LedgerSubscription
from proxy.events.settings import BrokerSettings
from tests.events.broker.nats_tools import Said, ask, event, fetched, settings
from tests.support.nats import OwnNats
from tests.support.patience import PATIENCE, within

WAIT = 0.05  # seconds until a batch that is not full comes


async def test_only_the_ledgers_messages_are_received() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        await _publish(chosen, "a", "b", ledger=True)
        await _publish(chosen, "other")
        await _publish(chosen, "c", ledger=True)
        async with _subscribed(chosen) as subscription:
            found = await _batch(subscription, 3)
            await subscription.accept(found)
            await within(_emptied(subscription), "the server to take it")
        assert [(each.id, each.type, each.content_type) for each in found] == [
            (id_, "ai_usage", "application/cloudevents+json") for id_ in "abc"
        ]
        assert found[0].body == event("a", ledger=True).body
        # Those of the other gateway were passed over, and billing has all.
        assert await fetched(nats.url, stream_names(chosen.exchange).stream, "sluice_ledger") == []
        assert await fetched(nats.url, stream_names(chosen.exchange).stream, "billing_usage") == [
            "a",
            "b",
            "other",
            "c",
        ]


async def test_batches_are_bounded_and_one_request_brings_several() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        await _publish(chosen, *map(str, range(25)), ledger=True)
        async with _subscribed(chosen) as subscription:
            sizes, batches = [], subscription.batches(10, PATIENCE)  # full ones do not wait
            for _ in range(2):
                batch = await within(anext(batches), "a batch")
                sizes.append(len(batch))
                await subscription.accept(batch)
            assert sizes == [10, 10]
            assert len(await _batch(subscription, 5)) == 5


async def test_what_was_not_accepted_goes_to_a_subscriber_that_waits_when_its_own_closes() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        await _publish(chosen, "a", "b", "c", ledger=True)
        async with _subscribed(chosen) as other:
            async with _subscribed(chosen) as first:
                batch = await _batch(first, 3)
                await first.accept(batch[:1])
                task = asyncio.ensure_future(anext(other.batches(10, WAIT)))
                await within(_both_wait(nats.url, chosen), "both subscribers to wait")
            found = {each.id for each in await within(task, "a batch")}
            while found < {"b", "c"}:
                found.update(each.id for each in await _batch(other))
            assert found == {"b", "c"}


async def test_two_subscribers_share_the_messages() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        await _publish(chosen, *map(str, range(100)), ledger=True)
        async with _subscribed(chosen) as one, _subscribed(chosen) as other:
            found = [each.id for each in [*await _batch(one, 60, 60), *await _batch(other, 40, 40)]]
        assert sorted(found, key=int) == [*map(str, range(100))]


async def test_a_delivery_of_before_a_restart_can_still_be_accepted() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        await _publish(chosen, "a", ledger=True)
        async with _subscribed(chosen) as subscription:
            found = await _batch(subscription)
            await nats.kill()
            await nats.start()
            await within(_accepted(subscription, found), "the server to take it")
            assert (await _info(nats.url, chosen)) == (0, 0)


async def test_a_subscriber_that_waits_is_told_that_the_server_is_gone() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        async with _subscribed(chosen) as subscription:
            batches = subscription.batches(10, WAIT)
            task = asyncio.ensure_future(anext(batches))
            assert await subscription.waiting() == 0  # beside the one that waits
            await nats.kill()
            with pytest.raises(BrokerUnavailable):
                await within(task, "the subscriber to notice")
            await nats.start()
            await _publish(chosen, "a", ledger=True)
            assert [each.id for each in await _batch(subscription)] == ["a"]


async def test_what_another_subscriber_has_not_accepted_is_to_come_yet() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        await _publish(chosen, "a", "b", "c", ledger=True)
        async with _subscribed(chosen) as subscription, _subscribed(chosen) as other:
            found = await _batch(subscription, 3)
            assert await subscription.waiting() == 0
            assert await other.waiting() == 3
            await subscription.accept(found)
            await within(_emptied(other), "the server to take it")


async def test_a_request_that_ends_without_messages_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.events.broker.nats_reading.PULL_SECS", 0.05)
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        async with _subscribed(chosen) as subscription:
            task = asyncio.ensure_future(anext(subscription.batches(10, WAIT)))
            await asyncio.sleep(0.2)  # several requests
            assert not task.done()
            await _publish(chosen, "a", ledger=True)
            assert [each.id for each in await within(task, "the message")] == ["a"]


@pytest.mark.parametrize("deleted", ["CONSUMER.DELETE.{stream}.sluice_ledger", "STREAM.DELETE.{stream}"])
async def test_a_consumer_that_was_deleted_is_made_again(deleted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.events.broker.nats_reading.PULL_SECS", 0.3)
    monkeypatch.setattr("proxy.events.broker.nats_reading.LATE_SECS", 0.3)
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        async with _subscribed(chosen) as subscription:
            task = asyncio.ensure_future(anext(subscription.batches(10, WAIT)))
            assert await subscription.waiting() == 0
            await ask(nats.url, deleted.format(stream=stream_names(chosen.exchange).stream))
            with pytest.raises(BrokerUnavailable, match=r"(?i)consumer deleted|no answer within"):
                await within(task, "the subscriber to notice")
            assert await subscription.waiting() == 0
            await _publish(chosen, "a", ledger=True)
            assert [each.id for each in await _batch(subscription)] == ["a"]


async def test_without_declare_a_missing_stream_is_said() -> None:
    async with OwnNats() as nats, _subscribed(settings(nats.url, ledger=True, declare=False)) as subscription:
        with pytest.raises(BrokerUnavailable, match=r"there is no stream test-\w+_events: make it"):
            await _batch(subscription)


async def test_without_declare_a_missing_consumer_is_said() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        await _publish(chosen, "a")
        async with _subscribed(structs.replace(chosen, declare=False, ledger=True)) as subscription:
            with pytest.raises(BrokerUnavailable, match="JetStream: consumer not found"):
                await _batch(subscription)


# -- dead letters -----------------------------------------------------------------------------------


async def test_a_message_is_buried_with_its_reason_and_sent_again() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        names = stream_names(chosen.exchange)
        await _publish(chosen, "a", "b", "c", ledger=True)
        dead = open_dead_letters(chosen)
        async with _subscribed(chosen) as subscription:
            for each in await _batch(subscription, 3):
                await subscription.bury(each, f"no row: \r\n{each.id} is ä")
            found = await dead.look(2)
            assert [(each.id, each.type, each.queue) for each in found] == [
                ("a", "ai_usage", names.subject("ai_usage")),
                ("b", "ai_usage", names.subject("ai_usage")),
            ]
            assert found[0].reason == "no row:   a is ä"
            assert found[0].body == event("a", ledger=True).body
            assert found[0].at > 1_700_000_000
            assert await dead.send_again(frozenset({"b", "unknown"})) == 1
            assert [each.id for each in await dead.look(10)] == ["a", "c"]
            again = await _batch(subscription)
            assert [each.id for each in again] == ["b"]
            await subscription.bury(again[0], "still no row")
            assert [each.id for each in await dead.look(10)] == ["a", "c", "b"]
            assert await dead.send_again(None) == 3
            assert await dead.look(10) == []
            assert [each.id for each in await _batch(subscription, 3)] == ["a", "c", "b"]
        await dead.close()


async def test_dead_letters_are_counted_by_the_publisher() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, ledger=True)
        await _publish(chosen, "a", ledger=True)
        async with _subscribed(chosen) as subscription:
            for each in await _batch(subscription):
                await subscription.bury(each, "a reason")
        publisher = open_publisher(chosen, Said(), Said())
        assert await publisher.dead() == 1
        await publisher.close()


async def test_dead_letters_of_a_server_that_is_away() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        await nats.kill()
        dead = open_dead_letters(chosen)
        with pytest.raises(BrokerUnavailable):
            await dead.look(1)
        await dead.close()
        await nats.start()


# -- parsing ----------------------------------------------------------------------------------------


def test_headers_are_read_from_their_block() -> None:
    assert headers_of(b"NATS/1.0\r\nA: b\r\nSluice-Reason:x: y\r\n\r\n") == {"A": "b", "Sluice-Reason": "x: y"}


@given(st.binary())
def test_any_block_of_headers_can_be_read(block: bytes) -> None:
    headers_of(block)


def test_times_of_the_api() -> None:
    assert unix_time("2026-11-30T00:40:01.123456789Z") == pytest.approx(1796000401.123456)
    assert unix_time("") == 0.0


# -- tools ------------------------------------------------------------------------------------------


@asynccontextmanager
async def _subscribed(chosen: BrokerSettings) -> AsyncIterator[LedgerSubscription]:
    subscription = open_subscription(chosen, Said(), Said())
    try:
        yield subscription
    finally:
        await subscription.close()


async def _emptied(subscription: LedgerSubscription) -> None:
    while await subscription.waiting():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def _batch(subscription: LedgerSubscription, count: int = 1, most: int = 10) -> list[BrokerDelivery]:
    """``count`` messages, or more: a busy server sends the last ones of a batch late."""
    found: list[BrokerDelivery] = []
    while len(found) < count:
        found += await within(anext(subscription.batches(most - len(found), WAIT)), "a batch")
    return found


async def _accepted(subscription: LedgerSubscription, deliveries: list[BrokerDelivery]) -> None:
    while True:
        try:
            return await subscription.accept(deliveries)
        except BrokerUnavailable:
            await asyncio.sleep(0.01)


async def _publish(chosen: BrokerSettings, *ids: str, ledger: bool = False) -> None:
    publisher = open_publisher(chosen, Said(), Said())
    await publisher.publish([event(each, ledger=ledger) for each in ids])
    await publisher.close()


async def _both_wait(url: str, chosen: BrokerSettings) -> None:
    path = f"CONSUMER.INFO.{stream_names(chosen.exchange).stream}.sluice_ledger"
    while (await ask(url, path))["num_waiting"] < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _info(url: str, chosen: BrokerSettings) -> tuple[int, int]:
    """Of the ledger's consumer: not received yet, not accepted yet."""
    found = await ask(url, f"CONSUMER.INFO.{stream_names(chosen.exchange).stream}.sluice_ledger")
    return found["num_pending"], found["num_ack_pending"]
