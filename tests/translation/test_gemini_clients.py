"""What only Google's own SDK does, before providers of other APIs: chats, functions of Python, and its two streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from google.genai import types
from google.genai.client import AsyncClient
from google.genai.errors import ServerError

from tests.support import Chunk, Close, Headers, RawClient
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway
from tests.support.gemini import connected
from tests.translation import chat_provider, messages_provider, responses_provider
from tests.translation.cases.tools import tools
from tests.translation.cells import CALLS, Api, Json
from tests.translation.rig import FINE, USUAL, StrictProvider, events_of, served

APIS: Final[tuple[Api, ...]] = ("chat", "responses", "messages")
STREAM = "/v1beta/models/m:streamGenerateContent"
SSE = Headers(200, SSE_HEADERS)
CITIES = ("Rome", "Oslo")


@asynccontextmanager
async def client_of(provider: StrictProvider) -> AsyncIterator[AsyncClient]:
    async with served(provider) as gw, connected(gw.url) as client:
        yield client


def parts_of(chunks: list[types.GenerateContentResponse]) -> list[types.Part]:
    return [part for chunk in chunks for part in chunk.parts or []]


def text_of(chunks: list[types.GenerateContentResponse]) -> str:
    return "".join(part.text or "" for part in parts_of(chunks))


def calling(api: Api) -> StrictProvider:
    """A provider that first calls the tool for each of the cities."""
    provider = StrictProvider(api)
    calls = [(f"c{at}", "weather", json.dumps({"city": city})) for at, city in enumerate(CITIES)]
    answers: dict[Api, Json] = {
        "chat": chat_provider.answer("tool_calls", tool_calls=[chat_provider.call(*call) for call in calls]),
        "responses": responses_provider.answer(*(responses_provider.call(*call) for call in calls)),
        "messages": messages_provider.answer(
            *(messages_provider.call(*call[:2], **json.loads(call[2])) for call in calls), finish="tool_use"
        ),
    }
    provider.answers.append(answers[api])
    return provider


each_api = pytest.mark.parametrize("api", APIS)
either_way = pytest.mark.parametrize("stream", [False, True])


@each_api
@either_way
async def test_a_chat_sends_the_results_of_parallel_calls_in_any_order(api: Api, stream: bool) -> None:
    provider = calling(api)
    declared: Any = [types.Tool.model_validate(tools()["gemini"]["tools"][0])]
    async with client_of(provider) as client:
        chat = client.chats.create(model="m", config=types.GenerateContentConfig(tools=declared))

        async def said(message: Any) -> list[types.GenerateContentResponse]:
            if not stream:
                return [await chat.send_message(message)]
            return [chunk async for chunk in await chat.send_message_stream(message)]

        calls = [part.function_call for part in parts_of(await said("Hi")) if part.function_call]
        assert [(call.id, call.name, call.args) for call in calls] == [
            ("c0", "weather", {"city": "Rome"}),
            ("c1", "weather", {"city": "Oslo"}),
        ]
        results = [
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "sun"}))
            for call in reversed(calls)
        ]
        assert text_of(await said(results)) == FINE
    assert provider.refused == []
    assert all(str(provider.asked[1]).count(f"'{call_id}'") == 2 for call_id in ("c0", "c1"))


@each_api
async def test_functions_of_python_are_called(api: Api) -> None:
    """The SDK calls them itself, and its results have no id in older versions."""
    called = []

    def weather(city: str) -> str:
        """Weather of a city."""
        called.append(city)
        return "sun"

    provider = calling(api)
    async with client_of(provider) as client:
        config = types.GenerateContentConfig(tools=[weather])
        assert text_of([await client.models.generate_content(model="m", contents="Hi", config=config)]) == FINE
    assert (called, provider.refused) == ([*CITIES], [])


async def test_tokens_cannot_be_counted_by_a_provider_of_chat() -> None:
    async with client_of(StrictProvider("chat")) as client:
        with pytest.raises(ServerError) as caught:
            await client.models.count_tokens(model="m", contents="Hi")
        assert (caught.value.code, caught.value.status) == (501, "UNIMPLEMENTED")


METHODS: dict[Api, list[str]] = {
    "chat": ["generateContent", "embedContent", "batchEmbedContents"],
    "responses": ["generateContent"],
    "messages": ["generateContent", "countTokens"],
}


@each_api
async def test_models_are_listed(api: Api) -> None:
    async with client_of(StrictProvider(api)) as client:
        found = await client.models.get(model="m")
        assert found.supported_actions == METHODS[api]
        assert [each.name async for each in await client.models.list(config={"query_base": True})] == ["models/m"]


@each_api
async def test_a_stream_has_only_lines_that_googles_sdks_read(api: Api) -> None:
    """They raise on comments, on names and on [DONE]."""
    provider = StrictProvider(api)
    noise = [Chunk(b": keep-alive\n\n")]
    events = [each for event in events_of(api, USUAL[api]) for each in (Chunk(event), *noise)]
    provider.scripts.append([SSE, *noise, *events, Close()])
    async with served(provider) as gw:
        client = await asked(gw, f"{STREAM}?alt=sse")
        body = await client.read_body()
    assert all(line.startswith(b"data: {") for line in body.splitlines() if line)
    assert b"[DONE]" not in body


@each_api
async def test_without_sse_the_answer_is_an_array(api: Api) -> None:
    provider = StrictProvider(api)
    events = events_of(api, USUAL[api])
    begun = next(at for at, event in enumerate(events) if FINE[:4].encode() in event)
    provider.scripts.append([SSE, *map(Chunk, events[: begun + 1]), Close()])
    async with served(provider) as gw:
        broken = json.loads(await (await asked(gw, STREAM)).read_body())
        whole = json.loads(await (await asked(gw, STREAM)).read_body())
    assert broken[-1]["error"]["status"] == "UNAVAILABLE"
    texts = [part["text"] for chunk in whole for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(texts) == FINE
    assert whole[-1]["usageMetadata"]["totalTokenCount"] == 130


async def asked(gw: Gateway, target: str) -> RawClient:
    client = await gw.client()
    await client.request("POST", target, json=CALLS["gemini"])
    await client.read_head()
    return client
