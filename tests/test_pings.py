"""The status commit: pings during a slow start, and failures after it as in-band errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Send,
    Stall,
    Upstream,
    Wait,
    answered_by,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS, compact
from tests.support.clock import LoopClock
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
PING = b": ping\n\n"
EVENTS = chat_events("Hello", " world")
# After a ping the headers are sent, so the metadata is a comment before the end.
WITH_METADATA = [*EVENTS[:-1], b": _router " + compact(answered_by()) + b"\n\n", EVENTS[-1]]


@pytest.fixture(autouse=True)
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.1)


def config(up: Upstream, ping_after: float = 0.1, **sections: Any) -> dict[str, Any]:
    return one_provider(up, server={"pingAfter": ping_after}, **sections)


def with_spare(settings: dict[str, Any]) -> dict[str, Any]:
    """The same with a model ``n`` at another provider, available during a cooldown of the first one."""
    spare = settings["providers"]["up"]
    models = [*settings["models"], {"name": "n", "provider": "spare", "model": "up-model"}]
    return settings | {"providers": settings["providers"] | {"spare": spare}, "models": models}


async def pinged(client: RawClient, count: int = 1) -> None:
    for _ in range(count):
        assert await client.read_event() == PING


async def test_a_slow_start_becomes_a_200_with_pings_and_then_the_unchanged_stream() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(config(up)) as gw:
        up.queue([Wait(go), *sse_answer(*EVENTS)])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        head = await client.read_head()
        assert head.status == 200
        assert head.header("content-type") == "text/event-stream; charset=utf-8"
        assert head.header("cache-control") == "no-cache, no-transform"
        assert head.header("x-accel-buffering") == "no"
        assert (head.header("x-router-provider"), head.header("x-router-model")) == ("up", "m")
        assert head.header("x-request-id")
        await pinged(client, 3)
        go.set()
        events = [event for event in await client.read_events() if event != PING]
        assert events == WITH_METADATA
        line = await gw.settled()
        assert (line["outcome"], line["status"]) == ("ok", 200)


@pytest.mark.parametrize(
    "begun",
    [
        [Headers(200, SSE_HEADERS)],
        [Headers(200, SSE_HEADERS), Chunk(EVENTS[0])],
        [Headers(200, SSE_HEADERS), Chunk(EVENTS[0][:9])],
    ],
    ids=["the head", "the role", "half an event"],
)
async def test_events_before_the_first_content_are_sent_with_it(begun: list[Any]) -> None:
    go = asyncio.Event()
    sent = b"".join(step.payload for step in begun if isinstance(step, Chunk))
    async with Upstream() as up, Gateway(config(up)) as gw:
        up.queue([*begun, Wait(go), Chunk(b"".join(EVENTS)[len(sent) :]), LastChunk()])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        await client.read_head()
        await pinged(client)
        go.set()
        assert [event for event in await client.read_events() if event != PING] == WITH_METADATA


async def test_pings_are_sent_between_events_only() -> None:
    go, clock = asyncio.Event(), LoopClock()
    half = len(EVENTS[2]) // 2
    async with Upstream() as up, Gateway(config(up)) as gw:
        head, *chunks = sse_answer(*EVENTS)
        split = [Chunk(EVENTS[2][:half]), Wait(go), Chunk(EVENTS[2][half:])]
        up.queue([head, *chunks[:2], *split, *chunks[3:]])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        assert (await client.read_head()).status == 200
        assert [await client.read_event() for _ in range(2)] == EVENTS[:2]
        for _ in range(2):
            await clock.advance(0.15)
            await pinged(client)
        go.set()
        assert [event for event in await client.read_events() if event != PING] == EVENTS[2:]


async def test_a_plain_response_gets_no_pings() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(config(up, ping_after=0.05)) as gw:
        up.queue([Wait(go), *json_answer(completion("slow"))])
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        asyncio.get_running_loop().call_later(0.3, go.set)
        answer = await client.read_answer()
        assert (answer.status, answer.json) == (200, completion("slow") | {"_router": answered_by()})
        assert answer.header("content-length") is not None


@pytest.mark.parametrize("came", [0, 5])
async def test_json_instead_of_a_stream_gets_no_pings_after_its_head(came: int) -> None:
    go, body = asyncio.Event(), json.dumps(completion("no stream")).encode()
    head = Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    async with Upstream() as up, Gateway(config(up, ping_after=0.05)) as gw:
        up.queue([head, Send(body[:came]), Wait(go), Send(body[came:])])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        asyncio.get_running_loop().call_later(0.3, go.set)
        answer = await client.read_answer()
        assert (answer.status, answer.json) == (200, completion("no stream") | {"_router": answered_by()})


async def test_pings_can_be_disabled() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(config(up, ping_after=0)) as gw:
        up.queue([Wait(go), *json_answer(error_json("No"), 400)])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        asyncio.get_running_loop().call_later(0.3, go.set)
        assert (await client.read_head()).status == 400


# -- failures after the status commit ------------------------------------------------------------------------

PLAIN_CHUNKED = [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]

LATE = {
    "an error status": (
        json_answer(error_json("Too many", kind="rate_limit_error", code="slow_down"), 429),
        "slow_down",
    ),
    "a refusal": (json_answer(error_json("Too odd", kind="invalid_request_error", code="odd"), 422), "odd"),
    "an error page": (
        [Headers(500, [("Content-Type", "text/html"), ("Content-Length", "4")]), Send(b"oops")],
        "upstream_server_error",
    ),
    "a wrong key": (json_answer(error_json("Bad key sk-123"), 401), "upstream_auth_failed"),
    "a closed connection": ([Close()], "upstream_disconnected"),
    "a reset": ([Reset()], "upstream_disconnected"),
    "bytes that are no HTTP": ([b"nonsense\r\n\r\n"], "upstream_broken_answer"),
    "an error event": (sse_answer(b'data: {"error": {"message": "No", "code": "no"}}\n\n'), "no"),
    "nothing but the end": (sse_answer(DONE), "upstream_empty_answer"),
    "a plain answer": (json_answer(completion("not a stream")), "upstream_broken_answer"),
    "a page": (
        [Headers(200, [("Content-Type", "text/html"), ("Content-Length", "4")]), Send(b"oops")],
        "upstream_broken_answer",
    ),
    "a redirect": ([Headers(302, [("Location", "/x"), ("Content-Length", "0")])], "upstream_redirect"),
    "silence": ([Stall()], "timeout_firstContent"),
}


@pytest.mark.parametrize(("script", "code"), LATE.values(), ids=LATE.keys())
async def test_a_failure_after_the_status_commit_is_one_in_band_error(script: list[Any], code: str) -> None:
    go, clock = asyncio.Event(), LoopClock()
    async with Upstream() as up, Gateway(with_spare(config(up, timeouts={"firstContent": 0.6}))) as gw:
        up.queue([Wait(go), *script])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        await up.request(0)
        await clock.advance(0.2)
        assert (await client.read_head()).status == 200
        await pinged(client)
        go.set()
        if code == "timeout_firstContent":
            await clock.advance(0.5)
        errors = [event for event in await client.read_events() if event != PING]
        assert len(errors) == 1, errors
        error = json.loads(errors[0].removeprefix(b"data: "))["error"]
        assert set(error) >= {"message", "type", "code"}
        assert error["code"] == code
        assert "oops" not in str(error)
        assert "sk-123" not in str(error)
        line = await gw.settled()
        assert (line["outcome"], line["status"]) == ("broken", 200)
        # The answer ended in good order: the client's connection serves on.
        up.queue(json_answer(completion("again")))
        assert (await client.fetch("POST", CHAT, json=CALL | {"model": "n"})).status == 200


async def test_a_binary_response_is_not_mixed_with_pings() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(config(up)) as gw:
        up.queue([Wait(go), Headers(200, [("Content-Type", "audio/mpeg"), ("Content-Length", "5")]), Send(b"sound")])
        client = await gw.client()
        await client.request("POST", "/v1/audio/speech", json={"model": "m", "input": "Hi", "stream": True})
        await client.read_head()
        await pinged(client)
        go.set()
        body = await client.read_body()
        assert b"sound" not in body
        assert b'"upstream_broken_answer"' in body
        assert (await gw.settled())["outcome"] == "broken"


async def test_a_stale_connection_is_replaced_after_the_status_commit_too() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(config(up)) as gw:
        client = await gw.client()
        up.queue(json_answer(completion("warm")), [Wait(go), Close()], sse_answer(*EVENTS))
        await client.fetch("POST", CHAT, json=CALL)
        await client.request("POST", CHAT, json=STREAM)
        await client.read_head()
        await pinged(client)
        go.set()
        assert [event for event in await client.read_events() if event != PING] == WITH_METADATA


async def test_a_disconnect_between_pings_cancels_the_upstream_request() -> None:
    async with Upstream() as up, Gateway(config(up)) as gw:
        up.queue([Stall()])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        await client.read_head()
        await pinged(client)
        client.close()
        await within((await up.request(0)).gone.wait(), "the provider to be left")
        assert (await gw.settled())["outcome"] == "client_gone"
