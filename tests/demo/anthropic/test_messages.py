"""The demo's messages, read by the anthropic package."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

from proxy.demo.models import MODELS
from tests.support import RawClient

WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SILENT = {"demo-stall", "demo-slow-start", "demo-slow-headers"}


def ask(prompt: Any = "Hello there", model: str = "demo-instant", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}], **more}


@pytest.fixture
async def sdk(port: int) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=f"http://127.0.0.1:{port}", api_key="any", max_retries=0) as client:
        yield client


async def streamed(sdk: AsyncAnthropic, **call: Any) -> Message:
    async with sdk.messages.stream(**call) as stream:
        return await stream.get_final_message()


def names_of(body: bytes) -> list[str]:
    return [line.removeprefix("event: ") for line in body.decode().splitlines() if line.startswith("event: ")]


async def test_a_message_mentions_the_prompt_and_counts_words(sdk: AsyncAnthropic) -> None:
    answer = await sdk.messages.create(**ask("blue elephants"))
    (block,) = answer.content
    assert block.type == "text"
    assert "blue elephants" in block.text
    assert (answer.stop_reason, answer.model) == ("end_turn", "demo-instant")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, len(block.text.split()))


@pytest.mark.parametrize("model", ["demo-instant", "demo-reasoning"])
async def test_a_stream_adds_up_to_the_plain_message(sdk: AsyncAnthropic, model: str) -> None:
    plain = await sdk.messages.create(**ask(model=model))
    whole = await streamed(sdk, **ask(model=model))
    assert [block.to_dict() for block in whole.content] == [block.to_dict() for block in plain.content]
    assert (whole.stop_reason, whole.usage.output_tokens) == (plain.stop_reason, plain.usage.output_tokens)
    assert whole.usage.input_tokens == plain.usage.input_tokens


async def test_a_stream_has_the_events_of_the_api_in_order(raw: RawClient) -> None:
    answer = await raw.fetch("POST", "/v1/messages", json=ask("hi", stream=True, max_tokens=2))
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert names_of(answer.body) == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_a_thought_has_a_signature_and_comes_before_the_text(sdk: AsyncAnthropic) -> None:
    answer = await streamed(sdk, **ask("red fish", "demo-reasoning"))
    thought, text = answer.content
    assert (thought.type, text.type) == ("thinking", "text")
    assert "red fish" in thought.thinking
    assert base64.b64decode(thought.signature).decode() == thought.thinking


@pytest.mark.parametrize("stream", [True, False])
async def test_a_thought_can_be_hidden_or_turned_off(sdk: AsyncAnthropic, stream: bool) -> None:
    make: Any = streamed if stream else lambda sdk, **call: sdk.messages.create(**call)
    hidden = await make(sdk, **ask(model="demo-reasoning", thinking={"type": "adaptive", "display": "omitted"}))
    assert hidden.content[0].type == "thinking"
    assert hidden.content[0].thinking == ""
    assert hidden.content[0].signature
    silent = await make(sdk, **ask(model="demo-reasoning", thinking={"type": "disabled"}))
    assert [block.type for block in silent.content] == ["text"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_tool_is_called_and_its_result_ends_the_turn(sdk: AsyncAnthropic, stream: bool) -> None:
    make: Any = streamed if stream else lambda sdk, **call: sdk.messages.create(**call)
    asked = ask("What is the weather in Paris?", tools=[WEATHER])
    first = await make(sdk, **asked)
    (use,) = first.content
    assert (first.stop_reason, use.type, use.name, use.input) == (
        "tool_use",
        "tool_use",
        "get_weather",
        {"city": "Paris"},
    )
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
    asked["messages"] += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = await make(sdk, **asked)
    assert second.stop_reason == "end_turn"
    assert "sunny" in second.content[0].text


async def test_a_tool_that_nobody_needs_is_not_called(sdk: AsyncAnthropic) -> None:
    assert (await sdk.messages.create(**ask("a poem", tools=[WEATHER]))).stop_reason == "end_turn"
    chosen = await sdk.messages.create(**ask("a poem", tools=[WEATHER], tool_choice={"type": "any"}))
    assert chosen.stop_reason == "tool_use"


async def test_a_limit_cuts_the_text_short(sdk: AsyncAnthropic) -> None:
    answer = await streamed(sdk, **ask(max_tokens=3))
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 3)
    warm = await sdk.messages.create(**ask(max_tokens=0))
    assert (warm.content, warm.stop_reason) == ([], "max_tokens")


async def test_a_schema_is_honored(sdk: AsyncAnthropic) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted: Any = {"format": {"type": "json_schema", "schema": schema}}
    answer = await sdk.messages.create(**ask("Go to Rome", output_config=wanted))
    assert answer.content[0].type == "text"
    assert json.loads(answer.content[0].text) == {"city": "Rome"}


async def test_tokens_are_counted_without_an_answer(sdk: AsyncAnthropic) -> None:
    call = ask("three short words", system="and two")
    del call["max_tokens"]
    assert (await sdk.messages.count_tokens(**call)).input_tokens == 5


async def test_models_are_listed_in_the_shape_of_the_api(sdk: AsyncAnthropic) -> None:
    assert [model.id async for model in sdk.models.list()] == [model.name for model in MODELS]
    assert (await sdk.models.retrieve("demo-slow-start-3")).id == "demo-slow-start-3"


@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        ("demo-429", anthropic.RateLimitError, "rate_limit_error"),
        ("demo-500", anthropic.InternalServerError, "api_error"),
        ("demo-503", anthropic.APIStatusError, "overloaded_error"),
        ("demo-401", anthropic.AuthenticationError, "authentication_error"),
        ("demo-404", anthropic.NotFoundError, "not_found_error"),
        ("demo-400-context", anthropic.BadRequestError, "invalid_request_error"),
        ("no-such", anthropic.NotFoundError, "not_found_error"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_is_the_packages_exception(
    sdk: AsyncAnthropic, model: str, error: type[anthropic.APIStatusError], kind: str, stream: bool
) -> None:
    with pytest.raises(error) as refused:
        await sdk.messages.create(**ask(model=model, stream=stream))
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["type"] == kind
    assert refused.value.status_code == (529 if model == "demo-503" else refused.value.status_code)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model":"demo","messages":[]}', b'{"model":"demo","max_tokens":1}'])
async def test_an_invalid_body_is_refused(raw: RawClient, body: bytes) -> None:
    answer = await raw.fetch("POST", "/v1/messages", body=body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("model", ["demo-error-first", "demo-error-mid"])
async def test_an_error_in_a_stream_is_an_event_that_the_package_raises(sdk: AsyncAnthropic, model: str) -> None:
    with pytest.raises(anthropic.APIStatusError, match="on purpose"):
        await streamed(sdk, **ask(model=model))


async def test_the_last_events_can_be_missing(raw: RawClient) -> None:
    truncated = await raw.fetch("POST", "/v1/messages", json=ask(model="demo-truncated", stream=True))
    assert not {"message_delta", "message_stop"} & set(names_of(truncated.body))
    assert names_of(truncated.body)[-1] == "content_block_delta"
    unfinished = await raw.fetch("POST", "/v1/messages", json=ask(model="demo-no-done", stream=True))
    assert names_of(unfinished.body)[-1] == "message_delta"


@pytest.mark.parametrize("model", [model.name for model in MODELS if model.fault and model.name not in SILENT])
async def test_no_fault_has_the_form_of_another_api(port: int, model: str) -> None:
    for stream in (True, False):
        async with RawClient(port) as raw:
            body = ask(model="demo-comments-0.03" if model == "demo-comments" else model, stream=stream)
            await raw.request("POST", "/v1/messages", json=body)
            head = await raw.read_head()
            if model != "demo-cut":
                await raw.read_body()
            received = bytes(raw.received)
            assert b"[DONE]" not in received
            assert b"choices" not in received
            assert head.status == 200 or b'"type":"error"' in received
