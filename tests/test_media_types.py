"""Event streams under any media type, and unrequested ones."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.wire.sse import BOM
from tests.support import (
    Answer,
    Chunk,
    Close,
    Headers,
    LastChunk,
    Send,
    Upstream,
    answered_by,
    chat_events,
    completion,
    error_json,
    sse,
    sse_answer,
    unspliced,
)
from tests.support.answers import DONE, SSE_HEADERS, compact
from tests.support.candidates import candidates
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
EVENTS = chat_events("Hello", " world")
WHOLE = b"".join(EVENTS)
KINDS = ["text/plain", "text/html; charset=utf-8", "application/octet-stream", "application/json", None]
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


def head(kind: str | None, *more: tuple[str, str]) -> Headers:
    """Of a chunked answer."""
    named = [] if kind is None else [("Content-Type", kind)]
    return Headers(200, [*named, *(more or [("Transfer-Encoding", "chunked")])])


async def fetch(gw: Gateway, call: dict[str, Any] = STREAM) -> Answer:
    return await (await gw.client()).fetch("POST", CHAT, json=call)


@kinds
@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("lead", [b"", BOM, b"\r\n\n", b": wait\n\n", b"retry: 5\n"])
async def test_a_body_that_starts_like_an_event_stream_is_one_under_any_media_type(
    up: Upstream, kind: str | None, step: int, lead: bytes
) -> None:
    stream = lead + WHOLE
    async with Gateway(one_provider(up)) as gw:
        pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
        up.queue([head(kind), *map(Chunk, pieces), LastChunk()])
        answer = await fetch(gw)
        assert (answer.status, answer.body) == (200, stream)
        assert answer.header("content-type") == "text/event-stream; charset=utf-8"
        assert answer.header("cache-control") == "no-cache, no-transform"
        assert (await gw.settled())["outcome"] == "ok"


@kinds
async def test_a_mislabeled_stream_is_validated_like_any_other(up: Upstream, kind: str | None) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([head(kind), Chunk(EVENTS[0]), Chunk(sse(error_json("Late.", code="c"))), LastChunk()])
        up.queue([head(kind), *map(Chunk, EVENTS[:2]), Close()])
        refused, cut = await fetch(gw), await fetch(gw)
        assert (refused.status, refused.json["error"]["code"]) == (502, "c")
        assert cut.body.startswith(EVENTS[0] + EVENTS[1] + b'data: {"error":')


async def test_a_mislabeled_stream_may_have_a_length_or_be_compressed(up: Upstream) -> None:
    packed = gzip.compress(WHOLE)
    coded = [("Content-Encoding", "gzip"), ("Content-Length", str(len(packed)))]
    async with Gateway(one_provider(up)) as gw:
        up.queue([head("text/plain", ("Content-Length", str(len(WHOLE)))), Send(WHOLE)])
        up.queue([head("text/plain", *coded), Send(packed)])
        for _ in range(2):
            answer = await fetch(gw)
            assert (answer.body, answer.header("content-length")) == (WHOLE, None)


@kinds
@pytest.mark.parametrize("blank", [b"", b"\n\n\n"])
async def test_json_instead_of_a_stream_stays_json(up: Upstream, kind: str | None, blank: bytes) -> None:
    body = blank + compact(completion())
    async with Gateway(one_provider(up)) as gw:
        up.queue([head(kind), *(Chunk(body[at : at + 1]) for at in range(len(body))), LastChunk()])
        answer = await fetch(gw)
        assert unspliced(answer.body) == (body, answered_by())


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "upstream_empty_answer"), (b"\n\n", "upstream_empty_answer"), (b"dat", "upstream_broken_answer"),
     (b"<html>", "upstream_broken_answer"), (b"database", "upstream_broken_answer"), (b"\n" * 70_000, "upstream_empty_answer")],
)  # fmt: skip
async def test_other_content_is_an_invalid_response(up: Upstream, body: bytes, code: str) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([head("text/plain"), *([Chunk(body)] if body else []), LastChunk()])
        answer = await fetch(gw)
        assert (answer.status, answer.json["error"]["code"]) == (502, code)


@pytest.mark.parametrize("endpoint", ["chat/completions", "embeddings", "responses"])
async def test_an_unrequested_stream_is_an_invalid_response(up: Upstream, endpoint: str) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        for kind in ("text/event-stream", "text/plain"):
            up.queue([head(kind), *map(Chunk, EVENTS), LastChunk()])
            answer = await client.fetch("POST", f"/v1/{endpoint}", json=CALL | {"input": "Hi"})
            assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_broken_answer")
            assert b"Hello" not in answer.body


async def test_an_unrequested_stream_fails_over() -> None:
    async with candidates("ab") as (gw, ups, _):
        ups[0].queue(sse_answer(*EVENTS))
        ups[1].queue([head("application/json"), Chunk(compact(completion("whole"))), LastChunk()])
        answer = await fetch(gw, CALL | {"model": ["a", "b"]})
        assert answer.json["choices"][0]["message"]["content"] == "whole"


async def test_speech_may_stream_without_stream_in_the_request(up: Upstream) -> None:
    event = sse({"type": "speech.audio.delta", "audio": "AAAA"})
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, SSE_HEADERS), Chunk(event), LastChunk()])
        client = await gw.client()
        answer = await client.fetch(
            "POST", "/v1/audio/speech", json={"model": "m", "input": "Hi", "stream_format": "sse"}
        )
        assert answer.body == event


async def test_raw_audio_is_never_parsed_as_events(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([head("application/octet-stream"), Chunk(b":\0data"), LastChunk()])
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/audio/speech", json={"model": "m", "input": "Hi", "stream": True})
        assert (answer.body, answer.header("content-type")) == (b":\0data", "application/octet-stream")


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
async def test_an_error_object_under_text_event_stream_is_that_error(up: Upstream, end: bytes) -> None:
    error = compact(error_json("Slow down.", kind="invalid_request_error", code="odd") | {"status_code": 422}) + end
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, SSE_HEADERS), Chunk(error), LastChunk()])
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, [*EVENTS[:2], error]), LastChunk()])
        refused, late = await fetch(gw), await fetch(gw)
        assert (refused.status, refused.json["error"]["code"]) == (422, "odd")
        assert late.body.startswith(EVENTS[0] + EVENTS[1] + b'data: {"error":')
        assert b'"odd"' in late.body
        assert DONE not in late.body
        assert [line["outcome"] for line in gw.exchanges] == ["error", "broken"]
