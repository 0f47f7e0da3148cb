from __future__ import annotations

import json

from openai import AsyncOpenAI

from tests.demo.calls import WEATHER


async def test_a_streamed_response_equals_the_plain_one(sdk: AsyncOpenAI) -> None:
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


async def test_a_truncated_response_is_incomplete(sdk: AsyncOpenAI) -> None:
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


async def test_an_error_of_a_response_stream_is_an_error_event(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model="demo-error-first", input="x", stream=True)
    assert [event.type async for event in stream] == ["error"]


async def test_the_tokens_of_a_response_are_counted(sdk: AsyncOpenAI) -> None:
    call = {"model": "demo-instant", "input": "red fish", "instructions": "Be brief."}
    counted = await sdk.responses.input_tokens.count(**call)
    answered = await sdk.responses.create(**call)
    assert counted.input_tokens == answered.usage.input_tokens == 4
