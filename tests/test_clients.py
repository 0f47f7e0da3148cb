"""Real clients against the gateway: the openai package and ``curl -N``."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
import wave
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from proxy.demo.server import Demo
from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    until,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS, compact
from tests.support.gateway import Gateway, one_provider

HI: list[Any] = [{"role": "user", "content": "Hello there"}]
ROLE, HELLO, WORLD, STOP, _ = chat_events("Hello", " wörld")
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@asynccontextmanager
async def sdk(gw: Gateway, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    options = {"base_url": f"{gw.url}/v1", "api_key": "any", "max_retries": 0, "timeout": 10.0} | options
    # Reading the system's certificates takes longer than a call.
    async with AsyncOpenAI(http_client=openai.DefaultAsyncHttpxClient(verify=False), **options) as client:
        yield client


@pytest.fixture
async def demo() -> AsyncIterator[AsyncOpenAI]:
    """The package, the gateway, and behind it the demo provider at full speed."""
    server = Demo(rate=0)
    port = await server.start()
    provider = {"baseUrl": f"http://127.0.0.1:{port}/v1"}
    once = {"maxRetries": 0, "rateLimitRetries": 0}  # its 429 and 503 have a Retry-After of seconds
    async with Gateway({"providers": {"demo": provider}, "routing": once}) as gw, sdk(gw) as client:
        yield client
    await server.stop()


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


# The openai package and the built-in provider


async def test_the_demo_responds_without_any_configuration() -> None:
    async with Gateway({"demo": "auto"}) as gw, sdk(gw) as client:
        names = [model.id async for model in client.models.list()]
        assert {"demo", "demo-instant", "demo-embedding"} <= set(names)
        assert (await client.models.retrieve("demo")).owned_by == "demo"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nobody/none")
        stream = await client.chat.completions.create(model="demo-instant", messages=HI, stream=True)
        assert "Hello there" in "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def test_a_chat_is_the_same_plain_and_streamed(demo: AsyncOpenAI) -> None:
    whole = await demo.chat.completions.create(model="demo-instant", messages=HI)
    text = whole.choices[0].message.content
    assert text is not None
    assert "Hello there" in text
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    stream = await demo.chat.completions.create(model="demo-instant", messages=HI, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


async def test_a_stream_has_usage_if_requested(demo: AsyncOpenAI) -> None:
    stream = await demo.chat.completions.create(
        model="demo-instant", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    *_, last = [chunk async for chunk in stream]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens > 0


async def test_the_streaming_helper_of_the_package_assembles_a_response(demo: AsyncOpenAI) -> None:
    async with demo.chat.completions.stream(model="demo-instant", messages=HI) as stream:
        deltas = [event.delta async for event in stream if event.type == "content.delta"]
        final = await stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_is_called_and_its_result_used(demo: AsyncOpenAI, streamed: bool) -> None:
    question: list[Any] = [{"role": "user", "content": "What is the weather in Paris? Use get_weather."}]
    if streamed:
        async with demo.chat.completions.stream(model="demo-instant", messages=question, tools=[WEATHER]) as stream:
            answer = await stream.get_final_completion()
    else:
        answer = await demo.chat.completions.create(model="demo-instant", messages=question, tools=[WEATHER])
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    [call] = message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    tool_result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    again = await demo.chat.completions.create(
        model="demo-instant", messages=[*question, message.model_dump(exclude_none=True), tool_result], tools=[WEATHER]
    )
    assert again.choices[0].finish_reason == "stop"


async def test_several_choices_arrive_side_by_side(up: Upstream) -> None:
    def said(index: int, text: str | None, finish: str | None = None) -> bytes:
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up-model"}
        return sse(chunk | {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]})

    events = [said(i, text) for text in ("a", "b") for i in range(3)] + [said(i, None, "stop") for i in range(3)]
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        up.queue(sse_answer(*events))
        async with client.chat.completions.stream(model="m", messages=HI, n=3) as stream:
            answer = await stream.get_final_completion()
        assert [choice.message.content for choice in answer.choices] == ["ab", "ab", "ab"]


async def test_reasoning_comes_before_the_answer(demo: AsyncOpenAI) -> None:
    answer = await demo.chat.completions.create(model="demo-reasoning", messages=HI)
    assert answer.choices[0].message.model_extra
    assert answer.choices[0].message.content


async def test_legacy_completions_work_plain_and_streamed(demo: AsyncOpenAI) -> None:
    whole = await demo.completions.create(model="demo-instant", prompt="Hello there")
    stream = await demo.completions.create(model="demo-instant", prompt="Hello there", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == whole.choices[0].text != ""


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_equal_texts_have_equal_embeddings(demo: AsyncOpenAI, encoding: Any) -> None:
    answer = await demo.embeddings.create(model="demo-embedding", input=["a", "b", "a"], encoding_format=encoding)
    first, second, third = (item.embedding for item in answer.data)
    assert first == third != second
    assert answer.usage.prompt_tokens > 0


async def test_a_response_is_the_same_plain_and_streamed(demo: AsyncOpenAI) -> None:
    whole = await demo.responses.create(model="demo-instant", input="Hello there")
    assert whole.status == "completed"
    assert whole.usage is not None
    stream = await demo.responses.create(model="demo-instant", input="Hello there", stream=True)
    events = [event async for event in stream]
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert (
        "".join(event.delta for event in events if event.type == "response.output_text.delta")
        == whole.output_text
        != ""
    )
    assert [getattr(event, "sequence_number", None) for event in events] == list(range(len(events)))


async def test_a_moderation_works(demo: AsyncOpenAI) -> None:
    answer = await demo.moderations.create(model="demo-moderation", input="I will kill them all")
    assert answer.results[0].flagged


async def test_an_image_is_generated_and_edited(demo: AsyncOpenAI) -> None:
    made = await demo.images.generate(model="demo-image", prompt="blue", response_format="b64_json")
    assert made.data is not None
    png = base64.b64decode(made.data[0].b64_json or "")
    assert png.startswith(b"\x89PNG")
    edited = await demo.images.edit(model="demo-image", image=("a.png", png), prompt="red")
    assert edited.data


async def test_speech_is_written_to_a_file(demo: AsyncOpenAI, tmp_path: Any) -> None:
    path = tmp_path / "speech.wav"
    async with demo.audio.speech.with_streaming_response.create(
        model="demo-speech", voice="alloy", input="Hello there", response_format="wav"
    ) as answer:
        await answer.stream_to_file(path)
    with wave.open(str(path)) as sound:
        assert sound.getnframes() > 0


@pytest.mark.parametrize("size", [100, 3_000_000])
async def test_a_file_is_uploaded_and_transcribed(demo: AsyncOpenAI, size: int) -> None:
    answer = await demo.audio.transcriptions.create(model="demo-transcribe", file=("a.wav", io.BytesIO(b"R" * size)))
    assert str(size) in answer.text


async def test_a_transcription_streams(demo: AsyncOpenAI) -> None:
    stream = await demo.audio.transcriptions.create(model="demo-transcribe", file=("a.wav", b"RIFF"), stream=True)
    events = [event async for event in stream]
    assert events[-1].type == "transcript.text.done"


async def test_the_other_base_path_works_as_well() -> None:
    async with Gateway({"demo": "auto"}) as gw, sdk(gw, base_url=f"{gw.url}/api/v1") as client:
        answer = await client.chat.completions.create(model="demo-instant", messages=HI)
        assert answer.choices[0].message.content


async def test_a_pinned_provider_works_as_a_base_url() -> None:
    async with Gateway({"demo": "auto"}) as gw, sdk(gw, base_url=f"{gw.url}/proxy/demo") as client:
        stream = await client.chat.completions.create(model="demo-instant", messages=HI, stream=True)
        assert [chunk async for chunk in stream]


async def test_many_streams_at_once_do_not_mix(demo: AsyncOpenAI) -> None:
    async def one(number: int) -> str:
        prompt: list[Any] = [{"role": "user", "content": f"number {number}"}]
        stream = await demo.chat.completions.create(model="demo-instant", messages=prompt, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    texts = await within(asyncio.gather(*map(one, range(20))), "20 streams")
    assert all(f"number {number}" in text for number, text in enumerate(texts))


def test_the_synchronous_client_works_too() -> None:
    async def serve(started: Future[str], stop: Future[None]) -> None:
        async with Gateway({"demo": "auto"}) as gw:
            started.set_result(gw.url)
            await asyncio.wrap_future(stop)

    started: Future[str] = Future()
    stop: Future[None] = Future()
    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(asyncio.run, serve(started, stop))
        try:
            with openai.OpenAI(base_url=started.result(10) + "/v1", api_key="any", max_retries=0) as client:
                stream = client.chat.completions.create(model="demo-instant", messages=HI, stream=True)
                assert sum(1 for _ in stream) > 3
        finally:
            stop.set_result(None)
        serving.result(10)


# Errors as exceptions of the package


@pytest.mark.parametrize(
    ("model", "kind"),
    [("demo-429", openai.RateLimitError), ("demo-500", openai.InternalServerError), ("demo-503", openai.InternalServerError),
     ("demo-404", openai.NotFoundError), ("demo-400-context", openai.BadRequestError), ("demo-html", openai.InternalServerError),
     ("demo-empty", openai.InternalServerError), ("demo-error-first", openai.APIStatusError),
     ("demo-none", openai.NotFoundError)],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
async def test_demo_faults_raise_exceptions_of_the_package(
    demo: AsyncOpenAI, model: str, kind: type[openai.APIStatusError], stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        await demo.chat.completions.create(model=model, messages=HI, stream=stream)  # type: ignore[call-overload]
    assert caught.value.status_code >= 400
    assert caught.value.request_id
    assert "http" not in caught.value.message.replace("https://platform.openai.com", "")


async def test_a_truncated_response_is_a_server_error(demo: AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await demo.chat.completions.create(model="demo-cut", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_disconnected")


async def test_a_rejected_provider_key_is_not_a_client_error(demo: AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await demo.chat.completions.create(model="demo-401", messages=HI)
    assert caught.value.status_code == 502
    assert "demo****" not in str(caught.value)


@pytest.mark.parametrize("model", ["demo-truncated", "demo-cut", "demo-error-mid"])
async def test_a_broken_stream_raises(demo: AsyncOpenAI, model: str) -> None:
    stream = await demo.chat.completions.create(model=model, messages=HI, stream=True)
    seen = 0
    with pytest.raises(openai.APIError):  # noqa: PT012  what came before the error counts
        async for _ in stream:
            seen += 1
    assert seen > 2


@pytest.mark.parametrize("model", ["demo-no-done", "demo-garbage", "demo-comments-0.1"])
async def test_a_stream_with_harmless_faults_arrives_complete(demo: AsyncOpenAI, model: str) -> None:
    stream = await demo.chat.completions.create(model=model, messages=HI, stream=True)
    *_, last = [chunk async for chunk in stream]
    assert last.choices[0].finish_reason == "stop"


async def test_a_broken_responses_stream_raises(up: Upstream) -> None:
    created = (
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r"}}\n\n'
    )
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":1,"delta":"a"}\n\n'
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        up.queue(sse_answer(created, delta))
        stream = await client.responses.create(model="m", input="Hi", stream=True)
        seen = []
        with pytest.raises(openai.APIError) as caught:
            seen += [event.type async for event in stream]
        assert caught.value.code == "upstream_stream_truncated"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, openai.BadRequestError), (401, openai.InternalServerError), (402, openai.APIStatusError), (403, openai.PermissionDeniedError), (404, openai.NotFoundError),
     (409, openai.ConflictError), (422, openai.UnprocessableEntityError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)  # fmt: skip
async def test_a_provider_error_raises_the_matching_exception_of_the_package(
    up: Upstream, status: int, kind: type[openai.APIStatusError]
) -> None:
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        up.queue(json_answer(error_json("As sent.", code="c"), status, [("Retry-After", "7")]))
        with pytest.raises(kind) as caught:
            await client.chat.completions.create(model="m", messages=HI)
        if status == 401:
            assert caught.value.code == "upstream_auth_failed"
        else:
            assert caught.value.code == "c"
            assert caught.value.response.headers.get("retry-after") == ("7" if status != 500 else None)


async def test_the_package_does_not_sleep_for_an_open_breaker(up: Upstream) -> None:
    """With ``Retry-After: 60`` it slept a minute, twice, and the user saw a program that hangs."""
    async with Gateway(one_provider(up)) as gw, sdk(gw, max_retries=2) as client:
        assert gw.app.gateway is not None
        gw.app.gateway.catalog.deployments[0].live.breaker.trip(0.0, "server_error")
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="m", messages=HI)
        assert (caught.value.status_code, caught.value.code) == (503, "no_candidate")
        assert "(up/m: circuit breaker open)" in caught.value.message
        await gw.settled()
        assert (len(gw.exchanges), up.requests) == (1, [])


async def test_the_package_retries_retryable_errors(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw, sdk(gw, max_retries=1) as client:
        up.queue(json_answer(error_json(), 500, [("retry-after-ms", "1")]), json_answer(completion("Hello")))
        answer = await client.chat.completions.create(model="m", messages=HI)
        assert answer.choices[0].message.content == "Hello"


@pytest.mark.parametrize(("clock", "stream"), [("headers", True), ("firstContent", True), ("total", False)])
async def test_a_timeout_is_a_server_error_that_names_the_timeout(up: Upstream, clock: str, stream: bool) -> None:
    async with Gateway(one_provider(up, timeouts={clock: 0.05})) as gw, sdk(gw) as client:
        up.queue([Stall()])
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="m", messages=HI, stream=stream)  # type: ignore[call-overload]
        assert (caught.value.status_code, caught.value.code) == (504, f"timeout_{clock}")


async def test_a_client_timeout_cancels_the_upstream_request(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        up.queue([Stall()])
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="m", messages=HI, timeout=1.0)
        request = await up.request(0)
        await within(request.gone.wait(), "the provider's connection to be closed")
        assert (await gw.settled())["outcome"] == "client_gone"


async def test_a_closed_stream_cancels_the_upstream_request(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        up.queue([Headers(200, SSE_HEADERS), Chunk(ROLE), Chunk(HELLO), Stall()])
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        await within((await up.request(0)).gone.wait(), "the provider's connection to be closed")
        assert (await gw.settled())["outcome"] == "client_gone"


async def test_an_invalid_request_raises_bad_request_in_the_package(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="m", messages="Hi")  # type: ignore[arg-type]
        assert (caught.value.param, caught.value.code) == ("messages", "invalid_type")
        assert up.requests == []


async def test_the_package_reads_a_stream_without_the_dropped_events(up: Upstream) -> None:
    """Each of these would raise inside the package: events without data, no JSON, lone fields."""
    noise = [b"data:\n\n", b"id: 7\n\n", b"retry: 10\n\n", b"event: ping\n\n", b": c\n\n", b"\n"]
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        up.queue(sse_answer(ROLE, *noise, HELLO, *noise, b"data: {\n\n", WORLD, STOP, DONE))
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello wörld"


async def test_an_emoji_split_across_chunks_arrives_intact(up: Upstream) -> None:
    halves = [b'data: {"choices":[{"index":0,"delta":{"content":"\\u%b"}}]}\n\n' % half for half in (b"d83d", b"de00")]
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        up.queue(sse_answer(ROLE, *halves, STOP, DONE))
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text.encode("utf-16", "surrogatepass").decode("utf-16") == "\U0001f600"


# curl

CURL = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed")
BODY = compact({"model": "m", "messages": HI, "stream": True}).decode()


@asynccontextmanager
async def curl(*args: str) -> AsyncIterator[Process]:
    assert CURL is not None
    process = await asyncio.create_subprocess_exec(CURL, "-s", *args, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await within(process.communicate(), "curl to end")


async def read(process: Process, size: int) -> bytes:
    assert process.stdout is not None
    return await within(process.stdout.readexactly(size), f"{size} bytes from curl")


async def rest(process: Process) -> bytes:
    stdout, stderr = await within(process.communicate(), "curl to end")
    assert (process.returncode, stderr) == (0, b"")
    return stdout


@needs_curl
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
async def test_curl_prints_each_token_before_the_next_is_sent(up: Upstream, version: str) -> None:
    events = [ROLE + HELLO, WORLD, WORLD, STOP, DONE]
    read_by_curl = [asyncio.Event() for _ in events]
    async with Gateway(one_provider(up)) as gw:
        steps = [step for event, seen in zip(events, read_by_curl, strict=True) for step in (Chunk(event), Wait(seen))]
        up.queue([Headers(200, SSE_HEADERS), *steps, LastChunk()])
        async with curl("-N", version, f"{gw.url}/v1/chat/completions", "-d", BODY) as process:
            for event, seen in zip(events, read_by_curl, strict=True):
                assert await read(process, len(event)) == event
                seen.set()
            assert await rest(process) == b""
        request = await up.request(0)
        assert request.header("content-type") == "application/json"
        assert (await gw.settled())["outcome"] == "ok"


@needs_curl
async def test_the_first_command_of_the_readme_streams() -> None:
    async with Gateway({"demo": "auto"}) as gw:
        body = json.dumps({"model": "demo-instant", "stream": True, "messages": HI})
        async with curl("-N", f"{gw.url}/v1/chat/completions", "-d", body) as process:
            output = await rest(process)
        assert output.startswith(b'data: {"')
        assert output.endswith(b"data: [DONE]\n\n")


@needs_curl
async def test_curl_shows_an_error_in_json_with_its_status(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(ROLE, sse(error_json("Slow down.", code="rate_limit_exceeded"))))
        async with curl("-N", "-w", "%{http_code}", f"{gw.url}/v1/chat/completions", "-d", BODY) as process:
            output = await rest(process)
        assert output.endswith(b"429")
        assert json.loads(output[:-3])["error"]["message"] == "Slow down."


@needs_curl
async def test_curl_over_http10_notices_a_truncated_binary_response(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(
            [Headers(200, [("Content-Type", "audio/mpeg"), ("Transfer-Encoding", "chunked")]), Chunk(b"ID3"), Close()]
        )
        body = json.dumps({"model": "m", "input": "Hi", "voice": "x"})
        async with curl("--http1.0", f"{gw.url}/v1/audio/speech", "-d", body) as process:
            stdout, _ = await within(process.communicate(), "curl to end")
        assert process.returncode != 0
        assert stdout in (b"ID3", b"")


@needs_curl
async def test_curl_waits_for_100_continue_with_a_large_body(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        async with curl("-v", f"{gw.url}/v1/chat/completions", "-H", "Expect: 100-continue", "-d", "@-") as process:
            body = compact({"model": "m", "messages": [{"role": "user", "content": "x" * 2_000_000}]})
            stdout, log = await within(process.communicate(body), "curl to end")
        assert json.loads(stdout)["choices"]
        assert b"HTTP/1.1 100 Continue" in log
        assert len((await up.request()).body) > 2_000_000


@needs_curl
async def test_killing_curl_cancels_the_upstream_request(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, SSE_HEADERS), Chunk(ROLE + HELLO), Stall()])
        async with curl("-N", f"{gw.url}/v1/chat/completions", "-d", BODY) as process:
            await read(process, len(ROLE + HELLO))
            process.kill()
            await within((await up.request(0)).gone.wait(), "the provider's connection to be closed")
        await until(lambda: gw.exchanges, "the exchange to be settled")
        assert gw.exchanges[0]["outcome"] == "client_gone"
