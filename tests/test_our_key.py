"""A provider's key never appears in what a client reads, wherever the provider quotes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import (
    Chunk,
    Headers,
    LastChunk,
    Send,
    Upstream,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
)
from tests.support.answers import SSE_HEADERS, compact
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
KEY = "secret-key"  # of ``one_provider``
SAID = f"Not with Bearer {KEY}, please."
OTHER = "another/key+1"


async def response_of(gw: Gateway, method: str = "POST", target: str = CHAT, **members: Any) -> bytes:
    """Return head and body of the response as received."""
    client = await gw.client()
    await client.request(method, target, headers=[("Connection", "close")], json=CALL | members)
    return await client.eof()


def masked(seen: bytes, context: bytes = b"Not with Bearer ***, please.") -> None:
    assert KEY.encode() not in seen
    assert context in seen


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_the_body_of_an_error_has_our_key_masked(status: int) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on(lambda request: json_answer(error_json(SAID, code="strange"), status))
        masked(await response_of(gw))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 400])
async def test_header_lines_have_our_key_masked(stream: bool, status: int) -> None:
    lines = {"X-Seen": f"Bearer {KEY}", "X-Seen-Too": KEY}
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        if status == 400:
            up.queue(json_answer(error_json("No", code="strange"), 400, [*lines.items()]))
        elif stream:
            up.queue([Headers(200, [*SSE_HEADERS, *lines.items()]), *map(Chunk, chat_events("Hi")), LastChunk()])
        else:
            up.queue(json_answer(completion("Hi"), 200, [*lines.items()]))
        masked(await response_of(gw, stream=stream), b"X-Seen: Bearer ***\r\nX-Seen-Too: ***\r\n")


@pytest.mark.parametrize("after", [0, 3])
async def test_an_error_event_has_our_key_masked(after: int) -> None:
    event = b"data: " + compact(error_json(SAID, code="strange")) + b"\n\n"
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(*chat_events("Hello", " you")[:after], event))
        masked(await response_of(gw, stream=True))


async def test_a_bare_error_in_a_stream_has_our_key_masked() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        error = compact(error_json(SAID, code="strange")) + b"\n\n"
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello")[:2]), Chunk(error), LastChunk()])
        masked(await response_of(gw, stream=True))


async def test_credentials_in_configured_headers_are_masked_too() -> None:
    async with Upstream() as up, Gateway(one_provider(up, provider={"headers": {"X-Api-Key": OTHER}})) as gw:
        up.queue(json_answer(error_json(f"Not with {OTHER}.", code="strange"), 400, [("X-Seen", OTHER)]))
        seen = await response_of(gw)
        assert OTHER.encode() not in seen
        assert b"Not with ***." in seen
        assert b"X-Seen: ***\r\n" in seen


# Paths that are relayed untouched


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("status", [401, 500])
async def test_a_passthrough_error_has_our_key_masked(framing: str, status: int) -> None:
    body = compact(error_json(SAID))
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["POST /raw"]})) as gw:
        kind = ("Content-Type", "application/json")
        if framing == "length":
            up.queue([Headers(status, [kind, ("Content-Length", str(len(body)))]), Send(body)])
        else:
            up.queue([Headers(status, [kind, ("Transfer-Encoding", "chunked")]), Chunk(body), LastChunk()])
        client = await gw.client()
        answer = await client.fetch("POST", "/proxy/up/raw", json=CALL)
        assert answer.status == status
        assert answer.body == body.replace(KEY.encode(), b"***")


@pytest.mark.parametrize("status", [200, 400])
async def test_a_large_passthrough_response_is_complete(status: int) -> None:
    body = bytes(range(256)) * 4000
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["POST /raw"]})) as gw:
        up.queue([Headers(status, [("Content-Type", "a/b"), ("Content-Length", str(len(body)))]), Send(body)])
        client = await gw.client()
        answer = await client.fetch("POST", "/proxy/up/raw", json=CALL)
        assert (answer.status, answer.body) == (status, body)
        assert answer.header("content-length") == str(len(body))


async def test_a_passthrough_response_without_a_body_keeps_its_length() -> None:
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["HEAD /raw"]})) as gw:
        up.queue([Headers(404, [("Content-Type", "a/b"), ("Content-Length", "123")])])
        client = await gw.client()
        await client.request("HEAD", "/proxy/up/raw")
        head = await client.read_head()
        assert (head.status, head.header("content-length")) == (404, "123")
