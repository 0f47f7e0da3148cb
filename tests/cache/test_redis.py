"""Answers in Redis: the contract, leads, and outages."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from proxy.cache.base import tag_group
from proxy.cache.packing import pack, unpack
from proxy.cache.redis import LARGE, MOST_EVICTED, RedisAnswers
from proxy.errors import Overloaded
from proxy.observe.log import Log
from proxy.redis.client import RedisClient
from tests.cache.answers import KEY, OTHER, answer_of
from tests.cache.contract import Advance, AnswerContract, find, put
from tests.support.services import OwnRedis, redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")

MEGABYTE = 1024 * 1024


class Walls:
    """The time of the gateway: a whole second, until ``advance``. That of Redis goes on as it does."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    async with redis_prefix(redis_url()) as own:
        yield own


@pytest.fixture
def wall() -> Walls:
    return Walls()


@pytest.fixture
async def client(prefix: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(redis_url(), prefix, 30.0)
    yield client
    await client.close()


@pytest.fixture
def store(client: RedisClient, wall: Walls) -> RedisAnswers:
    return RedisAnswers(client, 16 * MEGABYTE, Log(io.BytesIO(), "info", readable=False), wall=wall)


@pytest.fixture
def advance(wall: Walls) -> Advance:
    def pass_(seconds: float) -> None:
        wall.now += seconds

    return pass_


class TestContract(AnswerContract):
    @pytest.fixture(autouse=True)
    def present(self, wall: Walls) -> None:
        self.noon = wall.now


def another(client: RedisClient) -> RedisAnswers:
    return RedisAnswers(client, 16 * MEGABYTE, Log(io.BytesIO(), "info", readable=False))


async def test_replicas_share_answers(store: RedisAnswers, client: RedisClient) -> None:
    answer = answer_of(at=time.time())
    await put(store, answer)
    assert await find(another(client)) == answer


async def test_answers_are_compressed(store: RedisAnswers) -> None:
    await put(store, answer_of(b"word " * 20_000, at=time.time()))
    assert (await store.survey()).size < 10_000


async def test_every_key_has_the_prefix_and_nothing_stays_without_an_answer(
    store: RedisAnswers, client: RedisClient, prefix: str
) -> None:
    await put(store, answer_of(at=time.time(), tags=("red",)))
    await store.lead(KEY, 30.0)
    names = [name async for name in client.commands.scan_iter(f"{{{prefix}}}:*")]
    assert len(names) == 7
    await store.invalidate([tag_group("red")])
    await store.release(KEY)
    left = {name.rpartition(b":")[2] async for name in client.commands.scan_iter(f"{{{prefix}}}:*")}
    assert left == {b"total", b"cuts", b"moment"}


@pytest.mark.parametrize(("size", "threads"), [(LARGE // 2, 0), (2 * LARGE, 2)])
async def test_large_answers_are_compressed_in_a_thread(
    store: RedisAnswers, monkeypatch: pytest.MonkeyPatch, size: int, threads: int
) -> None:
    used: list[threading.Thread] = []

    def noted(function: Any) -> Any:
        return lambda given: (used.append(threading.current_thread()), function(given))[1]

    monkeypatch.setattr("proxy.cache.redis.pack", noted(pack))
    monkeypatch.setattr("proxy.cache.redis.unpack", noted(unpack))
    answer = answer_of(Random(1).randbytes(size), at=time.time())
    await put(store, answer)
    assert await find(store) == answer
    assert len([each for each in used if each is not threading.main_thread()]) == threads


async def test_groups_have_no_answers_that_are_gone(store: RedisAnswers, client: RedisClient, prefix: str) -> None:
    store.resize(5000)
    for number in range(50):
        await put(store, answer_of(at=time.time(), tags=(f"t{number}", "red")), number.to_bytes(32))
    live = (await store.survey()).answers
    group = f"{{{prefix}}}:cache:group:"
    assert 0 < live < 10
    assert await client.commands.zcard(group + "tag red") == await client.commands.zcard(group + "model m") == live
    assert len([name async for name in client.commands.scan_iter(f"{group}tag t*")]) == live
    assert await store.invalidate([tag_group("red")]) == live
    assert not await client.commands.exists(group + "model m")


async def test_little_is_evicted_at_a_time(store: RedisAnswers) -> None:
    """A script holds all clients of Redis."""
    answers = [(number.to_bytes(32), answer_of(at=time.time())) for number in range(MOST_EVICTED + 100)]
    await store.put_all(answers, 0)
    store.resize(20_000)
    await put(store, answer_of(at=time.time()), KEY)
    survey = await store.survey()
    assert (survey.answers, survey.evicted) == (100, MOST_EVICTED)
    assert await find(store) is None  # no room yet
    await put(store, answer_of(at=time.time()), KEY)
    assert await find(store) is not None
    assert (await store.survey()).size <= 20_000


async def test_invalidations_that_are_too_many_to_remember_count_for_all(
    store: RedisAnswers, client: RedisClient, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.cache.redis.MOST_CUTS", 5)
    _, before = await store.find(KEY)
    await store.invalidate([tag_group(str(number)) for number in range(7)])
    assert await client.commands.hlen(f"{{{prefix}}}:cache:cuts") <= 5
    await put(store, answer_of(at=time.time()), moment=before)
    assert await find(store) is None
    await put(store, answer_of(at=time.time()))
    assert await find(store) is not None


async def test_a_wrong_sum_is_mended(store: RedisAnswers, client: RedisClient, prefix: str) -> None:
    await client.commands.set(f"{{{prefix}}}:cache:total", 10**9)  # the server has evicted the rest
    await put(store, answer_of(at=time.time()))
    assert await find(store) is not None
    assert (await store.survey()).size < 1000


async def test_one_process_leads(store: RedisAnswers, client: RedisClient) -> None:
    other = another(client)
    assert await store.lead(KEY, 30.0)
    assert not await other.lead(KEY, 30.0)
    assert await other.lead(OTHER, 30.0)
    assert await other.led(KEY)
    await other.release(KEY)  # not its own
    assert await other.led(KEY)
    await store.release(KEY)
    assert not await other.led(KEY)
    assert await other.lead(KEY, 30.0)
    assert await store.led(KEY)


async def test_a_look_that_finds_nothing_takes_the_lead(store: RedisAnswers, client: RedisClient) -> None:
    other = another(client)
    assert await store.find_or_lead(KEY, 30.0) == ((None, 0), True)
    assert await other.find_or_lead(KEY, 30.0) == ((None, 0), False)
    assert await store.find_or_lead(KEY, 30.0) == ((None, 0), True)  # another request of the same process
    assert await other.led(KEY)


@pytest.mark.parametrize("stored", [True, False])
async def test_who_stores_an_answer_does_not_lead_any_more(
    store: RedisAnswers, client: RedisClient, stored: bool
) -> None:
    other = another(client)
    await store.lead(KEY, 30.0)
    await put(other, answer_of(at=time.time()))
    assert await other.led(KEY)  # it has ended its own only
    await store.put(KEY, answer_of(at=time.time() - (0 if stored else 1e6)), 0)
    assert not await other.led(KEY)


async def test_a_lead_expires(store: RedisAnswers, client: RedisClient, prefix: str) -> None:
    await store.find_or_lead(KEY, 30.0)
    await store.lead(OTHER, 30.0)
    for key in (KEY, OTHER):
        assert 0 < await client.commands.pttl(f"{{{prefix}}}:cache:lead:".encode() + key) <= 30_000


async def test_what_another_version_has_stored_is_no_answer(
    store: RedisAnswers, client: RedisClient, prefix: str
) -> None:
    for value in (b"", b"\xff\x00", b"\x98\x02"):
        await client.commands.set(f"{{{prefix}}}:cache:a:".encode() + KEY, value)
        assert await find(store) is None
        assert await store.find_or_lead(KEY, 30.0) == ((None, 0), True)
        await store.release(KEY)


async def test_without_redis_there_are_no_answers_and_requests_go_on() -> None:
    written, now = io.BytesIO(), [0.0]
    async with OwnRedis() as server, AsyncExitStack() as stack:
        client = RedisClient(server.url, "own", 30.0)
        stack.push_async_callback(client.close)
        log = Log(written, "info", readable=False)
        store = RedisAnswers(client, MEGABYTE, log, now=lambda: now[0])
        await put(store, answer_of(at=time.time()))
        await server.kill()
        assert await find(store) is None
        assert await store.lead(KEY, 30.0)  # so that it asks a provider
        assert await store.find_or_lead(KEY, 30.0) == ((None, 0), True)
        assert (await store.survey()).up is False
        with pytest.raises(Overloaded):
            await store.invalidate(["all"])
        await server.start()
        assert await find(store) is None  # it is not asked yet
        now[0] += 2
        await put(store, answer_of(at=time.time()))
        assert await find(store) is not None
        assert (await store.survey()).up is True
        log.flush()
        events = [json.loads(line)["message"] for line in written.getvalue().splitlines()]
        assert events == [
            "Redis does not answer; requests go to providers without the cache.",
            "Answers could not be invalidated.",
            "Redis answers again; answers are cached.",
        ]
