"""Google's own SDK before providers of other APIs, which refuse what real ones refuse."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.genai import types
from google.genai.client import AsyncClient
from google.genai.errors import ClientError, ServerError

from tests.support import Chunk, Close, Headers, RawClient, Wait, json_answer
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway
from tests.support.gemini import connected
from tests.translation import chat_provider, messages_provider
from tests.translation.rig import FINE, StrictProvider, events_of, served

Json = dict[str, Any]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
APIS = ("chat", "messages")
STREAM = "/v1beta/models/m:streamGenerateContent"
CALL = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
SSE = Headers(200, SSE_HEADERS)
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            description="Weather of a city",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}, required=["city"]
            ),
        )
    ]
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SIGNATURE = "ErUBCkYIBRgCIkA="


@asynccontextmanager
async def client_of(provider: StrictProvider, **options: Any) -> AsyncIterator[tuple[AsyncClient, Gateway]]:
    async with served(provider, **options) as gw, connected(gw.url) as client:
        yield client, gw


async def ask(
    client: AsyncClient, contents: Any = "Hi", *, stream: bool, **config: Any
) -> list[types.GenerateContentResponse]:
    """The chunks of an answer; a plain one is the only chunk."""
    arguments: Any = {"model": "m", "contents": contents, "config": types.GenerateContentConfig(**config)}
    if not stream:
        return [await client.models.generate_content(**arguments)]
    return [chunk async for chunk in await client.models.generate_content_stream(**arguments)]


def parts_of(chunks: list[types.GenerateContentResponse]) -> list[types.Part]:
    return [part for chunk in chunks for part in chunk.parts or []]


def text_of(chunks: list[types.GenerateContentResponse]) -> str:
    return "".join(part.text or "" for part in parts_of(chunks) if not part.thought)


def calls_answer(api: str, *cities: str) -> Json:
    if api == "chat":
        calls = [chat_provider.call(f"c{n}", "weather", json.dumps({"city": city})) for n, city in enumerate(cities)]
        return chat_provider.answer("tool_calls", tool_calls=calls)
    blocks = [messages_provider.call(f"c{n}", "weather", city=city) for n, city in enumerate(cities)]
    return messages_provider.answer(*blocks, finish="tool_use")


both = pytest.mark.parametrize("api", APIS)
either_way = pytest.mark.parametrize("stream", [False, True])


@both
@either_way
async def test_a_text_with_its_usage(api: str, stream: bool) -> None:
    provider = StrictProvider(api)
    async with client_of(provider) as (client, gw):
        chunks = await ask(client, stream=stream, system_instruction="Be brief.", max_output_tokens=50)
        assert text_of(chunks) == FINE
        last = chunks[-1]
        assert last.candidates is not None
        assert last.candidates[0].finish_reason is types.FinishReason.STOP
        usage = last.usage_metadata
        assert usage is not None
        assert (usage.prompt_token_count, usage.cached_content_token_count) == (100, 20)
        assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (25, 5, 130)
        assert {chunk.response_id for chunk in chunks} == {last.response_id}
        assert last.model_version in ("up-model", "claude-up")
        assert (await gw.settled())["outcome"] == "ok"
    assert provider.refused == []
    if api == "chat":
        assert [each["role"] for each in provider.asked[0]["messages"]] == ["system", "user"]
    else:
        assert provider.asked[0]["system"] == [{"type": "text", "text": "Be brief."}]
    assert provider.asked[0]["max_tokens"] == 50


@both
@either_way
async def test_parallel_calls_and_their_results(api: str, stream: bool) -> None:
    provider = StrictProvider(api)
    provider.answers.append(calls_answer(api, "Rome", "Oslo"))
    async with client_of(provider) as (client, _):
        chat = client.chats.create(model="m", config=types.GenerateContentConfig(tools=[WEATHER]))
        chunks = (
            [chunk async for chunk in await chat.send_message_stream("Hi")]
            if stream
            else [await chat.send_message("Hi")]
        )
        calls = [part.function_call for part in parts_of(chunks) if part.function_call]
        assert [(call.id, call.name, call.args) for call in calls] == [
            ("c0", "weather", {"city": "Rome"}),
            ("c1", "weather", {"city": "Oslo"}),
        ]
        results = [
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "sun"}))
            for call in reversed(calls)
        ]
        if stream:
            assert text_of([chunk async for chunk in await chat.send_message_stream(results)]) == FINE
        else:
            assert text_of([await chat.send_message(results)]) == FINE
    assert provider.refused == []
    first, second = provider.asked
    if api == "chat":
        assert first["tools"][0]["function"] == {
            "name": "weather",
            "description": "Weather of a city",
            "parameters": SCHEMA,
        }
        assert [each["role"] for each in second["messages"]] == ["user", "assistant", "tool", "tool"]
        assert {each["tool_call_id"] for each in second["messages"][2:]} == {"c0", "c1"}
    else:
        assert first["tools"][0]["input_schema"] == SCHEMA
        assert [each["role"] for each in second["messages"]] == ["user", "assistant", "user"]
        assert {each["tool_use_id"] for each in second["messages"][2]["content"]} == {"c0", "c1"}


@both
async def test_functions_of_python_are_called(api: str) -> None:
    """The SDK calls them itself, and its results have no id in older versions."""
    called = []

    def weather(city: str) -> str:
        """Weather of a city."""
        called.append(city)
        return "sun"

    provider = StrictProvider(api)
    provider.answers.append(calls_answer(api, "Rome", "Oslo"))
    async with client_of(provider) as (client, _):
        assert text_of(await ask(client, stream=False, tools=[weather])) == FINE
    assert (called, provider.refused) == (["Rome", "Oslo"], [])


@both
async def test_an_image_and_an_image_of_a_result(api: str) -> None:
    provider = StrictProvider(api)
    image = types.Part.from_bytes(data=PIXEL, mime_type="image/png")
    call = types.Part(function_call=types.FunctionCall(name="look", args={}))
    blob = types.FunctionResponseBlob(mime_type="image/png", data=PIXEL)
    result = types.FunctionResponse(
        name="look", response={"output": "See."}, parts=[types.FunctionResponsePart(inline_data=blob)]
    )
    contents: Any = [
        types.Content(role="user", parts=[types.Part(text="Look."), image]),
        types.Content(role="model", parts=[call]),
        types.Content(role="user", parts=[types.Part(function_response=result)]),
    ]
    async with client_of(provider) as (client, _):
        assert text_of(await ask(client, contents, stream=False)) == FINE
    assert provider.refused == []
    assert json.dumps(provider.asked[0]).count(base64.b64encode(PIXEL).decode()) == 2


@either_way
@pytest.mark.parametrize("shown", [False, True])
async def test_signed_thinking_goes_back_to_its_provider(stream: bool, shown: bool) -> None:
    thought = {"type": "thinking", "thinking": "Rome is warm.", "signature": SIGNATURE}
    provider = StrictProvider("messages", [SIGNATURE])
    call = messages_provider.call("c0", "weather", city="Rome")
    provider.answers.append(messages_provider.answer(thought, call, finish="tool_use"))
    thinking = types.ThinkingConfig(include_thoughts=shown, thinking_level=types.ThinkingLevel.HIGH)
    async with client_of(provider) as (client, _):
        config: Any = {"tools": [WEATHER], "thinking_config": thinking}
        chunks = await ask(client, stream=stream, **config)
        parts = parts_of(chunks)
        assert [part.text for part in parts if part.thought] == (["Rome is warm."] if shown and not stream else []) or (
            stream and "".join(part.text or "" for part in parts if part.thought) == ("Rome is warm." if shown else "")
        )
        # Gemini CLI sends no thoughts back, the SDK for Python does.
        kept = parts if shown else [part for part in parts if not part.thought]
        result = types.Part(
            function_response=types.FunctionResponse(id="c0", name="weather", response={"output": "sun"})
        )
        history: Any = [
            types.Content(role="user", parts=[types.Part(text="Hi")]),
            *(types.Content(role="model", parts=[part]) for part in kept),
            types.Content(role="user", parts=[result]),
        ]
        assert text_of(await ask(client, history, stream=stream, **config)) == FINE
    assert provider.refused == []
    assert provider.asked[0]["thinking"] == {"type": "adaptive", "display": "summarized" if shown else "omitted"}
    assert provider.asked[1]["messages"][1]["content"][0] == thought


@both
async def test_structured_output(api: str) -> None:
    provider = StrictProvider(api)
    made = '{"city": "Rome"}'
    provider.answers.append(
        chat_provider.answer(content=made) if api == "chat" else messages_provider.answer(messages_provider.text(made))
    )
    async with client_of(provider) as (client, _):
        schema = types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)})
        (found,) = await ask(client, stream=False, response_mime_type="application/json", response_schema=schema)
        assert found.parsed == {"city": "Rome"}
    assert provider.refused == []
    sent = json.dumps(provider.asked[0])
    assert '"properties": {"city": {"type": "string"}}' in sent


@both
async def test_what_is_lost_is_told_by_the_clients_names(api: str) -> None:
    async with client_of(StrictProvider(api)) as (_, gw):
        body = CALL | {
            "safetySettings": [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}],
            "tools": [{"googleSearch": {}}],
            "generationConfig": {"seed": 7, "top_k": 5, "speechConfig": {}},
        }
        client = await gw.client()
        answer = await client.fetch("POST", "/v1beta/models/m:generateContent", json=body)
        told = set((answer.header("x-router-dropped") or "").split(", "))
    lost = {"safetySettings", "tools[googleSearch]", "generationConfig.speechConfig"}
    assert told == lost | {"generationConfig.topK"} | ({"generationConfig.seed"} if api == "messages" else set())


@both
async def test_what_cannot_be_carried_is_refused_in_googles_words(api: str) -> None:
    provider = StrictProvider(api)
    async with client_of(provider) as (client, _):
        video = types.Part.from_bytes(data=b"x", mime_type="video/mp4")
        with pytest.raises(ClientError) as caught:
            await ask(client, [video], stream=False)
        assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
        assert "contents[0].parts[0].inlineData.mimeType" in str(caught.value)
        with pytest.raises(ClientError, match="cachedContent"):
            await ask(client, stream=True, cached_content="cachedContents/1")
        with pytest.raises(ClientError, match=r"generationConfig\.candidateCount"):
            await ask(client, stream=True, candidate_count=2)
    assert provider.asked == []


@both
async def test_tokens_cannot_be_counted(api: str) -> None:
    async with client_of(StrictProvider(api)) as (client, _):
        with pytest.raises(ServerError) as caught:
            await client.models.count_tokens(model="m", contents="Hi")
        assert (caught.value.code, caught.value.status) == (501, "UNIMPLEMENTED")


@both
async def test_models_are_listed(api: str) -> None:
    async with client_of(StrictProvider(api)) as (client, _):
        found = await client.models.get(model="m")
        assert found.supported_actions == ["generateContent"]
        assert [each.name async for each in await client.models.list(config={"query_base": True})] == ["models/m"]


@both
@either_way
async def test_an_error_before_the_content_is_an_http_error(api: str, stream: bool) -> None:
    made = chat_provider if api == "chat" else messages_provider
    provider = StrictProvider(api)
    provider.scripts.append(json_answer(made.error("Slow down.", 429), 429))
    async with client_of(provider) as (client, _):
        with pytest.raises(ClientError) as caught:
            await ask(client, stream=stream)
        assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
        assert "Slow down." in str(caught.value)


def text_events(api: str) -> list[bytes]:
    """The events of the usual text, up to and with its first piece."""
    whole = (
        chat_provider.answer(content="One two")
        if api == "chat"
        else messages_provider.answer(messages_provider.text("One two"))
    )
    events = events_of(api, whole)
    first = next(index for index, event in enumerate(events) if b"One" in event or b'"O' in event)
    return events[: first + 1]


def error_of(api: str) -> list[Any]:
    made = chat_provider if api == "chat" else messages_provider
    return [Chunk(made.error_event("Overloaded.")), Close()]


@both
@pytest.mark.parametrize("ending", [error_of, lambda api: [Close()]], ids=["error", "cut"])
async def test_a_stream_that_breaks_raises_once(api: str, ending: Callable[[str], list[Any]]) -> None:
    provider = StrictProvider(api)
    provider.scripts.append([SSE, *map(Chunk, text_events(api)), *ending(api)])
    async with client_of(provider) as (client, gw):
        stream = aiter(await client.models.generate_content_stream(model="m", contents="Hi"))
        assert (await anext(stream)).text
        with pytest.raises(ServerError) as caught:
            await anext(stream)
        assert caught.value.status in ("UNAVAILABLE", "INTERNAL")
        assert (await gw.settled())["outcome"] == "broken"


@both
async def test_a_stream_has_only_lines_that_googles_sdks_read(api: str) -> None:
    """They raise on comments, on names and on [DONE]."""
    provider = StrictProvider(api)
    noise = [Chunk(b": keep-alive\n\n")]
    whole = (
        chat_provider.answer(content="One two")
        if api == "chat"
        else messages_provider.answer(messages_provider.text("One two"))
    )
    provider.scripts.append(
        [SSE, *noise, *(each for event in events_of(api, whole) for each in (Chunk(event), *noise)), Close()]
    )
    async with served(provider) as gw:
        client = await asked(gw, f"{STREAM}?alt=sse")
        body = await client.read_body()
    assert all(line.startswith(b"data: {") for line in body.splitlines() if line)
    assert b"[DONE]" not in body


@both
@pytest.mark.parametrize("place", ["before", "within"])
async def test_silence_is_filled_with_blank_lines(api: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.app.PING_EVERY", 0.1)
    go = asyncio.Event()
    provider = StrictProvider(api)
    events = text_events(api)
    steps = [Wait(go), SSE, *map(Chunk, events)] if place == "before" else [SSE, *map(Chunk, events), Wait(go)]
    provider.scripts.append([*steps, Close()])
    async with served(provider, server={"pingAfter": 0.1}) as gw:
        client = await gw.client()
        await client.request("POST", f"{STREAM}?alt=sse", json=CALL)
        await client.read_head()
        if place == "within":
            assert (await client.read_chunk()).startswith(b"data: {")
        assert [await client.read_chunk() for _ in range(3)] == [b"\n"] * 3
        go.set()
        assert b'{"error":' in await client.read_body()


@both
async def test_without_sse_the_answer_is_an_array(api: str) -> None:
    provider = StrictProvider(api)
    provider.scripts.append([SSE, *map(Chunk, text_events(api)), Close()])
    async with served(provider) as gw:
        broken = json.loads(await (await asked(gw, STREAM)).read_body())
        whole = json.loads(await (await asked(gw, STREAM)).read_body())
    assert broken[-1]["error"]["status"] == "UNAVAILABLE"
    texts = [part["text"] for chunk in whole for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(texts) == FINE
    assert whole[-1]["usageMetadata"]["totalTokenCount"] == 130


async def asked(gw: Gateway, target: str) -> RawClient:
    client = await gw.client()
    await client.request("POST", target, json=CALL)
    await client.read_head()
    return client
