"""Equal requests at the same time, through the whole gateway."""

from __future__ import annotations

import asyncio

from proxy.cache.base import ALL
from tests.cache.flows import CALL, STREAM, ask, cached, state, text
from tests.support import (
    Chunk,
    Headers,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway

EVENTS = chat_events("Hello", " world")


async def test_of_a_hundred_equal_requests_one_is_sent() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(completion("Hello"))])
        clients = [await gw.client() for _ in range(100)]
        asking = [asyncio.ensure_future(ask(client)) for client in clients]
        await until(lambda: gw.app.serving.running == 100, "all requests to run")
        gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(str(state(answer)) for answer in answers) == ["hit"] * 99 + ["miss"]
        assert {answer.json["choices"][0]["message"]["content"] for answer in answers} == {"Hello"}
        assert len({answer.header("x-request-id") for answer in answers}) == 100
        assert len(up.requests) == 1
        assert (gw.app.cache.counters.hit, gw.app.cache.counters.waited) == (99, 99)


async def test_requests_that_wait_are_sent_if_the_first_one_fails() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(error_json("wrong"), 400)])
        clients = [await gw.client() for _ in range(3)]
        asking = [asyncio.ensure_future(ask(client)) for client in clients]
        await until(lambda: gw.app.serving.running == 3, "all requests to run")
        up.on(lambda request: json_answer(completion("Hello")))
        gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(answer.status for answer in answers) == [200, 200, 400]
        assert {state(answer) for answer in answers} == {"miss"}
        assert len(up.requests) == 3
        assert not gw.app.cache._flights


async def test_requests_that_wait_are_sent_if_the_first_client_leaves() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate)])
        first, second = await gw.client(), await gw.client()
        await first.request("POST", "/v1/chat/completions", json=CALL)
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        asking = asyncio.ensure_future(ask(second))
        await until(lambda: gw.app.serving.running == 2, "both requests to run")
        up.on(lambda request: json_answer(completion("Hello")))
        first.close()
        answer = await asking
        assert (answer.status, state(answer)) == (200, "miss")
        gate.set()


async def test_if_the_first_client_leaves_one_of_those_that_wait_takes_its_place() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate)], [Wait(gate), *json_answer(completion("Hello"))])
        first = await gw.client()
        await first.request("POST", "/v1/chat/completions", json=CALL)
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        clients = [await gw.client() for _ in range(20)]
        asking = [asyncio.ensure_future(ask(client)) for client in clients]
        await until(lambda: gw.app.serving.running == 21, "all requests to run")
        first.close()
        await until(lambda: len(up.requests) == 2, "the second request to be sent")
        gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(str(state(answer)) for answer in answers) == ["hit"] * 19 + ["miss"]
        assert len(up.requests) == 2
        assert not gw.app.cache._flights


async def test_if_the_first_client_leaves_after_the_last_event_one_of_those_that_wait_takes_its_place() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, EVENTS), Wait(gate)], [Wait(gate), *sse_answer(*EVENTS)])
        first = await gw.client()
        await first.request("POST", "/v1/chat/completions", json=STREAM)
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        clients = [await gw.client() for _ in range(5)]
        asking = [asyncio.ensure_future(ask(client, STREAM)) for client in clients]
        await until(lambda: gw.app.serving.running == 6, "all requests to run")
        await first.read_head()
        received = b""
        while not received.endswith(EVENTS[-1]):
            received += await first.read_chunk()
        first.close()
        await until(lambda: len(up.requests) >= 2, "the second request to be sent")
        gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(str(state(answer)) for answer in answers) == ["hit"] * 4 + ["miss"]
        assert len(up.requests) == 2


async def test_a_request_after_an_invalidation_does_not_wait_for_one_before_it() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(completion("Old"))], json_answer(completion("New")))
        first, second = await gw.client(), await gw.client()
        asking = asyncio.ensure_future(ask(first))
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        await gw.app.cache.store.invalidate([ALL])
        answer = await ask(second)
        assert (state(answer), answer.json["choices"][0]["message"]["content"]) == ("miss", "New")
        gate.set()
        assert (await asking).json["choices"][0]["message"]["content"] == "Old"


async def test_requests_after_an_invalidation_wait_for_the_first_of_them() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        before, after = asyncio.Event(), asyncio.Event()
        up.queue([Wait(before), *json_answer(completion("Old"))], [Wait(after), *json_answer(completion("New"))])
        clients = [await gw.client() for _ in range(12)]
        old = [asyncio.ensure_future(ask(client)) for client in clients[:2]]
        await until(lambda: gw.app.serving.running == 2, "the requests before it to run")
        await gw.app.cache.store.invalidate([ALL])
        new = [asyncio.ensure_future(ask(client)) for client in clients[2:]]
        await until(lambda: gw.app.serving.running == 12, "all requests to run")
        before.set()
        assert {text(answer) for answer in await asyncio.gather(*old)} == {"Old"}
        after.set()
        assert {text(answer) for answer in await asyncio.gather(*new)} == {"New"}
        assert len(up.requests) == 2
        assert not gw.app.cache._flights


async def test_requests_that_wait_end_with_the_gateway() -> None:
    async with Upstream() as up, Gateway(cached(up, server={"drainSecs": 0})) as gw:
        never = asyncio.Event()
        up.on(lambda request: [Wait(never)])
        clients = [await gw.client() for _ in range(3)]
        asking = [asyncio.ensure_future(ask(client)) for client in clients]
        await until(lambda: gw.app.serving.running == 3 and len(up.requests) == 1, "all requests to run")
        await gw.app.stop()
        assert [answer.status for answer in await asyncio.gather(*asking)] == [503] * 3
        assert len(up.requests) == 1
        assert not gw.app.cache._flights


async def test_a_client_that_waits_may_leave() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(completion("Hello"))])
        first, second = await gw.client(), await gw.client()
        asking = asyncio.ensure_future(ask(first))
        await until(lambda: len(up.requests) == 1, "the first request to be sent")
        await second.request("POST", "/v1/chat/completions", json=CALL)
        await until(lambda: gw.app.serving.running == 2, "both requests to run")
        second.close()
        await until(lambda: gw.app.serving.running == 1, "the second one to end")
        gate.set()
        assert (await asking).status == 200
