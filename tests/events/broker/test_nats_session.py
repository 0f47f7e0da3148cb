from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from msgspec import Raw

from proxy.events.broker import nats_session
from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.nats import open_publisher
from proxy.events.broker.nats_connection import NO_PEERS, JetStreamRefused, NatsConnection, connect
from proxy.events.broker.nats_stream import stream_names
from proxy.events.settings import BrokerSettings
from tests.events.broker.nats_tools import (
    Said,
    ask,
    event,
    fetched,
    ids_of,
    make_stream,
    published,
    settings,
    stored,
)
from tests.support.nats import OwnNats
from tests.support.patience import until, within
from tests.support.ports import free_ports


async def test_without_declare_nothing_is_made() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url, declare=False)
        publisher = open_publisher(chosen, Said(), Said())
        with pytest.raises(BrokerUnavailable, match=rf"no stream takes the subject {chosen.exchange}\.ai_usage"):
            await publisher.publish([event("a")])
        assert await publisher.dead() == -1
        await publisher.close()


async def test_a_stream_that_exists_is_used_as_it_is() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        await make_stream(nats.url, "other", [f"{chosen.exchange}.*"], max_age=3600 * 10**9)
        publisher = open_publisher(chosen, Said(), Said())
        await publisher.publish([event("a")])
        await publisher.close()
        assert await fetched(nats.url, "other", "billing_usage") == ["a"]
        assert ids_of([each.data for each in await stored(nats.url, "other")]) == ["a"]  # its retention is by time


async def test_a_stream_that_was_deleted_is_made_again() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        publisher = open_publisher(chosen, Said(), Said())
        await publisher.publish([event("a")])
        await ask(nats.url, f"STREAM.DELETE.{stream_names(chosen.exchange).stream}")
        with pytest.raises(BrokerUnavailable, match="no stream takes the subject"):
            await publisher.publish([event("b")])
        await publisher.publish([event("b")])
        await publisher.close()
        assert await fetched(nats.url, stream_names(chosen.exchange).stream, "billing_usage") == ["b"]


async def test_a_consumer_that_was_deleted_is_made_again_and_gets_what_was_just_sent() -> None:
    async with OwnNats() as nats:
        chosen, said = settings(nats.url), Said()
        names = stream_names(chosen.exchange)
        publisher = open_publisher(chosen, said, said)
        await publisher.publish([event("a")])
        assert await fetched(nats.url, names.stream, "analytics_events") == ["a"]
        for name in ("billing_usage", "analytics_events"):
            await ask(nats.url, f"CONSUMER.DELETE.{names.stream}.{name}")
        await publisher.publish([event("b"), event("c")])
        await publisher.close()
        assert await fetched(nats.url, names.stream, "billing_usage") == ["b", "c"]
    text, fields = said.lines[-1]
    assert text.startswith("A durable consumer was missing")
    assert fields["consumers"] == "analytics_events, billing_usage"
    assert "sluice events replay" in fields["remedy"]


async def test_closing_ends_a_wait_for_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting, connects, made = asyncio.Event(), asyncio.Event(), list[NatsConnection]()

    async def held(chosen: BrokerSettings, address: str) -> NatsConnection:
        connecting.set()
        await connects.wait()
        made.append(await connect(chosen, address))
        return made[-1]

    monkeypatch.setattr(nats_session, "connect", held)
    async with OwnNats() as nats:
        publisher = open_publisher(settings(nats.url), Said(), Said())
        task = asyncio.ensure_future(publisher.publish([event("a")]))
        await within(connecting.wait(), "the connection")
        await publisher.close()
        connects.set()
        with pytest.raises(BrokerUnavailable, match="is closed"):
            await within(task, "the publication to end")
        assert [each.closed for each in made] == [True]
        assert await publisher.dead() == -1  # opens no other one
        assert len(made) == 1


async def test_one_server_that_should_be_three_keeps_one_copy_and_says_so() -> None:
    async with OwnNats() as nats:
        chosen, said = settings(nats.url, quorum=True), Said()
        publisher = open_publisher(chosen, said, Said())
        await publisher.publish([event("a")])
        await publisher.close()
    assert said.texts == ["The NATS servers do not keep three copies of a stream. It has one copy."]


async def test_a_server_that_is_killed_and_restarted_under_load_loses_nothing() -> None:
    async with OwnNats() as nats:
        chosen = settings(nats.url)
        publisher = open_publisher(chosen, Said(), Said())
        waiting = [f"{number}" for number in range(2000)]
        confirmed: list[str] = []

        async def load() -> None:
            while waiting:
                try:
                    await publisher.publish([event(each) for each in waiting[:20]])
                except BrokerUnavailable:
                    await asyncio.sleep(0.01)
                    continue
                confirmed.extend(waiting[:20])
                del waiting[:20]

        task = asyncio.ensure_future(load())
        for round_ in range(4):
            await until(lambda: len(confirmed) > 400 * round_ or task.done(), "some events")  # noqa: B023
            await nats.kill()
            await nats.start()
        await within(task, "all events")
        await publisher.close()
        found = await fetched(nats.url, stream_names(chosen.exchange).stream, "billing_usage")
    assert set(found) == set(confirmed)
    assert len(confirmed) == 2000


async def test_a_cluster_loses_nothing_when_one_of_its_servers_is_killed() -> None:
    async with AsyncExitStack() as stack:
        servers = cluster_of_three()
        for each in servers:
            await stack.enter_async_context(each)
        said = Said()
        chosen = settings(*(each.url for each in servers), quorum=True)
        names = stream_names(chosen.exchange)
        publisher = open_publisher(chosen, said, said)
        await within(published(publisher, event("first")), "the cluster to choose its leaders")
        assert said.texts == ["A stream of NATS was made."] * 2  # with three copies: otherwise it says so
        await servers[0].kill()
        for number in range(20):
            await within(published(publisher, event(f"{number}")), "the event to be published")
        await servers[0].start()
        await publisher.close()
        wanted = ["first", *map(str, range(20))]
        assert await within(_all_of(servers[1].url, names.stream, len(wanted)), "all events") == {*wanted}


async def test_a_cluster_whose_third_server_comes_late_still_keeps_three_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = asyncio.Event()
    ask_server = NatsConnection.request

    async def asked(self: NatsConnection, path: str, body: object = None) -> Raw:
        try:
            return await ask_server(self, path, body)
        except JetStreamRefused as reason:
            if reason.error.err_code in NO_PEERS:
                refused.set()
            raise

    monkeypatch.setattr(NatsConnection, "request", asked)
    async with AsyncExitStack() as stack:
        servers = cluster_of_three()
        for each in servers[:2]:
            await stack.enter_async_context(each)
        said = Said()
        publisher = open_publisher(settings(*(each.url for each in servers[:2]), quorum=True), said, said)
        task = asyncio.ensure_future(published(publisher, event("first")))
        await within(refused.wait(), "the cluster of two to refuse three copies")
        await stack.enter_async_context(servers[2])
        await within(task, "the event to be published")
        await publisher.close()
    assert said.texts == ["A stream of NATS was made."] * 2


async def test_a_cluster_that_stays_too_small_keeps_one_copy_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_session, "PEERS_SECS", 0.0)
    async with AsyncExitStack() as stack:
        servers = cluster_of_three()[:2]
        for each in servers:
            await stack.enter_async_context(each)
        said = Said()
        publisher = open_publisher(settings(*(each.url for each in servers), quorum=True), said, Said())
        await within(published(publisher, event("first")), "the event to be published")
        await publisher.close()
    assert said.texts == ["The NATS servers do not keep three copies of a stream. It has one copy."]


def cluster_of_three() -> list[OwnNats]:
    """Servers that look for each other once they start."""
    routes = free_ports(3)
    return [
        OwnNats(
            {
                "server_name": f"n{port}",
                "cluster": {
                    "name": "test",
                    "listen": f"127.0.0.1:{port}",
                    "routes": [f"nats://127.0.0.1:{each}" for each in routes],
                },
            }
        )
        for port in routes
    ]


async def _all_of(url: str, stream: str, count: int) -> set[str]:
    """What the consumer of billing has, once it is so many: its leader may be chosen yet."""
    found: set[str] = set()
    while len(found) < count:
        found.update(await fetched(url, stream, "billing_usage"))
    return found
