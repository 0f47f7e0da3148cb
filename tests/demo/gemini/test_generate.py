"""The demo's contents, read by the google-genai package."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient

from proxy.demo.models import MODELS
from tests.support import RawClient

WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            parameters=types.Schema(
                type=types.Type.OBJECT,
                properties={
                    "city": types.Schema(type=types.Type.STRING),
                    "days": types.Schema(type=types.Type.INTEGER, minimum=2),
                },
                required=["city", "days"],
            ),
        )
    ]
)
CALL = {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}
SILENT = {"demo-stall", "demo-slow-start", "demo-slow-headers"}


def path(model: str, method: str = "streamGenerateContent?alt=sse") -> str:
    return f"/v1beta/models/{model}:{method}"


def documents(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]


async def streamed(google: AsyncClient, prompt: Any = "Hello there", model: str = "demo-instant", **config: Any) -> Any:
    """The chunks of a stream."""
    options = types.GenerateContentConfig(**config)
    stream = await google.models.generate_content_stream(model=model, contents=prompt, config=options)
    return [chunk async for chunk in stream]


async def test_a_text_mentions_the_prompt_and_counts_words(google: AsyncClient) -> None:
    answer = await google.models.generate_content(model="demo-instant", contents="blue elephants")
    assert "blue elephants" in answer.text
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert answer.model_version == "demo-instant"
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (2, len(answer.text.split()))
    assert usage.total_token_count == 2 + usage.candidates_token_count


async def test_a_stream_adds_up_to_the_plain_text(google: AsyncClient) -> None:
    plain = await google.models.generate_content(model="demo-instant", contents="Hello there")
    chunks = await streamed(google)
    assert "".join(chunk.text for chunk in chunks) == plain.text
    assert all(len(chunk.text.split()) == 1 for chunk in chunks)
    assert [chunk.candidates[0].finish_reason for chunk in chunks[-2:]] == [None, types.FinishReason.STOP]
    assert chunks[-1].usage_metadata == plain.usage_metadata
    assert len({chunk.response_id for chunk in chunks}) == 1


async def test_events_are_googles(raw: RawClient) -> None:
    answer = await raw.fetch("POST", path("demo-instant"), json=CALL)
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    lines = answer.body.split(b"\r\n")
    assert all(line.startswith(b"data: {") for line in lines[:-1:2])
    assert not any(lines[1::2])
    assert b"\n" not in answer.body.replace(b"\r\n", b"")


@pytest.mark.parametrize("stream", [True, False])
async def test_thoughts_are_shown_if_requested_and_signed_always(google: AsyncClient, stream: bool) -> None:
    async def parts(**thinking: Any) -> list[types.Part]:
        config: Any = {"thinking_config": types.ThinkingConfig(**thinking)}
        if stream:
            chunks = await streamed(google, "red fish", "demo-reasoning", **config)
            return [part for chunk in chunks for part in chunk.candidates[0].content.parts]
        answer = await google.models.generate_content(
            model="demo-reasoning", contents="red fish", config=types.GenerateContentConfig(**config)
        )
        assert answer.usage_metadata.thoughts_token_count > 0
        return list(answer.candidates[0].content.parts)

    shown, hidden = await parts(include_thoughts=True), await parts()
    thoughts = "".join(part.text for part in shown if part.thought)
    assert "red fish" in thoughts
    assert not any(part.thought for part in hidden)
    for found in (shown, hidden):
        assert found[-1].thought_signature.decode() == thoughts


@pytest.mark.parametrize("stream", [True, False])
async def test_a_function_is_called_and_its_result_ends_the_turn(google: AsyncClient, stream: bool) -> None:
    async def content(contents: Any) -> Any:
        config = types.GenerateContentConfig(tools=[WEATHER])
        if stream:
            chunks = await streamed(google, contents, tools=[WEATHER])
            return types.Content(role="model", parts=[p for c in chunks for p in c.candidates[0].content.parts])
        answer = await google.models.generate_content(model="demo-instant", contents=contents, config=config)
        return answer.candidates[0].content

    question = types.Content(role="user", parts=[types.Part(text="What is the weather in Paris for 3 days?")])
    first = await content([question])
    (part,) = first.parts
    assert (part.function_call.name, part.function_call.args) == ("get_weather", {"city": "Paris", "days": 3})
    result = types.FunctionResponse(id=part.function_call.id, name="get_weather", response={"output": "sunny"})
    told = types.Content(role="user", parts=[types.Part(function_response=result)])
    second = await content([question, first, told])
    assert "sunny" in "".join(part.text for part in second.parts)


async def test_a_function_of_a_model_that_thinks_is_signed(google: AsyncClient) -> None:
    chunks = await streamed(google, "What is the weather in Paris?", "demo-reasoning", tools=[WEATHER])
    (part,) = chunks[-1].candidates[0].content.parts
    assert part.function_call.name == "get_weather"
    assert part.thought_signature


async def test_the_package_calls_functions_by_itself(google: AsyncClient) -> None:
    async def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"{city} is sunny"

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = await google.models.generate_content(model="demo-instant", contents="weather in Rome", config=config)
    assert "Rome is sunny" in answer.text


async def test_a_limit_cuts_the_text_short(google: AsyncClient) -> None:
    chunks = await streamed(google, max_output_tokens=3)
    assert len(chunks) == 3
    assert chunks[-1].candidates[0].finish_reason is types.FinishReason.MAX_TOKENS


async def test_schemas_of_both_kinds_are_honored(google: AsyncClient) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    for given in ({"response_json_schema": schema}, {"response_schema": schema}):
        config = types.GenerateContentConfig(response_mime_type="application/json", **given)
        answer = await google.models.generate_content(model="demo-instant", contents="Go to Rome", config=config)
        assert json.loads(answer.text) == {"city": "Rome"}


async def test_tokens_are_counted_without_an_answer(google: AsyncClient) -> None:
    counted = await google.models.count_tokens(model="demo", contents="three short words")
    assert counted.total_tokens == 3


async def test_models_are_listed_in_the_shape_of_the_api(google: AsyncClient) -> None:
    assert [model.name async for model in await google.models.list()] == [f"models/{model.name}" for model in MODELS]
    assert (await google.models.get(model="demo-slow-start-3")).name == "models/demo-slow-start-3"


@pytest.mark.parametrize(
    ("model", "error", "word"),
    [
        ("demo-429", errors.ClientError, "RESOURCE_EXHAUSTED"),
        ("demo-500", errors.ServerError, "INTERNAL"),
        ("demo-503", errors.ServerError, "UNAVAILABLE"),
        ("demo-401", errors.ClientError, "INVALID_ARGUMENT"),
        ("demo-404", errors.ClientError, "NOT_FOUND"),
        ("demo-400-context", errors.ClientError, "INVALID_ARGUMENT"),
        ("no-such", errors.ClientError, "NOT_FOUND"),
    ],
)
async def test_an_error_is_the_packages_exception(
    google: AsyncClient, model: str, error: type[errors.APIError], word: str
) -> None:
    with pytest.raises(error) as refused:
        await google.models.generate_content(model=model, contents="Hi")
    assert refused.value.status == word
    with pytest.raises(error):
        await streamed(google, model=model)


@pytest.mark.parametrize("model", ["demo-error-first", "demo-error-mid"])
async def test_an_error_in_a_stream_is_an_event_that_the_package_raises(google: AsyncClient, model: str) -> None:
    with pytest.raises(errors.APIError, match="on purpose"):
        await streamed(google, model=model)


async def test_a_truncated_stream_has_no_finish_reason(raw: RawClient) -> None:
    found = documents((await raw.fetch("POST", path("demo-truncated"), json=CALL)).body)
    assert len(found) > 5
    assert not any("finishReason" in chunk["candidates"][0] for chunk in found)


async def test_more_than_one_candidate_is_refused(raw: RawClient) -> None:
    body = CALL | {"generationConfig": {"candidateCount": 2}}
    answer = await raw.fetch("POST", path("demo", "generateContent"), json=body)
    assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_a_stream_that_is_no_event_stream_is_refused(raw: RawClient) -> None:
    answer = await raw.fetch("POST", path("demo", "streamGenerateContent"), json=CALL)
    assert answer.status == 400
    assert "?alt=sse" in answer.json["error"]["message"]


@pytest.mark.parametrize("model", [model.name for model in MODELS if model.fault and model.name not in SILENT])
async def test_no_fault_has_the_form_of_another_api(port: int, model: str) -> None:
    for method in ("streamGenerateContent?alt=sse", "generateContent"):
        async with RawClient(port) as raw:
            named = "demo-comments-0.03" if model == "demo-comments" else model
            await raw.request("POST", path(named, method), json=CALL)
            head = await raw.read_head()
            if model != "demo-cut":
                await raw.read_body()
            received = bytes(raw.received)
            assert b"[DONE]" not in received
            assert b"choices" not in received
            assert head.status == 200 or b'"status":"' in received
