"""The demo over real sockets: with the openai package, and raw where bytes and endings matter."""

from __future__ import annotations

import base64
import io
import json
import select
import socket
import struct
import wave
import zlib
from collections.abc import AsyncIterator
from typing import Literal

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from proxy.demo.models import MODELS
from proxy.demo.server import MAX_JSON, Demo
from tests.support import RawClient, until
from tests.support.gateway import Process

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
            "required": ["city", "unit"],
        },
    },
}


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    server = Demo(rate=0)
    yield server
    await server.stop()


@pytest.fixture
async def port(demo: Demo) -> int:
    return await demo.start()


@pytest.fixture
async def raw(port: int) -> AsyncIterator[RawClient]:
    async with RawClient(port) as client:
        yield client


@pytest.fixture
async def sdk(port: int) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
async def paced() -> AsyncIterator[Demo]:
    """A demo with the rates of its table."""
    server = Demo()
    yield server
    await server.stop()


def ask(prompt: str = "Hello there", model: str = "demo-instant", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}


def nothing_more(client: RawClient) -> bool:
    """Whether the socket holds nothing to read at this moment."""
    return not select.select([client._socket], [], [], 0)[0]


async def post(client: RawClient, model: str, *, stream: bool = True) -> None:
    await client.request("POST", "/v1/chat/completions", json=ask(model=model, stream=stream))


# chat


async def test_a_chat_completion_mentions_the_prompt_and_counts_words(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(**ask("blue elephants"))
    text = answer.choices[0].message.content
    assert "blue elephants" in text
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, len(text.split()))


async def test_a_stream_says_the_same_word_by_word(sdk: AsyncOpenAI) -> None:
    whole = await sdk.chat.completions.create(**ask("blue elephants"))
    chunks = [chunk async for chunk in await sdk.chat.completions.create(**ask("blue elephants", stream=True))]
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert "".join(said) == whole.choices[0].message.content
    assert all(len(word.split()) == 1 for word in said)
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


async def test_usage_comes_last_and_alone_when_asked_for(sdk: AsyncOpenAI) -> None:
    options = {"include_usage": True}
    stream = await sdk.chat.completions.create(**ask(stream=True, stream_options=options))
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == 2
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert all("usage" in chunk.model_fields_set for chunk in chunks)  # null, as OpenAI sends it


async def test_a_limit_cuts_the_answer_short(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(**ask(max_completion_tokens=4))
    assert len(answer.choices[0].message.content.split()) == 4
    assert answer.choices[0].finish_reason == "length"


async def test_json_is_json_when_asked_for(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(**ask(response_format={"type": "json_object"}))
    assert "Hello there" in json.loads(answer.choices[0].message.content)["answer"]


class Trip(BaseModel):
    city: str
    days: int
    stops: list[str] | None


async def test_a_json_schema_is_honored_by_chat_and_responses(sdk: AsyncOpenAI) -> None:
    prompt = "A trip to Paris for 3 days"
    chat = await sdk.chat.completions.parse(
        model="demo", messages=[{"role": "user", "content": prompt}], response_format=Trip
    )
    response = await sdk.responses.parse(model="demo", input=prompt, text_format=Trip)
    for trip in (chat.choices[0].message.parsed, response.output_parsed):
        assert trip is not None
        assert (trip.city, trip.days) == ("Paris", 3)
    wanted = {"type": "json_schema", "json_schema": {"name": "t", "schema": Trip.model_json_schema()}}
    stream = await sdk.chat.completions.create(**ask(response_format=wanted), stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert Trip.model_validate_json(text)


async def test_a_schema_that_is_none_is_a_400(sdk: AsyncOpenAI) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "t", "schema": {"type": "object", "properties": 7}}}
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.chat.completions.create(**ask(response_format=wanted))
    assert refused.value.code == "invalid_json_schema"


async def test_reasoning_comes_before_the_answer(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(**ask(model="demo-reasoning", stream=True, max_tokens=3))
    deltas = [chunk.choices[0].delta async for chunk in stream]
    kinds = ["r" if getattr(d, "reasoning_content", None) else "c" for d in deltas if d.content or d.role is None]
    assert "".join(kinds).strip("r") == "c" * 4  # three words and the finish
    whole = await sdk.chat.completions.create(**ask(model="demo-reasoning", max_tokens=3))
    assert "Hello there" in whole.choices[0].message.reasoning_content
    assert whole.usage.completion_tokens_details.reasoning_tokens == whole.usage.completion_tokens - 3


async def test_a_tool_is_called_when_the_prompt_asks_for_it(sdk: AsyncOpenAI) -> None:
    prompt = "How is the weather in Paris today?"
    answer = await sdk.chat.completions.create(**ask(prompt, tools=[WEATHER]))
    (call,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris", "unit": "C"})


async def test_streamed_tool_arguments_join_to_the_same_json(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(**ask("weather in Oslo", tools=[WEATHER], stream=True))
    calls = [chunk.choices[0].delta.tool_calls[0] async for chunk in stream if chunk.choices[0].delta.tool_calls]
    assert calls[0].function.name == "get_weather"
    assert len(calls) > 2
    assert json.loads("".join(call.function.arguments for call in calls)) == {"city": "Oslo", "unit": "C"}


@pytest.mark.parametrize(
    ("choice", "prompt", "called"),
    [("none", "the weather", False), ("auto", "poetry", False), ("required", "poetry", True),
     ({"type": "function", "function": {"name": "get_weather"}}, "poetry", True)],
)  # fmt: skip
async def test_tool_choice_is_obeyed(sdk: AsyncOpenAI, choice: object, prompt: str, called: bool) -> None:
    answer = await sdk.chat.completions.create(**ask(prompt, tools=[WEATHER], tool_choice=choice))
    assert bool(answer.choices[0].message.tool_calls) is called


async def test_the_result_of_a_tool_is_answered_in_words(sdk: AsyncOpenAI) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    talk = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "21 degrees"},
    ]
    answer = await sdk.chat.completions.create(model="demo-instant", messages=talk, tools=[WEATHER])
    assert "21 degrees" in answer.choices[0].message.content


async def test_words_come_at_the_rate_of_the_model(paced: Demo) -> None:
    async with RawClient(await paced.start()) as raw:
        await post(raw, "demo-slow")
        await raw.read_head()
        assert b'"role"' in await raw.read_event()
        assert nothing_more(raw)  # the first word takes a quarter of a second
        assert b'"content"' in await raw.read_event()


# other endpoints


async def test_completions_stream_and_come_whole(sdk: AsyncOpenAI) -> None:
    whole = await sdk.completions.create(model="demo-instant", prompt="red fish")
    stream = await sdk.completions.create(
        model="demo-instant", prompt="red fish", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "red fish" in whole.choices[0].text
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage


async def test_a_response_streams_to_the_object_that_comes_whole(sdk: AsyncOpenAI) -> None:
    whole = await sdk.responses.create(model="demo-instant", input="red fish")
    events = [e async for e in await sdk.responses.create(model="demo-instant", input="red fish", stream=True)]
    assert "red fish" in whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    assert events[-1].response.output_text == whole.output_text
    assert events[-1].response.usage == whole.usage


async def test_a_response_stream_satisfies_the_accumulating_client(sdk: AsyncOpenAI) -> None:
    async with sdk.responses.stream(model="demo-instant", input="red fish") as stream:
        assert "red fish" in (await stream.get_final_response()).output_text


async def test_a_response_can_call_a_function(sdk: AsyncOpenAI) -> None:
    tool = {"type": "function", "strict": False, **WEATHER["function"]}
    call = {"model": "demo-instant", "input": "weather in Rome", "tools": [tool]}
    events = [event async for event in await sdk.responses.create(**call, stream=True)]
    (item,) = events[-1].response.output
    assert (item.type, item.name, json.loads(item.arguments)) == (
        "function_call", "get_weather", {"city": "Rome", "unit": "C"},
    )  # fmt: skip
    assert "".join(e.delta for e in events if e.type.endswith("arguments.delta")) == item.arguments


async def test_a_response_that_is_cut_short_ends_incomplete(sdk: AsyncOpenAI) -> None:
    call = {"model": "demo-instant", "input": "hi", "max_output_tokens": 2}
    events = [event async for event in await sdk.responses.create(**call, stream=True)]
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


async def test_a_reasoning_response_shows_its_summary(sdk: AsyncOpenAI) -> None:
    call = {"model": "demo-reasoning", "input": "red fish", "max_output_tokens": 2}
    events = [event async for event in await sdk.responses.create(**call, stream=True)]
    thinking, message = events[-1].response.output
    assert "red fish" in thinking.summary[0].text
    assert message.type == "message"


async def test_embeddings_are_unit_vectors_that_depend_on_the_text(sdk: AsyncOpenAI) -> None:
    # The package asks for base64 by itself and unpacks it.
    packed = await sdk.embeddings.create(model="demo-embedding", input=["a", "b", "a"])
    plain = await sdk.embeddings.create(model="demo-embedding", input="a", encoding_format="float", dimensions=256)
    first, second, third = (each.embedding for each in packed.data)
    assert first == third != second
    assert first == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-5)
    assert packed.usage.prompt_tokens == 3


async def test_embeddings_take_token_ids(sdk: AsyncOpenAI) -> None:
    one = await sdk.embeddings.create(model="demo-embedding", input=[1, 2], dimensions=3)
    two = await sdk.embeddings.create(model="demo-embedding", input=[[1, 2], [3]], dimensions=3)
    assert [len(one.data), len(two.data), len(one.data[0].embedding)] == [1, 2, 3]
    assert one.data[0].embedding == two.data[0].embedding


async def test_moderations_flag_by_words(sdk: AsyncOpenAI) -> None:
    answer = await sdk.moderations.create(input=["a calm day", "kill it"])
    assert [result.flagged for result in answer.results] == [False, True]


async def test_an_image_is_a_png(sdk: AsyncOpenAI) -> None:
    answer = await sdk.images.generate(model="demo-image", prompt="blue", n=2)
    image = base64.b64decode(answer.data[0].b64_json)
    assert len(answer.data) == 2
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    length = struct.unpack(">I", image[33:37])[0]
    assert image[37:41] == b"IDAT"
    assert len(zlib.decompress(image[41 : 41 + length])) == 16 * (1 + 3 * 16)


async def test_images_can_be_streamed(sdk: AsyncOpenAI) -> None:
    stream = await sdk.images.generate(model="demo-image", prompt="blue", stream=True, partial_images=2)
    assert [event.type for event in [e async for e in stream]] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]


async def test_an_edit_names_the_image_that_it_got(sdk: AsyncOpenAI) -> None:
    answer = await sdk.images.edit(model="demo-image", prompt="bluer", image=("a.png", b"x" * 321, "image/png"))
    assert answer.data[0].revised_prompt == "bluer (with 321 bytes of a.png)"


async def test_speech_is_a_wav_file_streamed_by_words(paced: Demo) -> None:
    call = {"model": "demo-fast", "input": "one two three", "voice": "v"}
    async with RawClient(await paced.start()) as raw:
        await raw.request("POST", "/v1/audio/speech", json=call)
        assert (await raw.read_head()).header("content-type") == "audio/wav"
        pieces = [await raw.read_chunk() for _ in range(5)]
    assert [len(piece) for piece in pieces] == [44, 1600, 1600, 1600, 0]
    with wave.open(io.BytesIO(b"".join(pieces))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (8000, 1, 2400)


async def test_speech_can_come_as_events(sdk: AsyncOpenAI, raw: RawClient) -> None:
    call = {"model": "demo-fast", "input": "one two", "voice": "v", "stream_format": "sse"}
    await raw.request("POST", "/v1/audio/speech", json=call)
    await raw.read_head()
    events = [json.loads(event[6:])["type"] for event in await raw.read_events()]
    assert events == ["speech.audio.delta"] * 3 + ["speech.audio.done"]


async def test_a_transcription_names_the_size_of_the_file(sdk: AsyncOpenAI) -> None:
    file = ("talk.wav", b"\0" * 100_000)
    answer = await sdk.audio.transcriptions.create(model="demo-transcribe", file=file)
    assert "100000 bytes in talk.wav" in answer.text
    text = await sdk.audio.transcriptions.create(model="demo-transcribe", file=file, response_format="text")
    assert "100000 bytes" in text
    with pytest.warns(DeprecationWarning, match="deprecated"):
        translated = await sdk.audio.translations.create(model="demo-transcribe", file=file)
    assert "100000 bytes" in translated.text


class TokenDetails(BaseModel):
    audio_tokens: int
    text_tokens: int


class TranscriptionUsage(BaseModel):
    """As litellm's SDK reads it: without one of these members it fails (litellm/types/utils.py)."""

    type: Literal["tokens"]
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: TokenDetails


async def test_the_usage_of_a_transcription_has_what_litellm_reads(sdk: AsyncOpenAI) -> None:
    answer = await sdk.audio.transcriptions.create(model="demo-transcribe", file=("a.wav", b"12345"))
    assert answer.usage is not None
    usage = TranscriptionUsage.model_validate(answer.usage.model_dump())
    assert usage.total_tokens == usage.output_tokens > 0


async def test_a_transcription_can_be_streamed(sdk: AsyncOpenAI) -> None:
    stream = await sdk.audio.transcriptions.create(model="demo-instant", file=("a.wav", b"12345"), stream=True)
    events = [event async for event in stream]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert "5 bytes" in events[-1].text


async def test_the_table_is_what_the_server_lists(sdk: AsyncOpenAI) -> None:
    listed = [model async for model in sdk.models.list()]
    assert [(m.id, m.description) for m in listed] == [(m.name, m.description) for m in MODELS]
    assert (await sdk.models.retrieve("demo-slow-start-3")).id == "demo-slow-start-3"


# mistakes of the client


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b'{"model":"\xff","messages":[]}', None),
        (b'{"messages":[{"role":"user","content":"x"}]}', "model"),
        (b'{"model":1,"messages":[]}', "model"),
        (b'{"model":"demo","messages":[]}', "messages"),
        (b'{"model":"demo","messages":[{"content":"x"}]}', "messages"),
        (b'{"model":"demo","messages":[{"role":"user","content":"x"}],"stream":"yes"}', "stream"),
        (b'{"model":"demo","messages":[{"role":"user","content":"x"}],"n":3}', "n"),
    ],
)
async def test_a_bad_body_is_refused_by_the_member_that_is_wrong(
    raw: RawClient, body: bytes, param: str | None
) -> None:
    answer = await raw.fetch("POST", "/v1/chat/completions", body=body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert answer.json["error"]["param"] == param


@pytest.mark.parametrize("name", ["gpt-9", "demo-3", "demo-slow-start-x", "demo-501", ""])
async def test_an_unknown_model_is_told_as_openai_tells_it(sdk: AsyncOpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as failure:
        await sdk.chat.completions.create(**ask(model=name))
    assert failure.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/chat/completions", 405), ("POST", "/v1/models", 405), ("GET", "/v1/nothing", 404)],
)
async def test_wrong_methods_and_paths_are_refused(raw: RawClient, method: str, path: str, status: int) -> None:
    answer = await raw.fetch(method, path, body=b"{}")
    assert answer.status == status
    assert "error" in answer.json
    assert answer.header("allow") == ({"GET": "POST", "POST": "GET"}[method] if status == 405 else None)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=b", b"no form at all"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ndemo\r\n--b--\r\n',
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a\x11b"\r\n\r\ndemo\r\n--b--\r\n',
        ),
        ("multipart/form-data", b"--b--"),
        ("application/json", b"{}"),
    ],
)
async def test_a_form_without_a_file_is_refused(raw: RawClient, kind: str, body: bytes) -> None:
    answer = await raw.fetch("POST", "/v1/audio/transcriptions", headers=[("Content-Type", kind)], body=body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


async def test_a_body_beyond_the_limit_is_refused(raw: RawClient) -> None:
    await raw.request("POST", "/v1/embeddings", [("Content-Length", str(MAX_JSON + 1))])
    await raw.send(b" " * (MAX_JSON + 1))
    assert (await raw.read_head()).status == 413


# faults


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("demo-429", 429, "rate_limit_exceeded"),
        ("demo-500", 500, "server_error"),
        ("demo-503", 503, "service_unavailable"),
        ("demo-401", 401, "invalid_api_key"),
        ("demo-404", 404, "model_not_found"),
        ("demo-400-context", 400, "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_fault_may_be_a_status(raw: RawClient, model: str, status: int, code: str, stream: bool) -> None:
    await post(raw, model, stream=stream)
    answer = await raw.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


async def test_the_rate_limit_tells_when_to_come_back(raw: RawClient) -> None:
    for model, seconds in (("demo-429", "2"), ("demo-429-7", "7")):
        await post(raw, model)
        assert (await raw.read_answer()).header("retry-after") == seconds


async def test_every_second_request_of_the_flaky_model_fails(raw: RawClient) -> None:
    statuses = []
    for _ in range(4):
        await post(raw, "demo-flaky", stream=False)
        statuses.append((await raw.read_answer()).status)
    assert statuses == [500, 200, 500, 200]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_ends_the_connection_within_the_body(raw: RawClient, stream: bool) -> None:
    await post(raw, "demo-cut", stream=stream)
    assert (await raw.read_head()).status == 200
    with pytest.raises(AssertionError, match="the connection ended"):
        await raw.read_body()
    assert b"Hello" in raw.received
    assert b'"stop"' not in raw.received


async def test_a_truncated_stream_ends_in_good_order_without_its_ending(raw: RawClient) -> None:
    await post(raw, "demo-truncated")
    await raw.read_head()
    body = await raw.read_body()
    assert b'"content"' in body
    assert b'"stop"' not in body
    assert b"[DONE]" not in body


async def test_the_done_may_be_missing(raw: RawClient) -> None:
    await post(raw, "demo-no-done")
    await raw.read_head()
    assert b'"stop"' in (await raw.read_events())[-1]


async def test_a_stalled_stream_is_silent_after_a_few_words(demo: Demo, raw: RawClient) -> None:
    await post(raw, "demo-stall")
    await raw.read_head()
    for _ in range(5):
        assert await raw.read_event()
    assert demo.running == 1
    raw.close()
    await until(lambda: demo.left == 1, "the client's leaving to be counted")
    assert demo.running == 0


async def test_content_may_start_late_behind_an_early_head(raw: RawClient) -> None:
    await post(raw, "demo-slow-start-0.2")
    assert (await raw.read_head()).status == 200
    assert nothing_more(raw)
    assert b'"role"' in await raw.read_event()


async def test_the_head_may_start_late(demo: Demo, raw: RawClient) -> None:
    await post(raw, "demo-slow-headers-0.2")
    await until(lambda: demo.running, "the request to arrive")
    assert nothing_more(raw)
    assert (await raw.read_head()).status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_may_come_behind_a_200(raw: RawClient, stream: bool) -> None:
    await post(raw, "demo-error-first", stream=stream)
    answer = await raw.read_answer()
    assert answer.status == 200
    assert json.loads(answer.body.removeprefix(b"data: "))["error"]["code"] == "demo_broken"


async def test_an_error_may_come_in_the_middle(raw: RawClient) -> None:
    await post(raw, "demo-error-mid")
    await raw.read_head()
    *events, last = await raw.read_events()
    assert b'"content"' in events[-1]
    assert b'"error"' in last


async def test_an_error_of_a_response_stream_is_an_error_event(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model="demo-error-first", input="x", stream=True)
    assert [event.type async for event in stream] == ["error"]


async def test_garbage_stands_within_an_otherwise_whole_stream(raw: RawClient) -> None:
    await post(raw, "demo-garbage")
    await raw.read_head()
    events = await raw.read_events()
    assert events.count(b"data: {this is no JSON\n\n") == 1
    assert b'"stop"' in events[-2]
    assert events[-1] == b"data: [DONE]\n\n"


async def test_comments_may_come_first(raw: RawClient) -> None:
    await post(raw, "demo-comments-0.03")
    await raw.read_head()
    assert (await raw.read_events())[:3] == [b": keep-alive\n\n"] * 3
    await post(raw, "demo-comments-0.03", stream=False)
    answer = await raw.read_answer()
    assert answer.body.startswith(b"\n\n\n{")
    assert answer.json["object"] == "chat.completion"


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_may_be_empty_or_a_page(raw: RawClient, stream: bool) -> None:
    await post(raw, "demo-empty", stream=stream)
    assert (await raw.read_answer()).body == b""
    await post(raw, "demo-html", stream=stream)
    answer = await raw.read_answer()
    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=utf-8")
    assert answer.body.startswith(b"<!DOCTYPE html>")


# leaving and stopping


async def test_a_client_that_leaves_ends_the_generation_and_is_counted(paced: Demo) -> None:
    async with RawClient(await paced.start()) as client:
        await post(client, "demo-long")
        await client.read_head()
        await client.read_event()
        assert paced.running == 1
    await until(lambda: paced.left, "the client's leaving to be counted")
    assert (paced.running, paced.left, paced.served) == (0, 1, 0)


async def test_a_client_that_closes_after_the_end_has_not_left(port: int) -> None:
    async with RawClient(port) as client:
        await post(client, "demo-instant")
        await client.read_head()
        while await client.read_event() != b"data: [DONE]\n\n":
            pass
    async with RawClient(port) as client:
        stats = (await client.fetch("GET", "/stats")).json
    assert stats == {"served": 1, "left": 0, "running": 0}


async def test_the_demo_alone_prints_its_address_and_its_table() -> None:
    args = ["demo", "--host", "127.0.0.1", "--port", "0"]
    async with Process(args) as process, RawClient(process.port) as client:
        assert (await client.fetch("GET", "/v1/models")).status == 200
        process.signal()
        assert await process.wait() == 0
        assert "demo-slow-start" in process.lines[0]
        assert any("content after 20 s" in line for line in process.lines[1:])


async def test_a_stop_ends_what_is_running_and_counts_no_leavers() -> None:
    demo = Demo()
    async with RawClient(await demo.start()) as client:
        await post(client, "demo-stall")
        await client.read_head()
        await demo.stop()
        await client.eof()
    assert (demo.left, demo.running) == (0, 0)


async def test_an_http_1_0_client_gets_a_close_delimited_stream(raw: RawClient) -> None:
    body = json.dumps(ask(stream=True)).encode()
    await raw.send(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert (await raw.read_head()).header("transfer-encoding") is None
    assert (await raw.read_body()).endswith(b"data: [DONE]\n\n")


def test_a_taken_port_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    from proxy.demo.server import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main("127.0.0.1", port) == 1
    assert capsys.readouterr().err.startswith(f"sluice demo: cannot listen on 127.0.0.1:{port}: ")
