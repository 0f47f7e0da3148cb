"""The SDKs of OpenAI, Anthropic and Google read an answer from the cache as they read the first one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from google import genai
from openai import AsyncOpenAI

from tests.cache.flows import cached
from tests.support import Chunk, Headers, LastChunk, Upstream, chat_events, completion, gemini, json_answer, sse_answer
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway
from tests.support.messages import begin, delta, stop
from tests.support.messages import event as message_event

HI: Any = [{"role": "user", "content": "Hi"}]
MESSAGE: Any = {"model": "m", "max_tokens": 9, "messages": HI}


@asynccontextmanager
async def gateway(kind: str = "") -> AsyncIterator[tuple[Gateway, Upstream]]:
    async with Upstream() as up:
        base = up.url.removesuffix("/v1") + "/v1beta" if kind == "gemini" else up.url
        provider = {"baseUrl": base, "apiKey": "k"} | ({"kind": kind} if kind else {})
        async with Gateway(cached(up, {}, providers={"up": provider})) as gw:
            yield gw, up


async def test_openai() -> None:
    async with gateway() as (gw, up), AsyncOpenAI(base_url=f"{gw.url}/v1", api_key="k", max_retries=0) as sdk:
        up.queue(
            sse_answer(
                *chat_events("Hello", " world", usage={"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})
            ),
            json_answer(completion("Hello")),
        )
        streams, plain = [], []
        for _ in range(2):
            stream = await sdk.chat.completions.create(
                model="m", messages=HI, stream=True, stream_options={"include_usage": True}
            )
            streams.append([chunk.model_dump() async for chunk in stream])
        for _ in range(2):
            response = await sdk.chat.completions.with_raw_response.create(model="m", messages=HI)
            plain.append((response.headers["x-router-cache"], response.parse().choices))
        assert streams[0] == streams[1]
        assert (
            "".join(each["choices"][0]["delta"]["content"] or "" for each in streams[1] if each["choices"])
            == "Hello world"
        )
        assert [state for state, _ in plain] == ["miss", "hit"]
        assert plain[0][1] == plain[1][1]
        assert len(up.requests) == 2


@pytest.mark.parametrize("kind", ["anthropic", ""])
async def test_anthropic(kind: str) -> None:
    """Passed through, and translated."""
    native = [
        begin(type="text", text=""),
        delta(type="text_delta", text="Hello"),
        delta(type="text_delta", text=" world"),
    ]
    async with gateway(kind) as (gw, up), AsyncAnthropic(base_url=gw.url, api_key="k", max_retries=0) as sdk:
        if kind:
            opening = message_event(
                "message_start",
                message={
                    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-up", "content": [],
                    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1},
                },
            )  # fmt: skip
            closing = [
                message_event("content_block_stop", index=0),
                stop("end_turn", output_tokens=2),
                message_event("message_stop"),
            ]
            up.queue(sse_answer(opening, *native, *closing))
        else:
            up.queue(sse_answer(*chat_events("Hello", " world")))
        found = []
        for _ in range(2):
            async with sdk.messages.stream(**MESSAGE) as stream:
                kinds = [each.type async for each in stream]
                message = await stream.get_final_message()
            found.append((kinds, message.model_dump(), stream.response.headers["x-router-cache"]))
        assert stream.response.headers["request-id"] == stream.response.headers["x-request-id"]
        assert found[0][:2] == found[1][:2]
        assert found[1][1]["content"][0]["text"] == "Hello world"
        assert [state for *_, state in found] == ["miss", "hit"]
        assert len(up.requests) == 1


async def test_google() -> None:
    blocks = gemini.events("Hello", " world", ".")
    async with gateway("gemini") as (gw, up), httpx2.AsyncClient() as http:
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, blocks), LastChunk()])
        options: Any = {"base_url": gw.url, "timeout": 10_000, "httpx_async_client": http}
        client = genai.Client(api_key="any", http_options=options)
        try:
            found = []
            for _ in range(2):
                stream = await client.aio.models.generate_content_stream(model="m", contents="Hi")
                chunks = [chunk async for chunk in stream]
                found.append([chunk.text for chunk in chunks])
                state = chunks[0].sdk_http_response.headers["x-router-cache"]  # type: ignore[union-attr, index]
                assert state == ("miss" if len(found) == 1 else "hit")
        finally:
            await client.aio.aclose()
            client.close()
        assert found[0] == found[1] == ["Hello", " world", "."]
        assert len(up.requests) == 1


async def test_google_without_events_gets_an_array() -> None:
    """A client without ``alt=sse``. The query is a part of the key."""
    blocks = gemini.events("Hello", ".")
    async with gateway("gemini") as (gw, up):
        up.on(lambda request: [Headers(200, SSE_HEADERS), *map(Chunk, blocks), LastChunk()])
        client = await gw.client()
        call = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
        answers = [await client.fetch("POST", "/v1beta/models/m:streamGenerateContent", json=call) for _ in range(2)]
        assert [answer.header("x-router-cache") for answer in answers] == ["miss", "hit"]
        assert answers[0].json == answers[1].json
        assert len(answers[1].json) == 2
