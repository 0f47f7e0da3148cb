"""Counts of tokens for clients whose provider counts in another dialect. The SDKs read them, and judge the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from openai.types.responses.input_token_count_params import InputTokenCountParams

from tests.support import Answer, Upstream, error_json, json_answer
from tests.support.gateway import Gateway
from tests.support.gemini import connected
from tests.support.steps import Script
from tests.support.upstream import Request
from tests.translation import gemini_rules
from tests.translation.cells import CLAUDE, PAIRS, Pair, Word
from tests.translation.sdks import sdk_of
from tests.translation.types_check import misfits

Json = dict[str, Any]

# Cells of the table that this file proves. Clients of chat do not count, and a provider of the Responses API is OpenAI.
PROVEN: dict[str, dict[Pair, Word]] = {
    "Counting tokens": {pair: "501" if pair.provider == "chat" else "yes" for pair in PAIRS if pair.client != "chat"},
}

COUNT = 42
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# One conversation as each API has it: instructions, a tool, its call and the result of that.
MESSAGES: Json = {
    "model": "m",
    "system": "Be brief.",
    "tools": [{"name": "weather", "input_schema": SCHEMA}],
    "messages": [
        {"role": "user", "content": "How is Bergen?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "B"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Rain."}]},
    ],
}
GEMINI: Json = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}],
    "contents": [
        {"role": "user", "parts": [{"text": "How is Bergen?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "B"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": "Rain."}}}]},
    ],
}
RESPONSES: Json = {
    "model": "m",
    "instructions": "Be brief.",
    "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}],
    "input": [
        {"role": "user", "content": "How is Bergen?"},
        {"type": "function_call", "call_id": "t1", "name": "weather", "arguments": '{"city":"B"}'},
        {"type": "function_call_output", "call_id": "t1", "output": "Rain."},
    ],
}
NESTED: Json = {"generateContentRequest": {"model": "models/m", **GEMINI}}
# Path and body of each client's request, and the answer.
CLIENTS: dict[str, tuple[str, Json, Json]] = {
    "messages": ("/v1/messages/count_tokens", MESSAGES, {"input_tokens": COUNT}),
    "gemini": ("/v1beta/models/m:countTokens", GEMINI, {"totalTokens": COUNT}),
    "gemini, nested": ("/v1beta/models/m:countTokens", NESTED, {"totalTokens": COUNT}),
    "responses": (
        "/v1/responses/input_tokens",
        RESPONSES,
        {"object": "response.input_tokens", "input_tokens": COUNT},
    ),
}


def of_messages(request: Request) -> Iterator[str]:
    if request.target != "/v1/messages/count_tokens" or request.header("anthropic-version") is None:
        yield f"{request.target} without a version"
    yield from misfits(request.json, MessageCountTokensParams)


def of_gemini(request: Request) -> Iterator[str]:
    if request.target != "/v1beta/models/gemini-3.8-flash:countTokens":
        yield request.target
    (body,) = request.json.values()
    if body.pop("model") != "models/gemini-3.8-flash":
        yield "model: must be that of the path"
    yield from gemini_rules.of_body(body)


def of_responses(request: Request) -> Iterator[str]:
    if request.target != "/v1/responses/input_tokens":
        yield request.target
    yield from misfits(request.json, InputTokenCountParams)


# By provider: kind, model, key, its rules and its answer.
PROVIDERS: dict[str, tuple[Json, str, Callable[[Request], Iterator[str]], Json]] = {
    "messages": ({"kind": "anthropic"}, CLAUDE, of_messages, {"input_tokens": COUNT}),
    "gemini": ({"kind": "gemini"}, gemini_rules.MODEL, of_gemini, {"totalTokens": COUNT}),
    "responses": ({}, "gpt-5.6", of_responses, {"object": "response.input_tokens", "input_tokens": COUNT}),
}


class Counter:
    """Counts as one of ``PROVIDERS``, and refuses what that would. ``answer`` replaces its own."""

    def __init__(self, api: str) -> None:
        self.api = api
        self.answer: Script = json_answer(PROVIDERS[api][3])
        self.asked: list[Json] = []

    def __call__(self, request: Request) -> Script:
        reasons = list(PROVIDERS[self.api][2](request))
        if reasons:
            return json_answer(error_json(reasons[0]), 400)
        self.asked.append(request.json)
        return self.answer


@asynccontextmanager
async def served(counter: Counter, **sections: Any) -> AsyncIterator[Gateway]:
    """A gateway before a provider. That of the Responses API is taken for OpenAI itself."""
    settings, model, _, _ = PROVIDERS[counter.api]
    async with Upstream() as up:
        up.on(counter)
        base = f"{up.origin}/v1beta" if counter.api == "gemini" else up.url
        config = {
            "routing": {"maxRetries": 0, "rateLimitRetries": 0},
            "providers": {"up": {"baseUrl": base, "apiKey": "key"} | settings},
            "models": [{"name": "m", "provider": "up", "model": model}],
        }
        with mock.patch("proxy.providers.openai.server_name", return_value="openai"):
            gateway = Gateway(config | sections)
            await gateway.__aenter__()
        try:
            yield gateway
        finally:
            await gateway.__aexit__(None, None, None)


async def ask(gw: Gateway, client: str, **members: Any) -> Answer:
    path, body, _ = CLIENTS[client]
    raw = await gw.client()
    return await raw.fetch("POST", path, json=body | members)


ACROSS = [(client, provider) for client in CLIENTS for provider in PROVIDERS if not client.startswith(provider)]


@pytest.mark.parametrize(("client", "provider"), ACROSS)
async def test_a_count_is_asked_for_in_the_providers_dialect(client: str, provider: str) -> None:
    counter = Counter(provider)
    async with served(counter) as gw:
        found = await ask(gw, client)
        assert (found.status, found.header("x-router-dropped")) == (200, None), found.body
        assert {name: found.json[name] for name in found.json if name != "_router"} == CLIENTS[client][2]
        line = await gw.settled()
    assert (line["outcome"], line["tokens"]) == ("ok", None)
    (body,) = counter.asked
    for text in ("Be brief.", "How is Bergen?", "Rain.", "weather", "city"):
        assert text in str(body)


async def test_the_sdks_read_counts_of_other_providers() -> None:
    async with served(Counter("gemini")) as gw:
        async with sdk_of("messages", gw) as sdk:
            assert (await sdk.messages.count_tokens(**MESSAGES)).input_tokens == COUNT
        async with sdk_of("responses", gw) as sdk:
            assert (await sdk.responses.input_tokens.count(**RESPONSES)).input_tokens == COUNT
    async with served(Counter("messages")) as gw, connected(gw.url) as client:
        assert (await client.models.count_tokens(model="m", contents="Hi")).total_tokens == COUNT


async def test_openai_counts_for_its_own_clients_byte_for_byte() -> None:
    counter = Counter("responses")
    async with served(counter) as gw, sdk_of("responses", gw) as sdk:
        assert (await sdk.responses.input_tokens.count(**RESPONSES)).input_tokens == COUNT
    assert counter.asked == [RESPONSES | {"model": "gpt-5.6"}]


async def test_settings_of_the_answer_are_not_sent() -> None:
    counter = Counter("messages")
    async with served(counter) as gw:
        config = {"maxOutputTokens": 100, "temperature": 1, "stopSequences": ["x"], "candidateCount": 2}
        assert (await ask(gw, "gemini", generationConfig=config)).status == 200
    assert counter.asked[0].keys() == {"model", "system", "tools", "messages"}


async def test_what_a_count_leaves_out_is_told_or_refused() -> None:
    unknown = {"context_management": {"edits": []}}
    async with served(Counter("gemini")) as gw:
        assert (await ask(gw, "messages", **unknown)).header("x-router-dropped") == "context_management"
    async with served(Counter("gemini"), translate={"onLoss": "refuse"}) as gw:
        found = await ask(gw, "messages", **unknown)
        assert (found.status, found.json["error"]["type"]) == (400, "invalid_request_error")
        assert "context_management" in found.json["error"]["message"]


@pytest.mark.parametrize(
    ("client", "members", "reason"),
    [
        ("gemini, nested", {"contents": []}, "exclude each other"),
        ("gemini", {"generate_content_request": [], "contents": None}, "'generate_content_request' must be an object"),
        ("responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("messages", {"messages": None}, "messages"),
    ],
)
async def test_a_wrong_request_names_its_member(client: str, members: Json, reason: str) -> None:
    provider = "gemini" if client == "messages" else "messages"
    counter = Counter(provider)
    async with served(counter) as gw:
        found = await ask(gw, client, **members)
    assert found.status == 400
    assert reason in found.json["error"]["message"]
    assert counter.asked == []


@pytest.mark.parametrize("answer", [{}, {"totalTokens": "42"}, {"totalTokens": -1}, {"totalTokens": True}, [1]])
async def test_an_answer_without_a_count_is_an_error(answer: Any) -> None:
    counter = Counter("gemini")
    counter.answer = json_answer(answer)
    async with served(counter) as gw:
        found = await ask(gw, "messages")
    assert (found.status, found.json["type"]) == (502, "error")
    assert "no count of tokens in 'totalTokens'" in found.json["error"]["message"]


async def test_an_error_of_the_provider_has_the_clients_form() -> None:
    counter = Counter("messages")
    counter.answer = json_answer({"type": "error", "error": {"type": "overloaded_error", "message": "Later."}}, 529)
    async with served(counter) as gw:
        found = await ask(gw, "gemini")
    assert (found.json["error"]["status"], found.status) == ("UNAVAILABLE", 502)


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_count_takes_no_tokens_from_a_limit(client: str) -> None:
    limits = {"rateLimiting": {"enabled": True, "global": {"tokensPerMinute": 5}}}
    async with served(Counter("messages" if client.startswith("gemini") else "gemini"), **limits) as gw:
        assert [(await ask(gw, client)).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_provider_that_may_not_count_is_not_asked(client: str) -> None:
    """Clients then make an estimate of their own."""
    path, body, _ = CLIENTS[client]
    async with Upstream() as up:
        provider = {"baseUrl": up.url, "dialects": {"responses": {"enabled": False}}}
        async with Gateway({"providers": {"up": provider}, "models": [{"name": "m", "provider": "up"}]}) as gw:
            raw = await gw.client()
            found = await raw.fetch("POST", path, json=body)
        assert (found.status, found.header("x-should-retry")) == (501, "false")
        assert "cannot count tokens" in found.json["error"]["message"]
        assert not up.requests


async def test_gemini_on_vertex_counts_without_the_nesting() -> None:
    project = "/v1/projects/p/locations/global"
    async with Upstream() as up:
        up.queue(json_answer({"totalTokens": COUNT}), json_answer({"totalTokens": COUNT}))
        provider = {"kind": "vertex", "baseUrl": f"{up.origin}{project}", "apiKey": "AIza-key"}
        models = [{"name": "m", "provider": "vertex", "model": gemini_rules.MODEL}]
        async with Gateway({"providers": {"vertex": provider}, "models": models}) as gw:
            for client in ("messages", "gemini, nested"):
                assert (await ask(gw, client)).json == CLIENTS[client][2]
        for at in range(2):
            request = await up.request(at)
            assert request.target == f"{project}/publishers/google/models/{gemini_rules.MODEL}:countTokens"
            assert request.json.keys() == {"contents", "systemInstruction", "tools"}
