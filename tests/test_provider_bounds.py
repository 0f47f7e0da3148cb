"""Limits on provider responses: decoding per loop iteration, and the size of errors."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import tracemalloc
from typing import Any

import pytest

from proxy.net.inflate import PIECE
from proxy.relay.choice import MAX_ERROR
from tests.support import (
    Chunk,
    Headers,
    LastChunk,
    PauseReading,
    Reset,
    Send,
    Stall,
    Upstream,
    completion,
    error_json,
    json_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
SPEECH = "/v1/audio/speech"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
SAID = {"model": "m", "input": "Hi", "voice": "a"}


def packed(kind: str, content: bytes, **more: str) -> list[Any]:
    body = gzip.compress(content)
    lines = [("Content-Type", kind), ("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
    return [Headers(200, [*lines, *more.items()]), Send(body)]


async def plain_works(gw: Gateway, up: Upstream) -> None:
    up.queue(json_answer(completion("Hi")))
    client = await gw.client()
    assert (await client.fetch("POST", CHAT, json=CALL)).status == 200


# Compressed answers


@pytest.mark.parametrize("size", [PIECE, 20 * PIECE + 17])
async def test_a_large_compressed_response_arrives_complete_and_its_connection_is_reused(size: int) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue(packed("audio/mpeg", bytes(size)))
        answer = await client.fetch("POST", SPEECH, json=SAID)
        assert (answer.status, len(answer.body)) == (200, size)
        await plain_works(gw, up)
        assert len(up.connections) == 1


async def test_large_compressed_json_is_collected() -> None:
    text = "a" * (8 * PIECE)
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue(packed("application/json", json.dumps(completion(text)).encode()))
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert answer.json["choices"][0]["message"]["content"] == text
        await plain_works(gw, up)


async def test_a_large_compressed_stream_arrives_complete() -> None:
    event = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"a" * 1000)
    stop = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    body = gzip.compress(event * 5000 + stop)
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, [*SSE_HEADERS, ("Content-Encoding", "gzip")]), Chunk(body), LastChunk()])
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL | {"stream": True})
        assert answer.body == event * 5000 + stop
        assert (await gw.settled())["outcome"] == "ok"
        await plain_works(gw, up)


async def test_decoding_stops_while_the_client_does_not_read() -> None:
    size = 60 * 1024 * 1024
    async with Upstream() as up, Gateway(one_provider(up, server={"maxBufferedMb": 8})) as gw:
        up.queue(packed("audio/mpeg", bytes(size)))
        client = await gw.client()
        await client.request("POST", SPEECH, json=SAID)
        await client.read_head()
        running = next(iter(gw.app.serving._running.values()))  # type: ignore[union-attr]
        await until(lambda: running.writing_paused, "the client's buffers to fill")
        for _ in range(100):
            await asyncio.sleep(0)
        assert running.unsent < 4 * PIECE
        assert len(await client.read_body()) == size


async def test_a_disconnect_while_decoding_cancels_the_upstream_request() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(packed("audio/mpeg", bytes(60 * 1024 * 1024)))
        client = await gw.client()
        await client.request("POST", SPEECH, json=SAID)
        await client.read_head()
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"
        await within((await up.request(0)).gone.wait(), "the gateway to close")
        await plain_works(gw, up)


async def test_late_corruption_in_a_compressed_response_aborts_the_connection() -> None:
    body = gzip.compress(bytes(20 * PIECE))[:-8] + bytes(8)
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        lines = [("Content-Type", "audio/mpeg"), ("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        up.queue([Headers(200, lines), Send(body)])
        client = await gw.client()
        await client.request("POST", SPEECH, json=SAID)
        assert (await client.read_head()).status == 200
        assert not (await client.eof()).endswith(b"0\r\n\r\n")
        assert (await gw.settled())["outcome"] == "broken"
        await plain_works(gw, up)


# Errors


def error_of(size: int) -> bytes:
    body = json.dumps(error_json("?", code="strange")).encode()
    return body.replace(b"?", b"x" * (size - len(body) + 1))


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
async def test_an_error_of_64_kb_is_relayed(framing: str) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(answer_with(error_of(MAX_ERROR), framing))
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.json["error"]["code"]) == (400, "strange")


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
async def test_a_larger_error_is_replaced_by_ours(framing: str) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(answer_with(error_of(MAX_ERROR + 1), framing))
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.json["error"]["code"]) == (400, "upstream_400")
        assert len(answer.body) < 1000
        await plain_works(gw, up)


async def test_an_endless_error_body_is_not_awaited() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        page = Chunk(b"<html>" + b"x" * MAX_ERROR)
        up.queue([Headers(400, [("Content-Type", "text/html"), ("Transfer-Encoding", "chunked")]), page, Stall()])
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.json["error"]["code"]) == (400, "upstream_400")
        await within((await up.request(0)).gone.wait(), "the gateway to close")
        await plain_works(gw, up)


def answer_with(body: bytes, framing: str) -> list[Any]:
    lines = [("Content-Type", "application/json")]
    if framing == "gzip":
        lines.append(("Content-Encoding", "gzip"))
        body = gzip.compress(body)
    if framing == "chunked":
        return [Headers(400, [*lines, ("Transfer-Encoding", "chunked")]), Chunk(body), LastChunk()]
    return [Headers(400, [*lines, ("Content-Length", str(len(body)))]), Send(body)]


# The request's body


@pytest.mark.parametrize(
    ("end", "status"),
    [(json_answer(error_json("Too large"), 413), 413), ([Reset()], 502)],
    ids=["refused", "reset"],
)
async def test_a_partly_sent_body_is_freed_without_the_garbage_collector(end: list[Any], status: int) -> None:
    size = 8 * 1024 * 1024
    body = json.dumps(CALL | {"user": "x" * size}).encode()
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        await plain_works(gw, up)
        up.on_head(lambda request: [PauseReading(), *end])
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            client = await gw.client()
            assert (await client.fetch("POST", CHAT, body=body)).status == status
            await gw.settled(2)
            assert tracemalloc.get_traced_memory()[1] > size
            await until(lambda: tracemalloc.get_traced_memory()[0] < size / 4, "the body to be let go")
        finally:
            tracemalloc.stop()
            gc.enable()
