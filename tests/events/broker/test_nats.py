from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.broker.nats import fitting, open_dead_letters, open_publisher, stored_message
from proxy.events.broker.nats_stream import stream_names
from proxy.events.cloudevent import BATCH_TYPE, batch
from tests.events.broker.nats_tools import (
    Said,
    ask,
    event,
    fetched,
    ids_of,
    make_stream,
    settings,
    stored,
)
from tests.support.nats import OwnNats
from tests.support.ports import free_port
from tests.support.services import nats_url


async def test_events_are_kept_for_both_consumers_until_these_accept_them() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        names, said = stream_names(chosen.exchange), Said()
        publisher = open_publisher(chosen, said, said)
        await publisher.publish([event("a"), event("b", "key_created")])
        assert await publisher.dead() == 0
        await publisher.close()
        assert await fetched(nats.url, names.stream, "billing_usage") == ["a"]
        assert ids_of([each.data for each in await stored(nats.url, names.stream)]) == ["a", "b"]
        assert await fetched(nats.url, names.stream, "analytics_events") == ["a", "b"]
        assert await stored(nats.url, names.stream) == []


async def test_a_message_has_its_id_and_type_as_headers() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        publisher = open_publisher(chosen, Said(), Said())
        await publisher.publish([event("a", ledger=True)])
        await publisher.close()
        (found,) = await stored(nats.url, stream_names(chosen.exchange).stream)
    assert found.subject == f"{chosen.exchange}.ai_usage"
    assert found.headers == {
        "Nats-Msg-Id": "a",
        "Sluice-Event": "a",
        "Sluice-Type": "ai_usage",
        "Content-Type": "application/cloudevents+json",
        "Sluice-Ledger": "1",
    }


async def test_a_repeated_event_is_stored_once() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        publisher = open_publisher(chosen, Said(), Said())
        await publisher.publish([event("a"), event("b")])
        await publisher.publish([event("a"), event("b"), event("c")])
        await publisher.close()
        assert await fetched(nats.url, stream_names(chosen.exchange).stream, "analytics_events") == ["a", "b", "c"]


async def test_a_batch_that_grew_is_not_taken_for_the_one_before() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        publisher = open_publisher(chosen, Said(), Said())
        await publisher.publish([_batch("a", "b")])
        await publisher.publish([_batch("a", "b", "c")])
        await publisher.close()
        found = await stored(nats.url, stream_names(chosen.exchange).stream)
    assert [len(json.decode(each.data)) for each in found] == [2, 3]


async def test_a_shared_server_keeps_a_stream_of_its_own() -> None:
    url = nats_url()
    chosen = settings(url)
    names = stream_names(chosen.exchange)
    publisher = open_publisher(chosen, Said(), Said())
    await publisher.publish([event(f"{number}") for number in range(500)])
    await publisher.close()
    try:
        found = await fetched(url, names.stream, "billing_usage")
        assert found == [f"{number}" for number in range(500)]
    finally:
        for stream in (names.stream, names.dead_stream):
            await ask(url, f"STREAM.DELETE.{stream}")


async def test_a_full_stream_refuses_events_and_keeps_old_ones() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        await make_stream(nats.url, "small", [f"{chosen.exchange}.>"], max_msgs=2, discard="new")
        publisher = open_publisher(chosen, Said(), Said())
        with pytest.raises(BrokerUnavailable, match="JetStream: maximum messages exceeded"):
            await publisher.publish([event("a"), event("b"), event("c")])
        assert await fetched(nats.url, "small", "billing_usage") == ["a", "b"]
        await ask(nats.url, "STREAM.PURGE.small")
        await publisher.publish([event("c")])
        await publisher.close()
        assert await fetched(nats.url, "small", "billing_usage") == ["c"]


async def test_a_server_without_disk_space_is_waited_out() -> None:
    async with OwnNats(jetstream={"max_file_store": 65536}) as nats:
        publisher = open_publisher(settings(nats.url), Said(), Said())
        messages = [event(f"{number}", size=10_000) for number in range(10)]
        with pytest.raises(BrokerUnavailable, match="JetStream: "):
            await publisher.publish(messages)
        await publisher.close()


async def test_a_batch_that_is_too_large_is_sent_in_parts() -> None:
    async with OwnNats({"max_payload": 8192}) as nats:
        chosen = settings(nats.url)
        publisher = open_publisher(chosen, Said(), Said())
        await publisher.publish([_batch(*map(str, range(40)), size=500)])
        await publisher.close()
        found = await stored(nats.url, stream_names(chosen.exchange).stream)
    assert [each["id"] for message in found for each in json.decode(message.data)] == [*map(str, range(40))]


async def test_counting_dead_letters_disturbs_no_user_who_may_only_publish() -> None:
    exchange = settings().exchange
    may = {"publish": [f"{exchange}.*"], "subscribe": ["_INBOX.>"]}
    users = [{"user": "all", "password": "p"}, {"user": "few", "password": "p", "permissions": may}]
    async with OwnNats({"authorization": {"users": users}}) as nats:
        full, few = (
            settings(nats.url.replace("//", f"//{name}:p@"), exchange=exchange, declare=name == "all")
            for name in ("all", "few")
        )
        maker, publisher = open_publisher(full, Said(), Said()), open_publisher(few, Said(), Said())
        await maker.publish([event("a")])
        await publisher.publish([event("b")])
        connection = publisher._session._connection
        assert await publisher.dead() == -1
        assert connection is not None
        assert not connection.closed
        assert publisher._session._connection is connection
        await maker.close()
        await publisher.close()


async def test_looking_at_dead_letters_makes_nothing() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        letters = open_dead_letters(chosen)
        assert (await letters.count(), await letters.look(9), await letters.send_again(None)) == (-1, [], 0)
        await letters.close()
        assert (await ask(nats.url, "STREAM.NAMES"))["total"] == 0


async def test_the_next_address_is_used_after_a_failure() -> None:
    async with OwnNats() as nats:
        publisher = open_publisher(settings(f"nats://127.0.0.1:{free_port()}", nats.url), Said(), Said())
        with pytest.raises(BrokerUnavailable):
            await publisher.publish([event("a")])
        await publisher.publish([event("a")])
        await publisher.close()


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=30), most=st.integers(1, 2000))
def test_parts_have_all_events_in_order_and_fit(sizes: list[int], most: int) -> None:
    bodies = [event(f"{number}", size=size).body for number, size in enumerate(sizes)]
    whole = BrokerMessage("0", "ai_usage", BATCH_TYPE, batch(bodies), ledger=True)
    parts = [*fitting(whole, most)]
    assert [json.encode(each) for part in parts for each in json.decode(part.body)] == bodies
    for part in parts:
        found = json.decode(part.body)
        assert len(part.body) <= most or len(found) == 1
        assert part.id == found[0]["id"]
        assert part.ledger


def test_a_single_event_is_never_split() -> None:
    assert [*fitting(event("a", size=100), 10)] == [event("a", size=100)]


def test_ids_of_equal_batches_are_equal_and_of_others_not() -> None:
    names = stream_names("sluice.events")
    ids = [stored_message(each, names).headers["Nats-Msg-Id"] for each in (_batch("a"), _batch("a"), _batch("a", "b"))]
    assert ids[0] == ids[1] != ids[2]


def _batch(*ids: str, size: int = 0) -> BrokerMessage:
    return BrokerMessage(ids[0], "ai_usage", BATCH_TYPE, batch([event(each, size=size).body for each in ids]))
