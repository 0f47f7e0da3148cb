"""Limits of the process: concurrent requests and buffered bytes, both zero when idle."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import (
    Answer,
    Chunk,
    Close,
    Headers,
    LastChunk,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    json_answer,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": []}
MB = 1024 * 1024


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


def used(gw: Gateway) -> int:
    assert gw.app.gateway is not None
    return gw.app.gateway._context.budget.used


def running(gw: Gateway) -> int:
    assert gw.app.serving is not None
    assert len(gw.app.serving._running) == gw.app.metrics.in_flight
    return gw.app.metrics.in_flight


def assert_full(answer: Answer, code: str) -> None:
    assert (answer.status, answer.json["error"]["code"]) == (503, code)
    assert answer.json["error"]["type"] == "overloaded_error"
    assert int(answer.header("retry-after") or 0) >= 1


# -- maxInFlight ----------------------------------------------------------------------------------


async def test_a_request_over_the_limit_is_a_503_and_the_next_is_served(up: Upstream) -> None:
    hold = asyncio.Event()
    up.on(lambda request: [Wait(hold), *json_answer(completion())])
    async with Gateway(one_provider(up, server={"maxInFlight": 2})) as gw:
        first, second, third = [await gw.client() for _ in range(3)]
        for client in (first, second):
            await client.request("POST", CHAT, json=CALL)
            await up.request()
        assert running(gw) == 2
        assert_full(await third.fetch("POST", CHAT, json=CALL), "overloaded")
        assert_full(await third.fetch("GET", "/v1/models"), "overloaded")
        assert running(gw) == 2
        hold.set()
        for client in (first, second):
            assert (await client.read_answer()).status == 200
        assert (await third.fetch("POST", CHAT, json=CALL)).status == 200
        assert running(gw) == 0
        assert len(up.requests) == 3


async def test_a_request_without_its_body_counts_as_concurrent(up: Upstream) -> None:
    async with Gateway(one_provider(up, server={"maxInFlight": 1, "bodyTimeoutSecs": 1.5})) as gw:
        slow, quick = await gw.client(), await gw.client()
        await slow.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n")
        await until(lambda: running(gw), "the request to be begun")
        assert_full(await quick.fetch("POST", CHAT, json=CALL), "overloaded")
        assert (await slow.read_answer()).status == 408
        assert (await quick.fetch("POST", CHAT, json=CALL)).status == 200


def every_ending() -> dict[str, tuple[Any, dict[str, Any]]]:
    """A script of the provider and the members of the call that go with it."""
    events = chat_events("Hello", "world")
    cut = [Headers(200, SSE_HEADERS), Chunk(b"".join(events[:2])), Close()]
    error = b'data: {"error":{"message":"no"}}\n\n'
    stream = {"stream": True}
    return {
        "answer": (json_answer(completion()), {}),
        "stream": (sse_answer(*events), stream),
        "error": (json_answer({"error": {"message": "no"}}, 500), {}),
        "error in a stream": (sse_answer(error), stream),
        "cut before": ([Close()], {}),
        "cut within": (cut, stream),
        "cut length": (
            [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "99")]), b"{", Close()],
            {},
        ),
        "no JSON": ([Headers(200, [("Content-Type", "application/json"), ("Content-Length", "1")]), b"{"], {}),
        "no HTTP": ([b"hello\r\n\r\n", Close()], {}),
        "clock": ([Stall()], {}),
        "clock in a stream": ([*cut[:2], Stall()], stream),
    }


@pytest.mark.parametrize("ending", every_ending())
async def test_both_counters_are_zero_after_every_outcome(ending: str, up: Upstream) -> None:
    script, members = every_ending()[ending]
    up.on(lambda request: script)
    # The others may take their time: what they end with is not to be the clock.
    clocks = {"total": 0.1} if ending.startswith("clock") else {}
    async with Gateway(one_provider(up, timeouts=clocks)) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL | members)
        await gw.settled()
        assert (running(gw), used(gw)) == (0, 0)


@pytest.mark.parametrize("phase", ["body", "head", "stream", "answer"])
async def test_both_counters_are_zero_after_a_disconnect(phase: str, up: Upstream) -> None:
    events = chat_events("Hello")
    scripts: dict[str, Any] = {
        "body": [],
        "head": [Stall()],
        "stream": [Headers(200, SSE_HEADERS), Chunk(b"".join(events[:2])), Stall()],
        "answer": [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "999")]), b"{}", Stall()],
    }
    up.on(lambda request: scripts[phase])
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        request = client.encode("POST", CHAT, value=CALL | {"stream": phase == "stream", "user": "x" * 1000})
        await client.send(request[:-10] if phase == "body" else request)
        if phase == "stream":  # a stream that runs holds nothing
            await client.read_head()
        else:
            await until(lambda: used(gw) > 900, "the body to be held")
        if phase != "body":
            await up.request()
        if phase == "answer":
            body = 1000 + 2
            await until(lambda: used(gw) > body, "the answer to be held as well")
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"
        assert (running(gw), used(gw)) == (0, 0)


# -- maxBufferedMb --------------------------------------------------------------------------------


async def test_a_request_body_over_the_buffer_limit_is_a_503(up: Upstream) -> None:
    hold = asyncio.Event()
    up.on(lambda request: [Wait(hold), *json_answer(completion())])
    async with Gateway(one_provider(up, server={"maxBufferedMb": 1})) as gw:
        first, second = await gw.client(), await gw.client()
        large = CALL | {"user": "x" * (MB * 2 // 3)}
        await first.request("POST", CHAT, json=large)
        await up.request()
        assert used(gw) > MB * 2 // 3
        assert_full(await second.fetch("POST", CHAT, json=large), "buffers_full")
        await second.request("POST", CHAT, json=CALL)  # a small one still fits
        await up.request()
        hold.set()
        assert (await first.read_answer()).status == 200
        assert (await second.read_answer()).status == 200
        assert (await second.fetch("POST", CHAT, json=large)).status == 200
        assert (running(gw), used(gw)) == (0, 0)


async def test_a_response_over_the_buffer_limit_is_a_503(up: Upstream) -> None:
    up.on(lambda request: json_answer(completion("x" * MB)))
    async with Gateway(one_provider(up, server={"maxBufferedMb": 0.5})) as gw:
        client = await gw.client()
        assert_full(await client.fetch("POST", CHAT, json=CALL), "buffers_full")
        assert (await gw.settled())["error"] == "buffers_full"
        assert (running(gw), used(gw)) == (0, 0)


async def test_a_stream_buffers_no_part_of_its_response(up: Upstream) -> None:
    events = chat_events(*["x" * 10_000] * 50)
    up.on(lambda request: sse_answer(*events))
    async with Gateway(one_provider(up, server={"maxBufferedMb": 0.05})) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL | {"stream": True})
        await client.read_head()
        assert await client.read_events() == events


async def test_a_response_over_its_own_limit_streams_unbuffered(up: Upstream) -> None:
    body = completion("x" * MB)
    go_on = asyncio.Event()
    raw = json_answer(body)
    payload = raw[1].data  # type: ignore[union-attr]
    up.on(
        lambda request: [
            Headers(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]),
            Chunk(payload[: MB // 2]),
            Wait(go_on),
            Chunk(payload[MB // 2 :]),
            LastChunk(),
        ]
    )
    async with Gateway(one_provider(up, server={"maxAnswerMb": 0.25, "maxBufferedMb": 1})) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        assert (await client.read_head()).status == 200  # before the provider has sent the second half
        assert used(gw) < MB // 4
        go_on.set()
        assert await client.read_body() == payload


async def test_a_passthrough_upload_is_not_buffered(up: Upstream) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"x" * MB + b"\r\n--b--\r\n"
    )
    up.on(lambda request: json_answer({"text": "hi"}))
    async with Gateway(one_provider(up, server={"maxBufferedMb": 0.1})) as gw:
        client = await gw.client()
        answer = await client.fetch(
            "POST", "/v1/audio/transcriptions", headers=[("Content-Type", "multipart/form-data; boundary=b")], body=form
        )
        assert answer.status == 200
        assert used(gw) == 0


async def test_a_running_stream_releases_its_request_body(up: Upstream) -> None:
    """A stream may run for an hour; its prompt was sent in the first second of it."""
    go = asyncio.Event()
    role, hello, *_ = chat_events("Hello")
    up.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(role), Chunk(hello), Wait(go), Close()])
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        call = CALL | {"stream": True, "user": "x" * (8 * MB)}
        tracemalloc.start()
        try:
            await client.request("POST", CHAT, json=call)
            await client.read_head()
            assert gw.app.gateway is not None
            assert gw.app.gateway._context.budget.used == 0
            gc.collect()
            ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/proxy/*")])
            assert sum(trace.size for trace in ours.traces) < MB
        finally:
            tracemalloc.stop()
            go.set()
