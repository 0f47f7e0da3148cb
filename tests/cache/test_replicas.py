"""Two gateways and one Redis: they share answers, and of equal requests one is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.cache.flows import CALL, STREAM, Clock, ask, cached, state, text
from tests.cache.test_batches import embed, embeddings
from tests.support import Answer, Upstream, Wait, chat_events, completion, error_json, json_answer, sse_answer, until
from tests.support.gateway import ADMIN, Gateway
from tests.support.services import OwnRedis, redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")

EVENTS = chat_events("Hello", " world")


@asynccontextmanager
async def replicas(up: Upstream, count: int = 2, **settings: Any) -> AsyncIterator[list[Gateway]]:
    url = redis_url()
    async with redis_prefix(url) as prefix, AsyncExitStack() as stack:
        shared = {"url": url, "prefix": prefix, "timeoutSecs": 30}
        source = cached(up, {"store": "redis"} | settings, redis=shared)
        yield [await stack.enter_async_context(Gateway(source)) for _ in range(count)]


async def test_replicas_share_answers() -> None:
    async with Upstream() as up, replicas(up) as (one, other):
        up.queue(json_answer(completion("Hello")), sse_answer(*EVENTS))
        here, there = await one.client(), await other.client()
        assert state(await ask(here)) == "miss"
        answer = await ask(there)
        assert (state(answer), answer.json["choices"][0]["message"]["content"]) == ("hit", "Hello")
        assert state(await ask(there, STREAM)) == "miss"
        answer = await ask(here, STREAM)
        assert (state(answer), answer.body) == ("hit", b"".join(EVENTS))
        assert len(up.requests) == 2


async def test_of_a_hundred_equal_requests_at_two_replicas_one_is_sent() -> None:
    async with Upstream() as up, replicas(up) as gateways:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(completion("Hello"))])
        clients = [await gateways[number % 2].client() for number in range(100)]
        asking = [asyncio.ensure_future(ask(client)) for client in clients]
        for gw in gateways:
            await until(lambda gw=gw: gw.app.serving.running == 50, "all requests to run")  # type: ignore[misc]
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(str(state(answer)) for answer in answers) == ["hit"] * 99 + ["miss"]
        assert len(up.requests) == 1


async def test_of_a_hundred_equal_calls_for_embeddings_at_two_replicas_one_is_sent() -> None:
    async with Upstream() as up, replicas(up) as gateways:
        gate = asyncio.Event()
        up.on(lambda request: [Wait(gate), *embed(request)])
        clients = [await gateways[number % 2].client() for number in range(100)]
        asking = [asyncio.ensure_future(embeddings(client, ["a", "bb"])) for client in clients]
        for gw in gateways:
            await until(lambda gw=gw: gw.app.serving.running == 50, "all requests to run")  # type: ignore[misc]
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(str(state(answer)) for answer in answers) == ["hit"] * 99 + ["miss"]
        assert len(up.requests) == 1


async def test_a_replica_that_waits_is_given_no_stale_answer() -> None:
    async with Upstream() as up, replicas(up, ttlSecs=60, staleSecs=600) as (one, other):
        gate = asyncio.Event()
        clocks = Clock(one), Clock(other)
        looks: list[bytes] = []
        store = other.app.cache.store
        led = store.led

        async def counted(key: bytes) -> bool:
            looks.append(key)
            return await led(key)

        store.led = counted  # type: ignore[method-assign]
        up.queue(json_answer(completion("Old")), [Wait(gate), *json_answer(completion("New"))])
        here, there = await one.client(), await other.client()
        await ask(here)
        for clock in clocks:
            clock.seconds += 61
        first = asyncio.ensure_future(ask(here))
        await until(lambda: len(up.requests) == 2, "the second request to be sent")
        second = asyncio.ensure_future(ask(there))
        await until(lambda: len(looks) > 1, "the other replica to wait")
        gate.set()
        assert [text(await each) for each in (first, second)] == ["New", "New"]
        assert state(await second) == "hit"


async def test_a_replica_that_waits_asks_once_the_other_one_has_failed() -> None:
    async with Upstream() as up, replicas(up) as (one, other):
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(error_json("wrong"), 400)])
        here, there = await one.client(), await other.client()
        first = asyncio.ensure_future(ask(here))
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        second = asyncio.ensure_future(ask(there))
        await until(lambda: other.app.serving.running == 1, "the second request to run")
        up.on(lambda request: json_answer(completion("Hello")))
        gate.set()
        assert ((await first).status, state(await first)) == (400, "miss")
        assert ((await second).status, state(await second)) == (200, "miss")
        assert len(up.requests) == 2


@pytest.mark.parametrize(
    ("answer", "calls"),
    [(json_answer(completion("Hello")), 2), (json_answer(error_json("wrong"), 400), 2), (sse_answer(*EVENTS), 2)],
)
async def test_a_miss_takes_two_calls_of_redis_and_leaves_no_lead(answer: list[Any], calls: int) -> None:
    async with Upstream() as up, replicas(up) as (one, _):
        up.queue(answer)
        made = calls_of(one)
        client = await one.client()
        assert state(await ask(client, STREAM if len(answer) > 2 else CALL)) == "miss"
        await until(lambda: one.app.serving.running == 0, "the request to end")
        assert len(made) == calls
        assert await leads(one) == []


async def test_a_stale_answer_that_is_found_takes_a_lead_of_its_own() -> None:
    async with Upstream() as up, replicas(up, ttlSecs=60, staleSecs=600) as (one, _):
        clock = Clock(one)
        up.queue(json_answer(completion("Old")), json_answer(error_json("down"), 503))
        client = await one.client()
        await ask(client)
        clock.seconds += 61
        made = calls_of(one)
        assert state(await ask(client)) == "stale"
        await until(lambda: one.app.serving.running == 0, "the request to end")
        assert len(made) == 3
        assert await leads(one) == []


async def test_a_client_that_leaves_ends_the_lead_that_a_look_may_have_taken() -> None:
    async with Upstream() as up, replicas(up) as (one, _):
        store, looked, gate = one.app.cache.store, asyncio.Event(), asyncio.Event()
        look = store.find_or_lead

        async def slow(key: bytes, seconds: float) -> Any:
            found = await look(key, seconds)
            looked.set()
            await gate.wait()
            return found

        store.find_or_lead = slow  # type: ignore[method-assign]
        client = await one.client()
        asking = asyncio.ensure_future(ask(client))
        await looked.wait()
        assert len(await leads(one)) == 1
        asking.cancel()
        client.close()
        await until(lambda: one.app.serving.running == 0, "the request to end")
        assert await leads(one) == []


async def test_a_request_ends_the_lead_that_one_took_that_waits_for_it() -> None:
    """The first request waits for the other replica. Once that has failed, the second one takes the lead."""
    async with Upstream() as up, replicas(up) as (one, other):
        held, gate = other.app.cache.store, asyncio.Event()
        up.queue([Wait(gate), *json_answer(error_json("wrong"), 400)])
        up.on(lambda request: json_answer(error_json("wrong"), 400))
        store, led, look = one.app.cache.store, one.app.cache.store.led, one.app.cache.store.find_or_lead
        waiting, goes_on, led_here = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def looked(key: bytes, seconds: float) -> Any:
            found, leads = await look(key, seconds)
            if leads:
                led_here.set()
            return found, leads

        async def slow(key: bytes) -> bool:
            waiting.set()
            await goes_on.wait()
            return await led(key)

        store.led, store.find_or_lead = slow, looked  # type: ignore[method-assign]
        first = asyncio.ensure_future(ask(await other.client()))
        await until(lambda: len(up.requests) == 1, "the other replica to send")
        second = asyncio.ensure_future(ask(await one.client()))
        await waiting.wait()
        gate.set()
        await first
        await until(lambda: other.app.serving.running == 0, "the other replica to end")
        assert await leads(one) == []
        third = asyncio.ensure_future(ask(await one.client()))
        await led_here.wait()
        assert await held.led(next(iter(one.app.cache._flights)))
        goes_on.set()
        assert [(await each).status for each in (second, third)] == [400, 400]
        await until(lambda: one.app.serving.running == 0, "all requests to end")
        assert await leads(one) == []


def calls_of(gateway: Gateway) -> list[Any]:
    """Gets an element for each call that the store of the gateway makes from now on."""
    store, made = gateway.app.cache.store, []
    call = store._try

    async def counted(*given: Any) -> Any:
        made.append(given)
        return await call(*given)

    store._try = counted
    return made


async def leads(gateway: Gateway) -> list[bytes]:
    """Of all replicas."""
    pattern = gateway.app.cache.store._leads + b"*"
    async with redis.Redis.from_url(redis_url()) as client:
        return [name async for name in client.scan_iter(pattern)]


async def test_answers_are_invalidated_for_all_replicas() -> None:
    async with Upstream() as up, replicas(up) as (one, other):
        up.on(lambda request: json_answer(completion("Hello")))
        here, there = await one.client(), await other.client()
        await ask(here)
        bearer = [("Authorization", f"Bearer {ADMIN}")]
        answer = await there.fetch("POST", "/admin/cache/invalidate", json={"models": ["m"]}, headers=bearer)
        assert answer.json == {"invalidated": 1}
        assert state(await ask(here)) == "miss"


async def test_without_redis_requests_go_to_the_provider() -> None:
    async with OwnRedis() as server, Upstream() as up:
        source = cached(up, {"store": "redis"}, redis={"url": server.url, "timeoutSecs": 30})
        async with Gateway(source) as gw:
            up.on(lambda request: json_answer(completion("Hello")))
            client = await gw.client()
            assert [state(await ask(client)) for _ in range(2)] == ["miss", "hit"]
            await server.kill()
            answers = [await ask(client) for _ in range(2)]
            assert [(answer.status, state(answer)) for answer in answers] == [(200, "miss")] * 2


async def test_redis_may_be_killed_and_come_back_under_load() -> None:
    """Every request gets an answer, wherever it waits: at a look, for a lead or for another one's answer."""
    async with OwnRedis() as server, Upstream() as up, AsyncExitStack() as stack:
        source = cached(up, {"store": "redis"}, redis={"url": server.url, "timeoutSecs": 1})
        gateways = [await stack.enter_async_context(Gateway(source)) for _ in range(2)]
        up.on(lambda request: embed(request) if b"input" in request.body else json_answer(completion("Hello")))
        answers: list[Answer] = []
        stopped = asyncio.Event()

        async def work(number: int) -> None:
            client = await gateways[number % 2].client()
            turn = 0
            while not stopped.is_set():
                turn += 1
                if number % 4 < 2:
                    answers.append(await ask(client, CALL | {"seed": turn % 50}))
                else:
                    answers.append(await embeddings(client, [str(turn % 50), str(turn % 7)]))

        async def hits(count: int) -> None:
            goal = sum(state(answer) == "hit" for answer in answers) + count
            await until(lambda: sum(state(answer) == "hit" for answer in answers) >= goal, "hits")

        def ups() -> list[bool]:
            return [gw.app.cache.store.glance().up for gw in gateways]

        working = [asyncio.ensure_future(work(number)) for number in range(8)]
        await hits(50)
        await server.kill()
        sent = len(answers)
        await until(lambda: ups() == [False, False] and len(answers) >= sent + 200, "answers without Redis")
        await server.start()
        await until(lambda: ups() == [True, True], "Redis to be used again")
        await hits(50)
        stopped.set()
        await asyncio.gather(*working)
        assert {(answer.status, state(answer)) for answer in answers} == {(200, "hit"), (200, "miss")}
        caches = [gw.app.cache for gw in gateways]  # they may still store what was sent
        await until(lambda: all(cache._flights == {} == cache._batches._flights for cache in caches), "flights to end")
