"""The anthropic package, the gateway, and the demo provider that it has without any other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.support.gateway import Gateway

WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
AT_ONCE = {"maxRetries": 0, "rateLimitRetries": 0}  # its 429 has a Retry-After of seconds


def ask(prompt: Any = "Hello there", model: str = "demo-instant", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}], **more}


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with Gateway({"demo": "auto", "routing": AT_ONCE}) as gw:
        yield gw


@pytest.fixture
async def sdk(gw: Gateway) -> AsyncIterator[AsyncAnthropic]:
    # Reading the system's certificates takes longer than a call.
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    options: Any = {"base_url": gw.url, "api_key": "any", "max_retries": 0, "timeout": 10.0}
    async with AsyncAnthropic(http_client=http, **options) as client:
        yield client


async def test_a_stream_and_a_plain_message_say_the_same(sdk: AsyncAnthropic) -> None:
    plain = await sdk.messages.create(**ask(model="demo-reasoning", max_tokens=5))
    async with sdk.messages.stream(**ask(model="demo-reasoning", max_tokens=5)) as stream:
        whole = await stream.get_final_message()
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert [block.to_dict() for block in whole.content] == [block.to_dict() for block in plain.content]
    assert whole.usage.input_tokens == plain.usage.input_tokens == 2


async def test_a_tool_is_called_and_its_result_ends_the_turn(sdk: AsyncAnthropic) -> None:
    asked = ask("What is the weather in Paris?", tools=[WEATHER])
    async with sdk.messages.stream(**asked) as stream:
        first = await stream.get_final_message()
    (use,) = first.content
    assert (first.stop_reason, use.type, use.input) == ("tool_use", "tool_use", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
    asked["messages"] += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    async with sdk.messages.stream(**asked) as stream:
        second = await stream.get_final_message()
    assert (second.stop_reason, "sunny" in second.content[0].text) == ("end_turn", True)


async def test_auto_is_a_model_of_the_demo(sdk: AsyncAnthropic) -> None:
    assert (await sdk.messages.create(**ask(model="auto", max_tokens=3))).model.startswith("demo")


async def test_tokens_are_counted_and_models_are_listed(sdk: AsyncAnthropic) -> None:
    call = ask("three short words")
    del call["max_tokens"]
    assert (await sdk.messages.count_tokens(**call)).input_tokens == 3
    names = [model.id async for model in sdk.models.list()]
    assert {"demo", "demo-instant", "demo-reasoning"} <= set(names)
    assert not {"demo-image", "demo-embedding"} & set(names)
    assert (await sdk.models.retrieve("demo")).id == "demo"


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("demo-429", anthropic.RateLimitError),
        ("demo-500", anthropic.InternalServerError),
        ("demo-503", anthropic.APIStatusError),
        ("demo-400-context", anthropic.BadRequestError),
        ("demo-error-first", anthropic.APIStatusError),
        ("no-such", anthropic.NotFoundError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_before_the_content_is_the_packages_exception(
    sdk: AsyncAnthropic, model: str, error: type[anthropic.APIStatusError], stream: bool
) -> None:
    with pytest.raises(error) as refused:
        await sdk.messages.create(**ask(model=model, stream=stream))
    assert refused.value.status_code >= 400
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "error"


async def collect(words: list[str], sdk: AsyncAnthropic, model: str) -> None:
    """Add the words of a stream to ``words`` as they come."""
    async with sdk.messages.stream(**ask(model=model)) as stream:
        async for text in stream.text_stream:
            words += [text]


@pytest.mark.parametrize("model", ["demo-error-mid", "demo-cut", "demo-truncated"])
async def test_a_broken_stream_raises_after_its_words(sdk: AsyncAnthropic, model: str) -> None:
    words: list[str] = []
    with pytest.raises(anthropic.APIStatusError):
        await collect(words, sdk, model)
    assert words


@pytest.mark.parametrize("model", ["demo-no-done", "demo-garbage"])
async def test_what_a_client_need_not_see_is_repaired(gw: Gateway, model: str) -> None:
    client = await gw.client()
    answer = await client.fetch("POST", "/v1/messages", json=ask(model=model, stream=True))
    assert answer.status == 200
    assert answer.body.count(b"event: message_stop\n") == 1
    assert b"event: error" not in answer.body
    assert b"this is no JSON" not in answer.body
