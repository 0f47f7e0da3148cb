"""The requests of one connection: one after the other, whatever the client sends at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support import (
    Chunk,
    Headers,
    LastChunk,
    Upstream,
    Wait,
    chat_events,
    completion,
    json_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
BODY = b'{"model":"m","messages":[]}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 27\r\n\r\n" + BODY


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up)) as gw:
        yield gw


async def test_a_connection_serves_one_request_after_the_other(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    for _ in range(3):
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert answer.status == 200
        assert answer.header("connection") is None
    assert (await client.fetch("GET", "/nowhere")).status == 404
    assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
    assert len(up.requests) == 4


async def test_a_client_that_asks_for_it_gets_its_connection_closed(gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("POST", CHAT, headers=[("Connection", "close")], json=CALL)
    assert (answer.status, answer.header("connection")) == (200, "close")
    assert await client.eof() == b""


async def test_a_refused_request_with_a_body_does_not_cost_the_connection(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200000\r\n\r\n")
    assert (await client.read_answer()).status == 404
    await client.send(b"x" * 200_000)
    assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
    assert len(up.requests) == 1


async def test_pipelined_requests_are_answered_in_order(up: Upstream, gw: Gateway) -> None:
    up.on(lambda request: json_answer(completion(request.json["user"])))
    bodies = [b'{"model":"m","messages":[],"user":"%d"}' % number for number in range(40)]
    client = await gw.client()
    await client.send(
        b"".join(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            for body in bodies
        )
    )
    said = [(await client.read_answer()).json["choices"][0]["message"]["content"] for _ in bodies]
    assert said == [str(number) for number in range(40)]


async def test_a_pipelined_request_waits_for_the_answer_before_it(up: Upstream, gw: Gateway) -> None:
    first_may_end = asyncio.Event()
    events = chat_events("Hello")
    up.queue(
        [
            Headers(200, SSE_HEADERS),
            Chunk(b"".join(events[:2])),
            Wait(first_may_end),
            Chunk(b"".join(events[2:])),
            LastChunk(),
        ]
    )
    client = await gw.client()
    await client.request("POST", CHAT, json=CALL | {"stream": True})
    await client.read_head()
    await client.read_chunk()
    await client.request("GET", "/v1/models")
    await client.request("POST", CHAT, json=CALL)
    first_may_end.set()
    assert (await client.read_body()).endswith(b"data: [DONE]\n\n")
    assert (await client.read_answer()).json["object"] == "list"
    assert (await client.read_answer()).json["object"] == "chat.completion"


async def test_requests_before_a_broken_one_are_answered_first(up: Upstream, gw: Gateway) -> None:
    hold = asyncio.Event()
    up.queue([Wait(hold), *json_answer(completion("first"))])
    client = await gw.client()
    await client.send(POST)
    await up.request()
    await client.send(POST)
    [connection] = gw.app.listeners.api.server.connections
    await until(lambda: connection._messages, "the second request to be parsed")
    await client.send(b"BROKEN\r\n\r\n")
    hold.set()
    assert (await client.read_answer()).json["choices"][0]["message"]["content"] == "first"
    assert (await client.read_answer()).status == 200
    assert (await client.read_answer()).status == 400
    assert await client.eof() == b""


async def test_empty_lines_before_a_request_are_skipped(gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"\r\n\r\n" + POST + b"\r\n" + POST)
    assert [(await client.read_answer()).status for _ in range(2)] == [200, 200]


async def test_a_pipeline_that_is_longer_than_any_queue_ends_with_its_last_answer(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    count = 1500
    sending = asyncio.ensure_future(client.send(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * count))
    for _ in range(count):
        assert (await client.read_answer()).status == 200
    await sending
