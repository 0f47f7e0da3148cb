from __future__ import annotations

import json

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.demo.calls import WEATHER, ask


async def test_a_chat_completion_mentions_the_prompt_and_counts_words(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(**ask("blue elephants"))
    text = answer.choices[0].message.content
    assert "blue elephants" in text
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, len(text.split()))


async def test_a_stream_has_the_same_text_word_by_word(sdk: AsyncOpenAI) -> None:
    whole = await sdk.chat.completions.create(**ask("blue elephants"))
    chunks = [chunk async for chunk in await sdk.chat.completions.create(**ask("blue elephants", stream=True))]
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert "".join(said) == whole.choices[0].message.content
    assert all(len(word.split()) == 1 for word in said)
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


async def test_usage_is_the_last_event_if_requested(sdk: AsyncOpenAI) -> None:
    options = {"include_usage": True}
    stream = await sdk.chat.completions.create(**ask(stream=True, stream_options=options))
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.prompt_tokens == 2
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert all("usage" in chunk.model_fields_set for chunk in chunks)  # null, as OpenAI sends it


async def test_max_tokens_truncates_the_response(sdk: AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(**ask(max_completion_tokens=4))
    assert len(answer.choices[0].message.content.split()) == 4
    assert answer.choices[0].finish_reason == "length"


async def test_json_mode_returns_json(sdk: AsyncOpenAI) -> None:
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


async def test_an_invalid_schema_is_a_400(sdk: AsyncOpenAI) -> None:
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


async def test_results_of_tools_end_the_turn_even_if_a_text_follows(sdk: AsyncOpenAI) -> None:
    """A gateway that translates Anthropic's API writes what stands beside a result after it."""
    question = {"role": "user", "content": "How is the weather in Oslo?"}
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    called = {"role": "assistant", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c", "content": "21 degrees"}
    beside = {"role": "user", "content": "Mind the weather."}
    turn = [question, called, result, beside]
    answer = await sdk.chat.completions.create(**ask(messages=turn, tools=[WEATHER]))
    assert "21 degrees" in answer.choices[0].message.content
    later = [*turn, {"role": "assistant", "content": "Fine."}, question]
    answer = await sdk.chat.completions.create(**ask(messages=later, tools=[WEATHER]))
    assert answer.choices[0].finish_reason == "tool_calls"


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
async def test_tool_choice_is_honored(sdk: AsyncOpenAI, choice: object, prompt: str, called: bool) -> None:
    answer = await sdk.chat.completions.create(**ask(prompt, tools=[WEATHER], tool_choice=choice))
    assert bool(answer.choices[0].message.tool_calls) is called


async def test_the_result_of_a_tool_is_answered_with_text(sdk: AsyncOpenAI) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    talk = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "21 degrees"},
    ]
    answer = await sdk.chat.completions.create(model="demo-instant", messages=talk, tools=[WEATHER])
    assert "21 degrees" in answer.choices[0].message.content


async def test_completions_work_plain_and_streamed(sdk: AsyncOpenAI) -> None:
    whole = await sdk.completions.create(model="demo-instant", prompt="red fish")
    stream = await sdk.completions.create(
        model="demo-instant", prompt="red fish", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "red fish" in whole.choices[0].text
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
