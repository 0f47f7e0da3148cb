from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.breakers.breaker import RemoteEvent
from proxy.fleet.board import Board, stored
from proxy.fleet.updates import BreakerMessage, BreakerUpdate, decode
from proxy.redis.client import RedisClient
from tests.support.patience import within
from tests.support.services import redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")


class Corner:
    """A board under a separate Redis prefix."""

    def __init__(self, url: str, prefix: str) -> None:
        self.redis = RedisClient(url, prefix, 5.0)
        self.board = Board(self.redis, "me")
        self.hash = f"{{{prefix}}}:breakers"
        self.client = redis.Redis.from_url(url, decode_responses=True)

    async def write(self, *words: BreakerUpdate, now: float = 0.0) -> None:
        await self.board.write(words, now)

    async def stands(self) -> dict[tuple[str, str], RemoteEvent]:
        """By deployment and endpoint."""
        found = [stored(age, message) for age, message in await self.board.read()]
        return {(news.key, news.endpoint): news.event for news in found if news is not None}

    async def close(self) -> None:
        await self.redis.close()
        await self.client.aclose()


@pytest.fixture
async def corner() -> AsyncIterator[Corner]:
    url = redis_url()
    async with redis_prefix(url) as prefix:
        corner = Corner(url, prefix)
        yield corner
        await corner.close()


def opened(key: str = "one", moment: float = 0.0, until: float = 60.0) -> BreakerUpdate:
    return BreakerUpdate(key, "open", moment, until, "status_500")


def marked(endpoint: str, key: str = "one") -> BreakerUpdate:
    return BreakerUpdate(key, "unavailable", 0.0, 3600.0, "", endpoint)


HELD, CLOSED, RELOADED = BreakerUpdate("one", "held", 0.0, None, "operator"), BreakerUpdate("one", "closed", 0.0), BreakerUpdate("one", "reloaded", 0.0)  # fmt: skip


async def test_a_stored_update_is_read_with_its_current_age(corner: Corner) -> None:
    await corner.write(opened(), now=20.0)
    [(age, message)] = await corner.board.read()
    assert age >= 20.0  # however long it took
    assert decode(message) == BreakerMessage("me", "one", "open", 20.0, "status_500")
    assert stored(age, message) == BreakerMessage("me", "one", "open", age, "status_500")


async def test_an_expired_update_is_neither_stored_nor_published(corner: Corner) -> None:
    async with corner.board.subscription() as subscription:
        await corner.write(opened(), opened("two", until=90.0), now=60.0)
        assert (await corner.stands()) == {("two", ""): "open"}
        news = decode(await within(subscription.next(), "news"))
        assert news is not None
        assert news.key == "two"


async def test_an_expired_field_is_deleted_and_not_read(corner: Corner) -> None:
    await corner.write(HELD, opened("two"), now=59.999)

    async def one_is_gone() -> None:
        while len(await corner.board.read()) == 2:
            pass

    await within(one_is_gone(), "an opening to be over")
    assert await corner.client.hkeys(corner.hash) == ["\none"]


async def test_the_hash_expires_with_its_last_field(corner: Corner) -> None:
    await corner.write(opened())
    assert 0 < await corner.client.pttl(corner.hash) <= 60_000
    await corner.write(marked("a"))
    assert 60_000 < await corner.client.pttl(corner.hash) <= 3_600_000
    await corner.write(opened("two"))
    assert await corner.client.pttl(corner.hash) > 60_000
    await corner.write(HELD)
    assert await corner.client.pttl(corner.hash) == -1
    await corner.write(opened("two"))
    assert await corner.client.pttl(corner.hash) == -1


async def test_a_reset_deletes_only_its_deployment(corner: Corner) -> None:
    await corner.write(opened(), marked("a"), marked("b"), opened("two"), opened("not one"), marked("a", "two"))
    await corner.write(CLOSED)
    assert await corner.stands() == {("two", ""): "open", ("not one", ""): "open", ("two", "a"): "unavailable"}


async def test_a_reload_deletes_only_missing_models_of_its_deployment(corner: Corner) -> None:
    await corner.write(opened(), marked("a"), marked("b"), marked("a", "two"), RELOADED)
    assert await corner.stands() == {("one", ""): "open", ("two", "a"): "unavailable"}


async def test_a_later_opening_does_not_replace_a_hold(corner: Corner) -> None:
    await corner.write(opened(), HELD, opened())
    assert await corner.stands() == {("one", ""): "held"}
    await corner.write(CLOSED, opened())
    assert await corner.stands() == {("one", ""): "open"}


async def test_everything_but_a_reload_is_published_in_order(corner: Corner) -> None:
    async with corner.board.subscription() as subscription:
        await corner.write(opened(), RELOADED, marked("a"), HELD, CLOSED, now=7.0)
        received = [decode(await within(subscription.next(), "news")) for _ in range(4)]
    assert received == [
        BreakerMessage("me", "one", "open", 7.0, "status_500"),
        BreakerMessage("me", "one", "unavailable", 7.0, "", "a"),
        BreakerMessage("me", "one", "held", 7.0, "operator"),
        BreakerMessage("me", "one", "closed", 7.0),
    ]


async def test_unknown_fields_are_ignored(corner: Corner) -> None:
    await corner.client.hset(corner.hash, mapping={"no line": "1:0:x", "a\nb": "junk", "c\nd": "1:0:junk"})
    await corner.write(opened(), CLOSED, opened())
    read = await corner.board.read()
    assert sorted(message for _, message in read)[:2] == [b"junk", b"x"]
    assert await corner.stands() == {("one", ""): "open"}


async def test_names_and_reasons_of_any_characters_are_kept(corner: Corner) -> None:
    update = BreakerUpdate('ü"\n\\one', "open", 0.0, 60.0, "a\nb:\0")
    await corner.write(update)
    [(age, message)] = await corner.board.read()
    news = stored(age, message)
    assert news is not None
    assert (news.key, news.why) == (update.key, update.reason)
    await corner.write(BreakerUpdate(update.key, "closed", 0.0))
    assert await corner.board.read() == []


async def test_a_board_of_another_prefix_or_database_is_another_board(corner: Corner) -> None:
    url = redis_url()
    async with redis_prefix(url) as prefix:
        clients = RedisClient(url, prefix, 5.0), RedisClient(f"{url.rpartition('/')[0]}/1", prefix, 5.0)
        other, elsewhere = (Board(client, "me") for client in clients)
        try:
            async with other.subscription() as here, elsewhere.subscription() as there:
                await corner.write(opened())
                await elsewhere.write([opened("two")], 0.0)
                await other.write([opened("three")], 0.0)
                received = [decode(await within(each.next(), "news")) for each in (here, there)]
            assert [news.key for news in received if news is not None] == ["three", "two"]
            await elsewhere.write([BreakerUpdate("two", "closed", 0.0)], 0.0)
        finally:
            for client in clients:
                await client.close()


async def test_a_silent_connection_is_tested_with_a_ping(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.fleet.board.HEARTBEAT_SECS", 0.001)
    async with corner.board.subscription() as subscription:
        waiting = asyncio.ensure_future(subscription.next())
        pings = (await corner.client.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"]

        async def more_pings() -> None:
            while (await corner.client.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"] < pings + 3:
                pass

        await within(more_pings(), "pings")
        await corner.write(opened())
        assert decode(await within(waiting, "news"))
