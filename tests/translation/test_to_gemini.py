"""The SDKs of OpenAI and Anthropic over a provider of the Gemini API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import APIStatusError as AnthropicError
from openai import APIError as OpenAIError

from tests.support import Upstream, json_answer, sse_answer
from tests.support.clouds import PROJECT, VertexServer
from tests.support.gateway import Gateway
from tests.support.gemini import event
from tests.translation import gemini_rules
from tests.translation.gemini_provider import (
    GeminiProvider,
    answer,
    call,
    error,
    events,
    served,
    signature,
    text,
    thought,
)
from tests.translation.sdks import Json, Said, ask, sdk_of

CLIENTS = ("chat", "messages")
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
CLIENT = pytest.mark.parametrize("client", CLIENTS)
CALLS: dict[str, Json] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    "messages": {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]},
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: dict[str, Json] = {
    "chat": {"tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]},
    "messages": {"tools": [{"name": "weather", "input_schema": SCHEMA}]},
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


async def said(
    client: str, provider: GeminiProvider, *, stream: bool, model: str = gemini_rules.MODEL, **call_: Any
) -> Said:
    """What the SDK reads of the answer to one call."""
    async with served(provider, model) as gw, sdk_of(client, gw) as sdk:
        found = await ask(client, sdk, CALLS[client] | call_, stream=stream)
    assert provider.refused == []
    return found


def text_of(client: str, found: Json) -> str:
    if client == "chat":
        return str(found["choices"][0]["message"]["content"] or "")
    return "".join(block["text"] for block in found["content"] if block["type"] == "text")


def finish_of(client: str, found: Json) -> str:
    return str(found["choices"][0]["finish_reason"] if client == "chat" else found["stop_reason"])


# Text, usage, finish


@CLIENT
@STREAM
async def test_a_text_comes_back_with_its_usage(client: str, stream: bool) -> None:
    provider = GeminiProvider()
    found = await said(client, provider, stream=stream)
    assert text_of(client, found.answer) == "Fine, thanks."
    (request,) = provider.requests
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    assert request.target == f"/v1beta/models/{gemini_rules.MODEL}:{method}"
    assert provider.asked[0]["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    usage = found.answer["usage"]
    if client == "chat":
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (90, 30)
        assert usage["prompt_tokens_details"]["cached_tokens"] == 20
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 5
    else:
        assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (70, 20, 30)
    assert found.dropped == []


@STREAM
@pytest.mark.parametrize(
    ("finish", "chat", "messages"),
    [("STOP", "stop", "end_turn"), ("MAX_TOKENS", "length", "max_tokens"), ("SAFETY", "content_filter", "refusal")],
)
async def test_each_finish_reason_has_a_counterpart(stream: bool, finish: str, chat: str, messages: str) -> None:
    for client, expected in (("chat", chat), ("messages", messages)):
        if client == "chat" and stream and finish != "STOP":
            continue  # the openai package raises for an answer that is not whole
        provider = GeminiProvider()
        provider.answers.append(answer(text("A"), finish=finish))
        found = await said(client, provider, stream=stream)
        assert finish_of(client, found.answer) == expected


@CLIENT
async def test_a_blocked_prompt_is_no_empty_answer(client: str) -> None:
    provider = GeminiProvider()
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
    provider.scripts.append(json_answer(blocked))
    found = await said(client, provider, stream=False)
    assert finish_of(client, found.answer) in ("content_filter", "refusal")


# Tools


@CLIENT
@STREAM
async def test_a_tool_is_called_and_its_result_sent_back_with_the_signature(client: str, stream: bool) -> None:
    provider = GeminiProvider()
    provider.answers += [
        answer(
            thought("I need both."),
            call("weather", {"city": "Bonn"}, thoughtSignature=signature("first")),
            call("weather", {"city": "Köln"}),
        ),
        answer(text("Both are sunny.")),
    ]
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        first = await ask(client, sdk, CALLS[client] | TOOLS[client], stream=stream)
        assert finish_of(client, first.answer) in ("tool_calls", "tool_use")
        messages = [*CALLS[client]["messages"], *results(client, first.answer)]
        second = await ask(client, sdk, CALLS[client] | TOOLS[client] | {"messages": messages}, stream=stream)
    assert provider.refused == []
    assert text_of(client, second.answer) == "Both are sunny."
    (declared,) = provider.asked[0]["tools"][0]["functionDeclarations"]
    assert declared == {"name": "weather", "parametersJsonSchema": SCHEMA}
    _, model, user = provider.asked[1]["contents"]
    calls = [part for part in model["parts"] if "functionCall" in part]
    assert [part["functionCall"]["args"] for part in calls] == [{"city": "Bonn"}, {"city": "Köln"}]
    assert [part.get("thoughtSignature") for part in calls] == [signature("first"), None]
    found = [part["functionResponse"] for part in user["parts"]]
    assert [each["response"] for each in found] == [{"output": "sunny 0"}, {"output": "sunny 1"}]
    assert [each["id"] for each in found] == [part["functionCall"]["id"] for part in calls]


def results(client: str, found: Json) -> list[Json]:
    """The answer as it is sent back, and a result for each of its calls."""
    if client == "chat":
        message = found["choices"][0]["message"]
        return [
            {name: value for name, value in message.items() if value is not None},
            *(
                {"role": "tool", "tool_call_id": each["id"], "content": f"sunny {at}"}
                for at, each in enumerate(message["tool_calls"])
            ),
        ]
    calls = [block for block in found["content"] if block["type"] == "tool_use"]
    return [
        {"role": "assistant", "content": found["content"]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": each["id"], "content": f"sunny {at}"}
                for at, each in enumerate(calls)
            ],
        },
    ]


@CLIENT
async def test_the_signature_of_a_text_comes_back_in_the_next_turn(client: str) -> None:
    provider = GeminiProvider()
    provider.answers.append(answer(thought("Hm."), text("Yes.", thoughtSignature=signature("text"))))
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        first = await ask(client, sdk, CALLS[client], stream=True)
        said_ = (
            {name: value for name, value in first.answer["choices"][0]["message"].items() if value is not None}
            if client == "chat"
            else {"role": "assistant", "content": first.answer["content"]}
        )
        messages = [*CALLS[client]["messages"], said_, {"role": "user", "content": "Why?"}]
        await ask(client, sdk, CALLS[client] | {"messages": messages}, stream=False)
    assert provider.refused == []
    assert provider.asked[1]["contents"][1]["parts"][-1] == {"text": "Yes.", "thoughtSignature": signature("text")}


@CLIENT
async def test_calls_that_another_model_made_are_taken(client: str) -> None:
    provider = GeminiProvider()
    history: dict[str, list[Json]] = {
        "chat": [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": "foreign"},
                    {"type": "tool_use", "id": "c1", "name": "weather", "input": {}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]},
        ],
    }
    messages = [*CALLS[client]["messages"], *history[client]]
    found = await said(client, provider, stream=False, messages=messages, **TOOLS[client])
    (part,) = provider.asked[0]["contents"][1]["parts"]
    assert part["thoughtSignature"] == gemini_rules.SKIP
    assert found.dropped == (
        [] if client == "chat" else ["messages[].content[].signature", "messages[].content[].thinking"]
    )


async def test_the_image_of_a_result_goes_into_the_result() -> None:
    provider = GeminiProvider()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    messages = [
        *CALLS["messages"]["messages"],
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [image]}]},
    ]
    await said("messages", provider, stream=False, messages=messages, **TOOLS["messages"])
    (part,) = provider.asked[0]["contents"][2]["parts"]
    assert part["functionResponse"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": PNG}}]


# Thoughts, forms, losses


@STREAM
async def test_thoughts_are_shown_to_a_client_that_asks_for_them(stream: bool) -> None:
    provider = GeminiProvider()
    provider.answers.append(answer(thought("Hm. "), thought("So."), text("Yes.")))
    found = await said("chat", provider, stream=stream, reasoning_effort="low")
    assert found.answer["choices"][0]["message"]["reasoning_content"] == "Hm. So."
    config = provider.asked[0]["generationConfig"]["thinkingConfig"]
    assert config == {"thinkingLevel": "LOW", "includeThoughts": True}


async def test_thinking_has_a_budget_for_older_models() -> None:
    provider = GeminiProvider()
    thinking = {"type": "enabled", "budget_tokens": 2000}
    await said("messages", provider, stream=False, model="gemini-2.5-flash", max_tokens=4000, thinking=thinking)
    config = provider.asked[0]["generationConfig"]["thinkingConfig"]
    assert config == {"thinkingBudget": 2000, "includeThoughts": True}


async def test_json_by_a_schema_is_asked_for() -> None:
    provider = GeminiProvider()
    provider.answers.append(answer(text('{"city":"Bonn"}')))
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    found = await said("chat", provider, stream=False, response_format=form)
    assert json.loads(text_of("chat", found.answer)) == {"city": "Bonn"}
    config = provider.asked[0]["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": {"title": "place"} | SCHEMA}


async def test_what_is_lost_is_told() -> None:
    provider = GeminiProvider()
    found = await said(
        "chat", provider, stream=False, temperature=0.5, logit_bias={"5": 1}, parallel_tool_calls=False, **TOOLS["chat"]
    )
    assert set(found.dropped) == {"temperature", "logit_bias", "parallel_tool_calls"}


async def test_log_probabilities_come_from_models_that_have_them() -> None:
    provider = GeminiProvider()
    result = {"chosenCandidates": [{"token": "A", "logProbability": -0.5}]}
    provider.answers.append(answer(text("A"), logprobsResult=result))
    found = await said("chat", provider, stream=False, model="gemini-2.0-flash", logprobs=True)
    (token,) = found.answer["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"]) == ("A", -0.5)


async def test_an_image_by_its_address_is_fetched_by_google() -> None:
    provider = GeminiProvider()
    parts = [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]
    await said("chat", provider, stream=False, messages=[{"role": "user", "content": parts}])
    file = {"fileUri": "https://a.example/b.png", "mimeType": "image/png"}
    assert provider.asked[0]["contents"][0]["parts"] == [{"fileData": file}]


async def test_what_cannot_be_sent_is_refused_by_name() -> None:
    async with served(GeminiProvider()) as gw, sdk_of("chat", gw) as sdk:
        with pytest.raises(OpenAIError) as caught:
            await ask("chat", sdk, CALLS["chat"] | {"n": 2}, stream=False)
    assert caught.value.param == "n"


# Errors


@CLIENT
@STREAM
async def test_an_error_of_the_provider_is_the_client_s_own(client: str, stream: bool) -> None:
    provider = GeminiProvider()
    provider.scripts.append(json_answer(error("Quota exceeded.", 429), 429))
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        with pytest.raises((OpenAIError, AnthropicError)) as caught:
            await ask(client, sdk, CALLS[client], stream=stream)
    assert "Quota exceeded." in str(caught.value)


@CLIENT
async def test_an_error_after_the_first_content_ends_the_stream(client: str) -> None:
    provider = GeminiProvider()
    begun = events(answer(text("Hello there, you.")))[:2]
    provider.scripts.append(sse_answer(*begun, event(error("Overloaded.", 503))))
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        with pytest.raises((OpenAIError, AnthropicError), match="Overloaded"):
            await ask(client, sdk, CALLS[client], stream=True)


@CLIENT
async def test_a_cut_stream_is_no_whole_answer(client: str) -> None:
    provider = GeminiProvider()
    provider.scripts.append(sse_answer(*events(answer(text("Hello there, you.")))[:2]))
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        with pytest.raises((OpenAIError, AnthropicError)):
            await ask(client, sdk, CALLS[client], stream=True)


@CLIENT
@STREAM
async def test_an_answer_that_the_provider_gave_up_is_tried_again(client: str, stream: bool) -> None:
    provider = GeminiProvider()
    provider.answers += [answer(finish="MALFORMED_FUNCTION_CALL"), answer(text("Now."))]
    routing = {"maxRetries": 1, "retryDelay": 0, "rateLimitRetries": 0}
    async with served(provider, routing=routing) as gw, sdk_of(client, gw) as sdk:
        found = await ask(client, sdk, CALLS[client], stream=stream)
    assert text_of(client, found.answer) == "Now."


@CLIENT
async def test_an_answer_that_the_provider_gave_up_after_its_first_content_is_an_error(client: str) -> None:
    provider = GeminiProvider()
    provider.answers.append(answer(text("Hello there, you."), finish="OTHER"))
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        with pytest.raises((OpenAIError, AnthropicError), match="OTHER"):
            await ask(client, sdk, CALLS[client], stream=True)


async def test_a_count_of_tokens_is_refused_so_that_the_client_estimates() -> None:
    async with served(GeminiProvider()) as gw:
        client = await gw.client()
        found = await client.fetch("POST", "/v1/messages/count_tokens", json=CALLS["messages"])
    assert (found.status, found.header("x-should-retry")) == (501, "false")


# Vertex AI


@STREAM
async def test_gemini_on_vertex_serves_both_clients(stream: bool) -> None:
    async with Upstream() as up:
        provider = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "apiKey": "AIza-key"}
        models = [{"name": "m", "provider": "vertex", "model": "gemini-3.8-flash"}]
        async with Gateway({"providers": {"vertex": provider}, "models": models}) as gw:
            for client in CLIENTS:
                found = answer(text("From Vertex."))
                up.queue(sse_answer(*events(found)) if stream else json_answer(found))
                async with sdk_of(client, gw) as sdk:
                    said_ = await ask(client, sdk, CALLS[client], stream=stream)
                assert text_of(client, said_.answer) == "From Vertex."
            requests = [await up.request(0), await up.request(1)]
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = f"{PROJECT}/publishers/google/models/gemini-3.8-flash:{method}"
    assert [request.target for request in requests] == [path, path]


async def test_claude_on_vertex_serves_clients_of_chat_in_its_own_api() -> None:
    async with Upstream() as up:
        VertexServer(up, "AIza-key")
        provider = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "apiKey": "AIza-key"}
        models = [{"name": "m", "provider": "vertex", "model": "claude-up"}]
        async with Gateway({"providers": {"vertex": provider}, "models": models}) as gw, sdk_of("chat", gw) as sdk:
            await ask("chat", sdk, CALLS["chat"], stream=False)
        request = await up.request()
    assert request.target == f"{PROJECT}/publishers/anthropic/models/claude-up:rawPredict"
