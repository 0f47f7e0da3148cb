"""Clients of other APIs over a provider of the Responses API, with the clients' own SDKs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support import Upstream, json_answer, sse_answer
from tests.support.gateway import Gateway
from tests.support.response_events import CREATED, block, completed, delta, done, event, message, text_delta
from tests.translation.sdks import sdk_of

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 17,
}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "I need the weather."}],
    "encrypted_content": "gAAA",
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Rome"}'}
END = completed()["response"] | {"usage": USAGE}
CALLING = [
    CREATED,
    delta("reasoning_summary_text", "I need the weather.", summary_index=0),
    done(THOUGHT),
    event("output_item.added", output_index=1, item=CALL | {"arguments": ""}),
    delta("function_call_arguments", '{"city":', 1),
    delta("function_call_arguments", '"Rome"}', 1),
    done(CALL, 1),
    event("completed", response=END | {"output": [THOUGHT, CALL]}),
]
SAYING = [
    CREATED,
    text_delta("Hel"),
    text_delta("lo"),
    done(message("Hello")),
    event("completed", response=END | {"output": [message("Hello")]}),
]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


@asynccontextmanager
async def gateway() -> AsyncIterator[tuple[Gateway, Upstream]]:
    """A model that thinks, at a provider without chat."""
    async with Upstream() as up:
        provider = {
            "baseUrl": up.url,
            "apiKey": "secret-key-of-twenty-characters",
            "dialects": {"chat": {"enabled": False}},
        }
        model = {"name": "m", "provider": "p", "model": "gpt-5.4"}
        async with Gateway({"providers": {"p": provider}, "models": [model]}) as gw:
            yield gw, up


async def test_a_client_of_messages_keeps_its_reasoning_over_a_call_of_a_tool() -> None:
    async with gateway() as (gw, up), sdk_of("messages", gw) as sdk:
        up.queue(sse_answer(*map(block, CALLING)), sse_answer(*map(block, SAYING)))
        call: Any = {
            "model": "m",
            "max_tokens": 2000,
            "system": "Be brief.",
            "tools": [{"name": "weather", "input_schema": SCHEMA}],
            "thinking": {"type": "adaptive", "display": "summarized"},
        }
        asked = {"role": "user", "content": "Weather?"}
        async with sdk.messages.stream(messages=[asked], **call) as stream:
            first = await stream.get_final_message()
        thinking, tool = first.content
        assert (thinking.type, thinking.thinking) == ("thinking", "I need the weather.")
        assert (tool.id, tool.name, tool.input) == ("call_1", "weather", {"city": "Rome"})
        assert (first.stop_reason, first.usage.input_tokens, first.usage.cache_read_input_tokens) == ("tool_use", 6, 4)

        result = {"type": "tool_result", "tool_use_id": tool.id, "content": "Sunny"}
        answered = {"role": "assistant", "content": [each.model_dump() for each in first.content]}
        async with sdk.messages.stream(
            messages=[asked, answered, {"role": "user", "content": [result]}], **call
        ) as stream:
            assert await stream.get_final_text() == "Hello"
        request, again = await up.request(0), await up.request(1)
        assert request.target == "/v1/responses"
        assert request.json["instructions"] == "Be brief."
        assert request.json["reasoning"] == {"summary": "auto"}
        assert again.json["input"] == [
            {"type": "message", "role": "user", "content": "Weather?"},
            THOUGHT,
            {name: value for name, value in CALL.items() if name != "id"},
            {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"},
        ]


async def test_a_client_of_chat_gets_streams_and_whole_answers() -> None:
    async with gateway() as (gw, up), sdk_of("chat", gw) as sdk:
        up.queue(sse_answer(*map(block, SAYING)), json_answer(END | {"object": "response", "output": [CALL]}))
        messages: Any = [{"role": "user", "content": "Hi"}]
        stream = await sdk.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
        assert chunks[-1].usage.prompt_tokens_details.cached_tokens == 4

        tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
        whole = await sdk.chat.completions.create(model="m", messages=messages, tools=tools, seed=7)
        choice = whole.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.tool_calls[0].function.arguments == '{"city":"Rome"}'
        request = await up.request(1)
        assert request.json["tools"][0]["strict"] is False
        assert request.json["store"] is False


async def test_a_failed_response_is_an_error_of_the_clients_own() -> None:
    async with gateway() as (gw, up):
        failed = event(
            "failed", response=END | {"status": "failed", "error": {"code": "server_error", "message": "No."}}
        )
        up.queue(sse_answer(*map(block, [CREATED, text_delta("Hel"), failed])))
        client = await gw.client()
        body = {"model": "m", "max_tokens": 99, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        answer = await client.fetch("POST", "/v1/messages", json=body)
        assert answer.body.count(b"event: error") == 1
        assert b"message_stop" not in answer.body
