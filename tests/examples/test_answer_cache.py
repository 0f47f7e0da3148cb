"""The example of a cache, with the openai package, over sockets."""

from __future__ import annotations

import sys
import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, InternalServerError

from tests.examples.answer_cache import AnswerCache
from tests.support import Close, Upstream, chat_events, completion, error_json, json_answer, sse_answer
from tests.support.gateway import Gateway, one_provider

CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
OTHER: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Bye"}]}
EVENTS = chat_events("Hello", " world")


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def gw(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    module = types.ModuleType("cache_under_test")
    module.hook = AnswerCache()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    async with Gateway(one_provider(up, hooks=["cache_under_test:hook"])) as gateway:
        yield gateway


@asynccontextmanager
async def sdk(gw: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gw.url}/v1", api_key="any", max_retries=0, timeout=10.0) as client:
        yield client


async def streamed(client: AsyncOpenAI, call: dict[str, Any] = CALL) -> str:
    stream = await client.chat.completions.create(**call, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


async def test_a_repeated_plain_call_is_served_from_the_cache(up: Upstream, gw: Gateway) -> None:
    up.queue(json_answer(completion("Hello world")))
    async with sdk(gw) as client:
        texts = [(await client.chat.completions.create(**CALL)).choices[0].message.content for _ in range(3)]
    assert texts == ["Hello world"] * 3
    assert len(up.requests) == 1
    lines = [await gw.settled(number) for number in (1, 2, 3)]
    assert [(line["outcome"], line["attempts"]) for line in lines] == [("ok", 1), ("ok", 0), ("ok", 0)]


async def test_a_repeated_stream_is_served_from_the_cache(up: Upstream, gw: Gateway) -> None:
    up.queue(sse_answer(*EVENTS))
    async with sdk(gw) as client:
        assert [await streamed(client) for _ in range(3)] == ["Hello world"] * 3
    assert len(up.requests) == 1
    lines = [await gw.settled(number) for number in (1, 2, 3)]
    assert [(line["outcome"], line["attempts"]) for line in lines] == [("ok", 1), ("ok", 0), ("ok", 0)]


async def test_a_stream_is_replayed_byte_for_byte(up: Upstream, gw: Gateway) -> None:
    up.queue(sse_answer(*EVENTS))
    client = await gw.client()
    for attempts in ("1", "0"):
        answer = await client.fetch("POST", "/v1/chat/completions", json=CALL | {"stream": True})
        assert (answer.status, answer.body) == (200, b"".join(EVENTS))
        assert answer.header("content-type") == "text/event-stream"
        assert answer.header("x-router-attempts") == attempts


async def test_plain_calls_streams_and_other_prompts_have_separate_entries(up: Upstream, gw: Gateway) -> None:
    up.queue(json_answer(completion("plain")))
    up.queue(sse_answer(*EVENTS))
    up.queue(json_answer(completion("other")))
    async with sdk(gw) as client:
        assert (await client.chat.completions.create(**CALL)).choices[0].message.content == "plain"
        assert await streamed(client) == "Hello world"
        assert (await client.chat.completions.create(**OTHER)).choices[0].message.content == "other"
    assert len(up.requests) == 3


async def test_an_error_is_not_cached(up: Upstream, gw: Gateway) -> None:
    up.queue(json_answer(error_json("no"), status=500))
    up.queue(json_answer(completion("Hello")))
    async with sdk(gw) as client:
        with pytest.raises(InternalServerError):
            await client.chat.completions.create(**CALL)
        assert (await client.chat.completions.create(**CALL)).choices[0].message.content == "Hello"


async def test_a_broken_stream_is_not_cached(up: Upstream, gw: Gateway) -> None:
    up.queue([*sse_answer(*EVENTS[:2])[:-1], Close()])
    up.queue(sse_answer(*EVENTS))
    async with sdk(gw) as client:
        with pytest.raises(APIError):
            await streamed(client)
        assert await streamed(client) == "Hello world"
        assert await streamed(client) == "Hello world"
    assert len(up.requests) == 2
