"""Answers from the cache, through the whole gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.cache.base import ALL, tag_group
from proxy.cache.eligible import MOST_BODY
from proxy.limits.reservation import Reservation
from proxy.routing.deployment import Deployment
from tests.cache.flows import CALL, CHAT, STREAM, Clock, ask, cached, reload, state, text
from tests.support import (
    Chunk,
    Headers,
    LastChunk,
    Upstream,
    Wait,
    answered_by,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider

EVENTS = chat_events("Hello", " world")


async def test_an_equal_request_gets_the_same_answer_without_a_provider() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        client = await gw.client()
        first, second = await ask(client), await ask(client)
        assert (state(first), state(second)) == ("miss", "hit")
        assert first.json == completion("Hello") | {"_router": answered_by() | {"cache": {"status": "miss"}}}
        by = answered_by(attempts=0) | {"cache": {"status": "hit", "age": 0}}
        assert second.json == completion("Hello") | {"_router": by}
        assert second.header("Age") == "0"
        assert first.header("Age") is None
        for name in ("content-type", "x-router-provider", "x-router-model", "x-content-type-options"):
            assert second.header(name) == first.header(name) != None  # noqa: E711
        assert second.header("x-request-id") != first.header("x-request-id")
        assert len(up.requests) == 1


async def test_off_there_is_no_trace_of_it() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        client = await gw.client()
        for _ in range(2):
            answer = await ask(client)
            assert state(answer) is None
            assert answer.json == completion("Hello") | {"_router": answered_by()}
        assert len(up.requests) == 2


async def test_a_stream_is_replayed_event_by_event() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(sse_answer(*EVENTS))
        client = await gw.client()
        first = await ask(client, STREAM)
        await client.request("POST", "/v1/chat/completions", json=STREAM)
        head = await client.read_head()
        chunks = []
        while chunk := await client.read_chunk():
            chunks.append(chunk)
        assert (state(first), head.header("x-router-cache"), head.header("Age")) == ("miss", "hit", "0")
        assert head.header("content-type") == first.header("content-type") == "text/event-stream"
        assert head.header("x-accel-buffering") == "no"
        assert chunks == EVENTS
        assert first.body == b"".join(EVENTS)


async def test_events_that_come_one_by_one_are_recorded_whole() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gates = [asyncio.Event() for _ in EVENTS]
        steps = [step for event, gate in zip(EVENTS, gates, strict=True) for step in (Wait(gate), Chunk(event))]
        up.queue([Headers(200, SSE_HEADERS), *steps, LastChunk()])
        client = await gw.client()
        await client.request("POST", "/v1/chat/completions", json=STREAM)
        gates[0].set()
        gates[1].set()
        await client.read_head()
        received = await client.read_chunk()
        for number, gate in enumerate(gates[2:], 2):
            gate.set()
            while len(received) < len(b"".join(EVENTS[: number + 1])):
                received += await client.read_chunk()
        assert await client.read_chunk() == b""
        second = await ask(client, STREAM)
        assert state(second) == "hit"
        assert second.body == received == b"".join(EVENTS)


async def test_comments_and_metadata_of_one_request_are_not_for_others() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(sse_answer(EVENTS[0], b": processing\n\n", *EVENTS[1:]))
        client = await gw.client()
        metadata = ("x-router-metadata", "true")
        first = await ask(client, STREAM, metadata)
        comment = next(line for line in first.body.splitlines() if line.startswith(b": _router "))
        assert json.loads(comment.removeprefix(b": _router "))["cache"] == {"status": "miss"}
        assert (await ask(client, STREAM)).body == b"".join(EVENTS)
        third = await ask(client, STREAM, metadata)
        comment = third.body.removeprefix(b"".join(EVENTS[:-1])).removesuffix(EVENTS[-1])
        document = json.loads(comment.removeprefix(b": _router "))
        assert document == answered_by(attempts=0) | {"cost_usd": 0.0, "cache": {"status": "hit", "age": 0}}


async def test_the_cost_of_a_hit_is_said_on_request() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        client = await gw.client()
        await ask(client)
        answer = await ask(client, CALL, ("x-router-metadata", "true"))
        assert answer.json["_router"]["cost_usd"] == 0.0


async def test_an_answer_gets_older() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        clock, client = Clock(gw), await gw.client()
        await ask(client)
        clock.seconds += 42.9
        answer = await ask(client)
        assert answer.header("Age") == "42"
        assert answer.json["_router"]["cache"] == {"status": "hit", "age": 42}


async def test_a_refreshed_answer_is_not_replaced_by_one_that_was_requested_before() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(completion("Old"))], json_answer(completion("New")))
        clients = [await gw.client() for _ in range(3)]
        old = [asyncio.ensure_future(ask(client)) for client in clients[:2]]
        await until(lambda: gw.app.serving.running == 2, "both requests to run")
        await ask(clients[2], CALL, ("x-router-cache", "refresh"))
        gate.set()
        assert {text(answer) for answer in await asyncio.gather(*old)} == {"Old"}
        assert text(await ask(clients[2])) == "New"
        assert gw.app.cache.counters.stored == 1


async def test_a_hit_takes_a_request_from_limits_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"enabled": True, "perClient": {"requestsPerHour": 3, "tokensPerMinute": 100_000}}
    reserved: list[str] = []
    reserve = Reservation.reserve

    def counted(reservation: Reservation, deployment: Deployment, *rest: Any) -> Any:
        reserved.append(deployment.name)
        return reserve(reservation, deployment, *rest)

    monkeypatch.setattr(Reservation, "reserve", counted)
    async with Upstream() as up, Gateway(cached(up, rateLimiting=limits)) as gw:
        up.queue(json_answer(completion("Hello")))
        client = await gw.client()
        answers = [await ask(client) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert state(answers[3]) == "bypass"
        assert [answer.header("x-ratelimit-remaining") for answer in answers[1:3]] == ["1", "0"]
        assert reserved == ["m"]  # tokens and money of one attempt


async def test_a_large_answer_is_not_kept() -> None:
    async with Upstream() as up, Gateway(cached(up, {"maxAnswerKb": 4})) as gw:
        up.on(lambda request: json_answer(completion("x" * 5000)))
        client = await gw.client()
        assert [state(await ask(client)) for _ in range(2)] == ["miss", "miss"]
        up.on(lambda request: sse_answer(*chat_events("x" * 3000, "y" * 3000)))
        assert [state(await ask(client, STREAM)) for _ in range(2)] == ["miss", "miss"]
        assert gw.app.cache.keeper.recordings.used == 0


async def test_answers_are_invalidated_by_tag() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        client = await gw.client()
        other = CALL | {"seed": 1}
        await ask(client, CALL, ("x-router-cache-tags", "a, b"))
        await ask(client, other, ("x-router-cache-tags", "c"))
        assert await gw.app.cache.store.invalidate([tag_group("b")]) == 1
        assert [state(await ask(client)), state(await ask(client, other))] == ["miss", "hit"]


async def test_an_answer_to_a_request_that_ran_during_an_invalidation_is_not_kept() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(completion("Old"))])
        client = await gw.client()
        asking = asyncio.ensure_future(ask(client))
        await until(lambda: len(up.requests) == 1, "the request to be sent")
        await gw.app.cache.store.invalidate([ALL])
        gate.set()
        await asking
        up.queue(json_answer(completion("New")))
        answer = await ask(client)
        assert (state(answer), answer.json["choices"][0]["message"]["content"]) == ("miss", "New")


@pytest.mark.parametrize("headers", [("x-router-cache", "yes"), ("x-router-cache-tags", "a b")])
async def test_wrong_headers_are_refused(headers: tuple[str, str]) -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        answer = await ask(await gw.client(), CALL, headers)
        assert (answer.status, answer.json["error"]["param"]) == (400, headers[0])
        assert not up.requests


async def test_an_answer_from_the_cache_is_in_the_dialect_of_its_endpoint() -> None:
    """Anthropic's clients look for the id of a request in a header of their own."""
    message: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    async with Upstream() as up, Gateway(cached(up)) as gw:  # translated
        up.queue(json_answer(completion("Hello")), sse_answer(*EVENTS))
        client = await gw.client()
        first = await ask(client, message, path="/v1/messages")
        second = await ask(client, message, path="/v1/messages")
        assert (state(first), state(second)) == ("miss", "hit")
        assert second.json["content"] == first.json["content"] == [{"type": "text", "text": "Hello"}]
        assert second.header("request-id") == second.header("x-request-id")
        streams = [await ask(client, message | {"stream": True}, path="/v1/messages") for _ in range(2)]
        assert list(map(state, streams)) == ["miss", "hit"]
        assert streams[0].body == streams[1].body
        assert len(up.requests) == 2


async def test_an_answer_of_a_race_is_of_the_winner() -> None:
    async with Upstream() as up, Upstream() as other:
        gate, never = asyncio.Event(), asyncio.Event()
        up.queue([Wait(gate), *json_answer(completion("Hello"))])
        other.queue([Wait(never)])
        providers = {
            name: {"baseUrl": each.url, "apiKey": "secret-key"} for name, each in (("up", up), ("other", other))
        }
        models = [
            {"name": "m", "provider": "up", "model": "one", "inputPrice": 1.0},
            {"name": "m", "provider": "other", "model": "two", "inputPrice": 2.0},
        ]
        routing = {"hedgeAfterMs": 1, "maxRetries": 2, "strategy": "lowest_cost"}
        async with Gateway(cached(up, providers=providers, models=models, routing=routing)) as gw:
            client = await gw.client()
            asking = asyncio.ensure_future(ask(client))
            await until(lambda: len(up.requests) + len(other.requests) == 2, "both to be asked")
            gate.set()
            first, second = await asking, await ask(client)
            assert (state(first), state(second)) == ("miss", "hit")
            assert first.header("x-router-provider") == second.header("x-router-provider") == "up"


async def test_a_cache_that_is_switched_off_frees_its_memory() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        await ask(await gw.client())
        store = gw.app.cache.store
        assert store.glance().answers == 1
        reload(gw, one_provider(up))
        assert store.glance().answers == 0
        reload(gw, cached(up))
        assert [state(await ask(await gw.client())) for _ in range(2)] == ["miss", "hit"]


async def test_a_rule_with_a_shorter_time_applies_to_what_others_have_stored() -> None:
    rules = [{"headers": {"x-fresh": "yes"}, "ttlSecs": 5}]
    async with Upstream() as up, Gateway(cached(up, {"rules": rules, "ttlSecs": 60})) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        clock, client = Clock(gw), await gw.client()
        await ask(client)
        clock.seconds += 6
        assert state(await ask(client)) == "hit"
        assert state(await ask(client, CALL, ("x-fresh", "yes"))) == "miss"


async def test_an_answer_of_the_models_before_a_reload_is_not_kept_for_those_after_it() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: json_answer(completion(json.loads(request.body)["model"])))
        first, second = await gw.client(), await gw.client()
        sent = first.encode("POST", CHAT, value=CALL)
        await first.send(sent[:-1])
        await until(lambda: gw.app.serving.running == 1, "the request to run")
        reload(gw, cached(up, models=[{"name": "m", "provider": "up", "model": "new"}]))
        await first.send(sent[-1:])
        old = await first.read_answer()
        assert (state(old), text(old)) == ("bypass", "up-model")
        new = await ask(second)
        assert (state(new), text(new)) == ("miss", "new")


async def test_a_shorter_time_of_a_reload_applies_to_what_is_stored() -> None:
    async with Upstream() as up, Gateway(cached(up, {"ttlSecs": 60, "staleSecs": 600})) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        clock, client = Clock(gw), await gw.client()
        await ask(client)
        clock.seconds += 6
        reload(gw, cached(up, {"ttlSecs": 5}))
        up.on(lambda request: json_answer(error_json("down"), 503))
        answer = await ask(client)
        assert (answer.status, state(answer)) == (502, "miss")


async def test_hooks_see_answers_from_the_cache() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        seen: list[str] = []
        gateway = gw.app.gateway
        gateway._on_response = lambda exchange, outlet: (seen.append(exchange.request_id), outlet)[1]  # type: ignore[func-returns-value]
        client = await gw.client()
        await ask(client)
        await ask(client)
        assert len(seen) == 2


async def test_a_body_that_takes_long_to_hash_is_not_cached() -> None:
    call = CALL | {"messages": [{"role": "user", "content": "x" * MOST_BODY}]}
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        assert state(await ask(await gw.client(), call)) == "bypass"
