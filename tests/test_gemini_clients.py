"""Google's own SDK, and clients that read a JSON array, against the gateway and a scripted provider."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import types
from google.genai.client import AsyncClient
from google.genai.errors import ClientError, ServerError

from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Upstream,
    Wait,
    gemini,
    json_answer,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway
from tests.support.gemini import (
    CHUNKS,
    WIRE,
    candidate,
    data_of,
    document,
    event,
    events,
    framed,
    needs_recordings,
)
from tests.support.recorded import Case

STREAM = "/v1beta/models/flash:streamGenerateContent"
CALL = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SIGNATURE = b"\x01signature\xff"
FIRST, SECOND, LAST = events("Hello", " wörld", ".")
OVERLOADED = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
SSE = Headers(200, SSE_HEADERS)


@pytest.fixture(autouse=True)
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.1)


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


# For tests of silence only: on a busy machine any answer may take so long.
QUICK_PINGS = {"pingAfter": 0.1}


def config(up: Upstream, **sections: Any) -> dict[str, Any]:
    base = up.url.removesuffix("/v1") + "/v1beta"
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "providers": {"google": {"kind": "gemini", "baseUrl": base, "apiKey": "google-key"}},
        "models": [{"name": "flash", "provider": "google", "model": "gemini-up"}],
    } | sections


@asynccontextmanager
async def sdk(gw: Gateway, *, aiohttp: bool = False, version: str = "") -> AsyncIterator[AsyncClient]:
    """The SDK over httpx, or over aiohttp, where it has a parser of its own. Its version of the API is v1 by default."""
    async with httpx2.AsyncClient() as http:
        options: Any = {"base_url": gw.url, "timeout": 10_000} | ({} if aiohttp else {"httpx_async_client": http})
        options |= {"api_version": version} if version else {}
        client = genai.Client(api_key="any", http_options=options)
        try:
            yield client.aio
        finally:
            await client.aio.aclose()
            client.close()


def stream_of(*blocks: bytes) -> list[Any]:
    return [SSE, *map(Chunk, blocks), LastChunk()]


async def texts(client: AsyncClient, **config: Any) -> list[str | None]:
    stream = await client.models.generate_content_stream(model="flash", contents="Hi", config=config or None)  # type: ignore[arg-type]
    return [chunk.text async for chunk in stream]


async def raw(gw: Gateway, target: str = STREAM) -> RawClient:
    client = await gw.client()
    await client.request("POST", target, json=CALL)
    return client


def read(*pieces: bytes) -> Iterator[types.GenerateContentResponse]:
    """What the SDK makes of bytes that a raw client got."""
    return gemini.stream_of(pieces)


# Answers


@pytest.mark.parametrize("version", ["", "v1beta", "v1alpha"])
async def test_text_and_its_usage(up: Upstream, version: str) -> None:
    up.queue(json_answer(document(candidate("Hello", finish="STOP"))))
    async with Gateway(config(up)) as gw, sdk(gw, version=version) as client:
        found = await client.models.generate_content(model="flash", contents="Hi")
        assert (found.text, found.model_version) == ("Hello", "gemini-up")
        request = await up.request()
        assert request.target == "/v1beta/models/gemini-up:generateContent"
        assert request.header("x-goog-api-key") == "google-key"
        exchange = await gw.settled()
        assert (exchange["outcome"], exchange["tokens"]) == (
            "ok",
            {"input": 9, "cached": None, "output": 2, "reasoning": None},
        )


async def test_a_stream_arrives_chunk_by_chunk(up: Upstream) -> None:
    go = asyncio.Event()
    up.queue([SSE, Chunk(FIRST), Wait(go), Chunk(SECOND), Chunk(LAST), LastChunk()])
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        stream = await client.models.generate_content_stream(model="flash", contents="Hi")
        chunks = aiter(stream)
        assert (await within(anext(chunks), "the first chunk")).text == "Hello"
        go.set()
        assert [chunk.text async for chunk in chunks] == [" wörld", "."]
        assert (await up.request()).target == "/v1beta/models/gemini-up:streamGenerateContent?alt=sse"
        exchange = await gw.settled()
        assert (exchange["outcome"], exchange["stream"], exchange["model"]) == ("ok", True, "flash")


async def test_parallel_calls_and_thoughts_keep_their_signatures(up: Upstream) -> None:
    signed = base64.b64encode(SIGNATURE).decode()
    thought = {"text": "Hm.", "thought": True}
    calls = [
        {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": signed},
        {"functionCall": {"name": "g", "args": {}}},
    ]
    up.queue(stream_of(event(document(candidate(thought))), event(document(candidate(*calls, finish="STOP")))))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        tool = types.Tool(
            function_declarations=[types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"})]
        )
        thinking = types.ThinkingConfig(include_thoughts=True)
        stream = await client.models.generate_content_stream(
            model="flash", contents="Hi", config=types.GenerateContentConfig(tools=[tool], thinking_config=thinking)
        )
        parts = [part async for chunk in stream for part in chunk.parts or []]
        assert [(part.text, part.thought) for part in parts[:1]] == [("Hm.", True)]
        assert [part.function_call.name for part in parts[1:] if part.function_call] == ["f", "g"]
        assert parts[1].thought_signature == SIGNATURE
        sent = (await up.request()).json
        assert sent["tools"][0]["functionDeclarations"][0]["parameters_json_schema"] == {"type": "object"}


async def test_the_round_trip_of_a_tool_with_an_image(up: Upstream) -> None:
    up.queue(json_answer(document(candidate("A pixel.", finish="STOP"))))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        history: Any = [
            types.Content(role="user", parts=[types.Part.from_bytes(data=PIXEL, mime_type="image/png")]),
            types.Content(
                role="model",
                parts=[types.Part(function_call=types.FunctionCall(name="f", args={}), thought_signature=SIGNATURE)],
            ),
            types.Content(role="user", parts=[types.Part.from_function_response(name="f", response={"output": 1})]),
        ]
        assert (await client.models.generate_content(model="flash", contents=history)).text == "A pixel."
        image, call, result = [content["parts"][0] for content in (await up.request()).json["contents"]]
        assert base64.urlsafe_b64decode(image["inlineData"]["data"]) == PIXEL
        assert base64.urlsafe_b64decode(call["thoughtSignature"]) == SIGNATURE
        assert result["functionResponse"]["response"] == {"output": 1}


async def test_structured_output(up: Upstream) -> None:
    up.queue(json_answer(document(candidate('{"x": 1}', finish="STOP"))))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        settings = types.GenerateContentConfig(
            response_mime_type="application/json", response_json_schema={"type": "object"}
        )
        found = await client.models.generate_content(model="flash", contents="Hi", config=settings)
        assert found.parsed == {"x": 1}
        assert (await up.request()).json["generationConfig"]["responseJsonSchema"] == {"type": "object"}


async def test_several_candidates(up: Upstream) -> None:
    both = [event(document(candidate("a", index=0), candidate("b", index=1)))]
    ends = [event(document(candidate(finish="STOP", index=place))) for place in (0, 1)]
    up.queue(stream_of(*both, *ends), stream_of(*both, ends[0]))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        assert len(await texts(client, candidate_count=2)) == 3
        with pytest.raises(ServerError):
            await texts(client, candidate_count=2)
        assert [(await gw.settled(number))["outcome"] for number in (1, 2)] == ["ok", "broken"]


async def test_counted_tokens_have_no_usage(up: Upstream) -> None:
    up.queue(json_answer({"totalTokens": 31}))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        assert (await client.models.count_tokens(model="flash", contents="Hi")).total_tokens == 31
        assert (await up.request()).target == "/v1beta/models/gemini-up:countTokens"
        assert (await gw.settled())["tokens"] is None


async def test_embeddings_name_the_providers_model_in_path_and_body(up: Upstream) -> None:
    up.queue(json_answer({"embeddings": [{"values": [0.5]}, {"values": [0.25]}]}))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        found = await client.models.embed_content(model="flash", contents=["a", "b"])
        assert [each.values for each in found.embeddings or []] == [[0.5], [0.25]]
        request = await up.request()
        assert request.target == "/v1beta/models/gemini-up:batchEmbedContents"
        assert [each["model"] for each in request.json["requests"]] == ["models/gemini-up"] * 2


async def test_models_are_listed(up: Upstream) -> None:
    async with Gateway(config(up)) as gw, sdk(gw, version="v1beta") as client:
        assert [model.name async for model in await client.models.list(config={"query_base": True})] == ["models/flash"]
        assert (await client.models.get(model="flash")).display_name == "flash"


# Errors


REFUSALS = [
    (400, {"error": {"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).", "status": "INVALID_ARGUMENT"}}, 400, "INVALID_ARGUMENT"),
    (404, {"error": {"code": 404, "message": "models/gemini-up is not found for API version v1beta.", "status": "NOT_FOUND"}}, 404, "NOT_FOUND"),
    (429, {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]}}, 429, "RESOURCE_EXHAUSTED"),
    (503, OVERLOADED, 502, "UNAVAILABLE"),
    (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}], 502, "UNAVAILABLE"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "code", "word"), REFUSALS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_raises_its_exception(
    up: Upstream, status: int, body: Any, code: int, word: str, streamed: bool
) -> None:
    up.queue(json_answer(body, status=status))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        with pytest.raises(ClientError if code < 500 else ServerError) as caught:
            await (texts(client) if streamed else client.models.generate_content(model="flash", contents="Hi"))
        assert (caught.value.code, caught.value.status) == (code, word)


async def test_an_unknown_model_is_refused_in_googles_words(up: Upstream) -> None:
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        with pytest.raises(ClientError) as caught:
            await client.models.generate_content(model="nobody", contents="Hi")
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


async def test_an_error_instead_of_the_first_chunk_is_an_http_error(up: Upstream) -> None:
    up.queue(stream_of(event(OVERLOADED)))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        with pytest.raises(ServerError) as caught:
            await texts(client)
        assert caught.value.response is not None
        assert (await gw.settled())["status"] >= 500


@pytest.mark.parametrize(
    "end",
    [[Close()], [Reset()], [LastChunk()], [Chunk(event(OVERLOADED)), LastChunk()], [Chunk(SECOND[:30]), LastChunk()]],
)
async def test_a_stream_that_breaks_off_raises_once(up: Upstream, end: Sequence[Any]) -> None:
    up.queue([SSE, Chunk(FIRST), *end])
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        stream = aiter(await client.models.generate_content_stream(model="flash", contents="Hi"))
        assert (await anext(stream)).text == "Hello"
        with pytest.raises(ServerError) as caught:
            await anext(stream)
        assert caught.value.status == "UNAVAILABLE"
        assert (await gw.settled())["outcome"] == "broken"


@pytest.mark.parametrize("end", [[Close()], [Reset()]])
async def test_a_stream_that_breaks_off_after_its_finish_reason_is_whole(up: Upstream, end: Sequence[Any]) -> None:
    up.queue([SSE, Chunk(FIRST), Chunk(LAST), *end])
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        assert await texts(client) == ["Hello", "."]
        assert (await gw.settled())["outcome"] == "ok"


async def test_a_blocked_prompt_is_an_answer(up: Upstream) -> None:
    blocked = document(promptFeedback={"blockReason": "PROHIBITED_CONTENT"}, usage={"promptTokenCount": 9})
    up.queue(stream_of(event(blocked)), json_answer(blocked))
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        assert await texts(client) == [None]
        found = await client.models.generate_content(model="flash", contents="Hi")
        assert found.prompt_feedback is not None
        assert found.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT


# Silence


async def test_a_slow_start_is_filled_with_blank_lines(up: Upstream) -> None:
    go = asyncio.Event()
    up.queue([Wait(go), *stream_of(FIRST, LAST)])
    async with Gateway(config(up, server=QUICK_PINGS)) as gw:
        client = await raw(gw, f"{STREAM}?alt=sse")
        head = await client.read_head()
        assert (head.status, head.header("content-type")) == (200, "text/event-stream; charset=utf-8")
        assert [await client.read_chunk() for _ in range(3)] == [b"\n"] * 3
        go.set()
        body = await client.read_body()
        assert body.lstrip(b"\n") == FIRST + LAST
        assert [chunk.text for chunk in read(body)] == ["Hello", "."]


async def test_silence_between_chunks_is_filled_with_blank_lines(up: Upstream) -> None:
    go = asyncio.Event()
    up.queue([SSE, Chunk(FIRST), Wait(go), Chunk(LAST), LastChunk()])
    async with Gateway(config(up, server=QUICK_PINGS)) as gw:
        client = await raw(gw, f"{STREAM}?alt=sse")
        await client.read_head()
        while (first := await client.read_chunk()) == b"\n":
            pass
        assert [await client.read_chunk() for _ in range(3)] == [b"\n"] * 3
        go.set()
        assert [chunk.text for chunk in read(first, b"\n\n\n", await client.read_body())] == ["Hello", "."]


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("aiohttp", [False, True])
async def test_googles_sdk_waits_in_silence(up: Upstream, aiohttp: bool) -> None:
    """The chunks are right whether blank lines come before them or not."""
    go, again = asyncio.Event(), asyncio.Event()
    up.queue([Wait(go), SSE, Chunk(FIRST), Wait(again), Chunk(LAST), LastChunk()])
    async with Gateway(config(up, server=QUICK_PINGS)) as gw, sdk(gw, aiohttp=aiohttp) as client:
        later = asyncio.get_running_loop().call_later
        later(0.4, go.set)
        stream = aiter(await client.models.generate_content_stream(model="flash", contents="Hi"))
        assert (await anext(stream)).text == "Hello"
        later(0.4, again.set)
        assert [chunk.text async for chunk in stream] == ["."]
        assert (await gw.settled())["outcome"] == "ok"


@pytest.mark.parametrize(
    "failure", [json_answer(OVERLOADED, status=503), [Close()], stream_of(), stream_of(event(OVERLOADED))]
)
async def test_a_failure_after_the_early_status_raises_within_the_stream(up: Upstream, failure: Any) -> None:
    go = asyncio.Event()
    up.queue([Wait(go), *failure])
    async with Gateway(config(up, server=QUICK_PINGS)) as gw:
        client = await raw(gw, f"{STREAM}?alt=sse")
        assert (await client.read_head()).status == 200
        go.set()
        with pytest.raises(ServerError) as caught:
            list(read(await client.read_body()))
        assert caught.value.status == "UNAVAILABLE"
        assert (await gw.settled())["status"] == 200


async def test_what_googles_sdk_cannot_read_is_dropped(up: Upstream) -> None:
    go = asyncio.Event()
    noise = [b": keep-alive\n\n", b"data: [DONE]\n\n", b'data: {"candidates": [\n\n']
    up.queue([SSE, Chunk(FIRST), *map(Chunk, noise), Wait(go), Chunk(LAST), *map(Chunk, noise[:2]), LastChunk()])
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        stream = aiter(await client.models.generate_content_stream(model="flash", contents="Hi"))
        assert (await anext(stream)).text == "Hello"
        go.set()
        assert [chunk.text async for chunk in stream] == ["."]
        assert (await gw.settled())["outcome"] == "damaged"


# The JSON array


@pytest.mark.parametrize("query", ["", "?alt=json", "?key=mine"])
async def test_without_alt_sse_the_answer_is_an_array(up: Upstream, query: str) -> None:
    up.queue(stream_of(FIRST, SECOND, LAST))
    async with Gateway(config(up)) as gw:
        answer = await (await raw(gw, STREAM + query)).read_answer()
        assert answer.header("content-type") == "application/json; charset=UTF-8"
        assert (answer.status, answer.json) == (200, data_of(FIRST + SECOND + LAST))
        assert (await up.request()).target.endswith("?alt=sse")
        assert (await gw.settled())["outcome"] == "ok"


@pytest.mark.parametrize("query", ["?alt=sse", "?%24alt=sse", "?key=mine&alt=sse"])
async def test_with_alt_sse_it_is_an_event_stream(up: Upstream, query: str) -> None:
    up.queue(stream_of(FIRST, LAST))
    async with Gateway(config(up)) as gw:
        answer = await (await raw(gw, STREAM + query)).read_answer()
        assert answer.header("content-type") == "text/event-stream"
        assert answer.body == FIRST + LAST


async def test_an_array_is_kept_alive_by_space(up: Upstream) -> None:
    go = asyncio.Event()
    up.queue([Wait(go), *stream_of(FIRST, LAST)])
    async with Gateway(config(up)) as gw:
        client = await raw(gw)
        head = await client.read_head()
        assert head.header("content-type") == "application/json; charset=UTF-8"
        go.set()
        body = await client.read_body()
        assert body.startswith(b"\n")
        assert json.loads(body) == data_of(FIRST + LAST)


@pytest.mark.parametrize("end", [[Close()], [Chunk(event(OVERLOADED)), LastChunk()]])
async def test_the_error_of_a_broken_array_is_its_last_element(up: Upstream, end: Sequence[Any]) -> None:
    up.queue([SSE, Chunk(FIRST), *end])
    async with Gateway(config(up)) as gw:
        first, error = (await (await raw(gw)).read_answer()).json
        assert (first, error["error"]["status"]) == (data_of(FIRST)[0], "UNAVAILABLE")


async def test_an_error_status_of_an_array_has_an_array(up: Upstream) -> None:
    up.queue(json_answer(REFUSALS[0][1], status=400))
    async with Gateway(config(up)) as gw:
        answer = await (await raw(gw)).read_answer()
        assert (answer.status, answer.json) == (400, [REFUSALS[0][1]])


# Recordings


@needs_recordings
@pytest.mark.parametrize("case", WIRE, ids=str)
async def test_a_recording_passes_byte_for_byte_in_both_directions(up: Upstream, case: Case) -> None:
    up.queue(
        [Headers(200, [*case.replay_headers, ("Transfer-Encoding", "chunked")]), *map(Chunk, case.chunks), LastChunk()]
    )
    async with Gateway(config(up)) as gw:
        client = await gw.client()
        answer = await client.fetch(
            "POST", f"{STREAM}?alt=sse", headers=[("Content-Type", "application/json")], body=case.request
        )
        assert (answer.status, answer.body) == (200, case.response)
        assert (await up.request()).body == case.request
        usage = (await gw.settled())["tokens"]
        last = data_of(case.response)[-1]["usageMetadata"]
        assert usage["output"] == last["candidatesTokenCount"]
        assert usage["reasoning"] == last.get("thoughtsTokenCount")


@needs_recordings
@pytest.mark.parametrize("path", CHUNKS, ids=lambda path: path.name)
async def test_a_fixture_reads_the_same_through_the_gateway(up: Upstream, path: Any) -> None:
    stream = framed(path)
    up.queue([Headers(200, SSE_HEADERS), Chunk(stream), LastChunk()])
    async with Gateway(config(up)) as gw, sdk(gw) as client:
        chunks = [chunk async for chunk in await client.models.generate_content_stream(model="flash", contents="Hi")]
        expected = [types.GenerateContentResponse.model_validate(each) for each in data_of(stream)]
        assert [chunk.candidates for chunk in chunks] == [each.candidates for each in expected]
        assert chunks[-1].usage_metadata == expected[-1].usage_metadata
