"""Names, arguments, and what is made on a broker where something is there already."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiormq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.broker_checks import exchange_name
from proxy.events.broker.amqp_link import AmqpDialer, AmqpLink
from proxy.events.broker.amqp_topology import AmqpNames, AmqpQueue, AmqpTopology, arguments_of, names_of, queues_of
from proxy.events.broker.base import BrokerUnavailable
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange

NAMES = names_of("sluice.events")
words = st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), min_size=1, max_size=4).map(".".join)


@pytest.fixture
async def exchange() -> AsyncIterator[RabbitExchange]:
    async with rabbit_exchange() as found:
        yield found


@pytest.fixture
async def link(exchange: RabbitExchange) -> AsyncIterator[AmqpLink]:
    found = await AmqpDialer(exchange.settings(), "test").connect()
    yield found
    await found.close()


def test_the_default_names() -> None:
    assert AmqpNames("sluice.events", "billing.usage", "analytics.events", "sluice.ledger", "sluice.dead") == NAMES


@pytest.mark.parametrize("exchange", ["x.events", "x"])
def test_names_of_another_exchange_have_its_prefix(exchange: str) -> None:
    assert names_of(exchange) == AmqpNames(exchange, "x.billing.usage", "x.analytics.events", "x.ledger", "x.dead")


@given(words, words)
def test_two_exchanges_share_no_queue(one: str, other: str) -> None:
    if one.removesuffix(".events") != other.removesuffix(".events"):
        mine, theirs = names_of(exchange_name(one)), names_of(exchange_name(other))
        assert not {mine.usage, mine.analytics, mine.ledger} & {theirs.usage, theirs.analytics, theirs.ledger}


def test_the_dead_letters_are_made_first() -> None:
    assert [each.name for each in queues_of(NAMES, ledger=True)] == [
        "sluice.dead", "billing.usage", "analytics.events", "sluice.ledger",
    ]  # fmt: skip
    assert len(queues_of(NAMES, ledger=False)) == 3


def test_a_limit_of_a_policy_refuses_events_instead_of_dropping_them() -> None:
    for queue in queues_of(NAMES, ledger=True):
        assert arguments_of(queue, NAMES, quorum=False)["x-overflow"] == "reject-publish"


def test_each_queue_but_the_dead_letters_has_dead_letters() -> None:
    usage, dead = AmqpQueue("billing.usage", "ai_usage"), AmqpQueue("sluice.dead", "")
    assert arguments_of(usage, NAMES, quorum=False)["x-dead-letter-exchange"] == "sluice.dead"
    assert "x-dead-letter-exchange" not in arguments_of(dead, NAMES, quorum=False)


def test_quorum_queues_lose_no_dead_letter_and_no_row_of_the_ledger() -> None:
    found = {each.name: arguments_of(each, NAMES, quorum=True) for each in queues_of(NAMES, ledger=True)}
    assert all(each["x-queue-type"] == "quorum" for each in found.values())
    assert found["billing.usage"]["x-dead-letter-strategy"] == "at-least-once"
    assert [name for name, each in found.items() if "x-delivery-limit" in each] == ["sluice.dead", "sluice.ledger"]


@pytest.mark.parametrize("quorum", [False, True])
async def test_all_is_made_and_once_more_changes_nothing(
    exchange: RabbitExchange, link: AmqpLink, quorum: bool
) -> None:
    notes = Notes()
    topology = AmqpTopology(exchange.settings(quorum=quorum), ledger=True, warn=notes.warn)
    await topology.open(link)
    await topology.open(link)
    assert not await topology.restore(link)
    assert [await exchange.count(each.name) for each in topology.queues] == [0, 0, 0, 0]
    assert notes.warnings == []


async def test_a_queue_with_other_arguments_is_used_as_it_is(exchange: RabbitExchange, link: AmqpLink) -> None:
    notes = Notes()
    await exchange.call("queue_declare", exchange.names.usage, durable=True)
    topology = AmqpTopology(exchange.settings(), ledger=False, warn=notes.warn)
    await topology.open(link)
    await topology.open(link)
    (warning,) = notes.warnings
    assert f"The queue '{exchange.names.usage}' exists with other settings" in warning
    assert "inequivalent arg" in str(notes.fields[0]["why"])
    await exchange.call("basic_publish", b"x", exchange=exchange.names.exchange, routing_key="ai_usage")
    assert await exchange.count(exchange.names.usage) == 1


async def test_an_exchange_of_another_type_is_no_place_for_events(exchange: RabbitExchange, link: AmqpLink) -> None:
    await exchange.call("exchange_declare", exchange.names.exchange, exchange_type="direct", durable=True)
    topology = AmqpTopology(exchange.settings(), ledger=False, warn=Notes().warn)
    with pytest.raises(BrokerUnavailable, match="is not of the type topic: delete it"):
        await topology.open(link)


async def test_an_exchange_with_other_settings_is_used(exchange: RabbitExchange, link: AmqpLink) -> None:
    notes = Notes()
    await exchange.call("exchange_declare", exchange.names.exchange, exchange_type="topic", durable=False)
    await AmqpTopology(exchange.settings(), ledger=False, warn=notes.warn).open(link)
    assert len(notes.warnings) == 1


async def test_nothing_is_made_without_declare(exchange: RabbitExchange, link: AmqpLink) -> None:
    topology = AmqpTopology(exchange.settings(declare=False), ledger=True, warn=Notes().warn)
    await topology.open(link)
    assert await exchange.count(exchange.names.dead) == -1
    with pytest.raises(BrokerUnavailable, match="bind one to the key 'ledger_row'"):
        await topology.restore(link)


@pytest.mark.parametrize("watch", [False, True])
async def test_each_deleted_queue_is_made_again(exchange: RabbitExchange, link: AmqpLink, watch: bool) -> None:
    notes = Notes()
    topology = AmqpTopology(exchange.settings(), ledger=True, warn=notes.warn, watch=watch)
    await topology.open(link)
    for queue in topology.queues:
        await exchange.call("queue_delete", queue.name)
    assert await topology.restore(link)
    assert not await topology.restore(link)
    assert [
        f"The queue '{each.name}' was deleted" in text
        for each, text in zip(topology.queues, notes.warnings, strict=True)
    ] == [True] * 4


async def test_a_queue_that_others_have_made_again_is_bound_again(exchange: RabbitExchange, link: AmqpLink) -> None:
    notes, usage = Notes(), exchange.names.usage
    topology = AmqpTopology(exchange.settings(), ledger=False, warn=notes.warn, watch=True)
    await topology.open(link)
    assert not await topology.restore(link)
    await exchange.call("queue_delete", usage)
    await exchange.call("queue_declare", usage, durable=True, arguments={"x-overflow": "reject-publish"})
    assert await topology.restore(link)
    assert not await topology.restore(link)
    assert f"The queue '{usage}' was deleted" in notes.warnings[-1]
    await exchange.call("basic_publish", b"x", exchange=exchange.names.exchange, routing_key="ai_usage")
    assert await exchange.count(usage) == 1


async def test_two_that_watch_the_same_queue_both_find_that_it_was_deleted(
    exchange: RabbitExchange, link: AmqpLink
) -> None:
    one, other = (AmqpTopology(exchange.settings(), ledger=False, warn=Notes().warn, watch=True) for _ in range(2))
    await one.open(link)
    await other.open(link)
    await exchange.call("queue_delete", exchange.names.analytics)
    assert await one.restore(link)
    assert await other.restore(link)


async def test_what_watches_the_queues_is_removed_at_the_end(exchange: RabbitExchange, link: AmqpLink) -> None:
    topology = AmqpTopology(exchange.settings(), ledger=True, warn=Notes().warn, watch=True)
    await topology.open(link)
    watching = list(topology._watched.values())
    assert len(watching) == 4
    await topology.end(link)
    for name in watching:
        with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity):
            await exchange.call("exchange_declare", name, passive=True)
    assert await exchange.count(exchange.names.usage) == 0
