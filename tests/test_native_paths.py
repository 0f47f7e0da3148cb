"""Requests of Anthropic's and Google's clients reach a provider that speaks their dialect, byte for byte."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from proxy.auth.apikey import digest_of, hash_from
from tests.support import Answer, Upstream, json_answer
from tests.support.gateway import Gateway
from tests.support.upstream import Request

MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude-up","content":[{"type":"text","text":"Hi"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":2}}'
)
CONTENT = (
    b'{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"STOP","index":0}],'
    b'"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":6},"modelVersion":"gemini-up"}'
)
# Unknown members and odd spacing must arrive as they are.
QUESTION = (
    b'{"model":"sonnet", "max_tokens":16,"tags":["mine"],"x_new":{"cache_control":{"type":"ephemeral"}},\n'
    b' "messages":[{"role":"user","content":"Hi"}]}'
)
CONTENTS = b'{"contents" : [{"role":"user","parts":[{"text":"Hi","thoughtSignature":"c2ln"}]}],"x_new":1}'


def config(up: Upstream, **sections: Any) -> dict[str, Any]:
    """Three providers at one upstream, each with a model of its own."""
    origin = up.url.removesuffix("/v1")
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "database": {"enabled": False},
        "providers": {
            "claude": {"kind": "anthropic", "baseUrl": f"{origin}/anthropic/v1", "apiKey": "claude-key"},
            "google": {"kind": "gemini", "baseUrl": f"{origin}/v1beta", "apiKey": "google-key"},
            "open": {"baseUrl": f"{origin}/openai", "apiKey": "open-key", "dialects": {"messages": {}}},
        },
        "models": [
            {"name": "sonnet", "provider": "claude", "model": "claude-up"},
            {"name": "flash", "provider": "google", "model": "gemini-up"},
            {"name": "shared", "provider": "open", "model": "open-up"},
            {"name": "chat-only", "provider": "open", "endpoints": ["chat"]},
        ],
    } | sections


def answer(request: Request) -> Any:
    return json_answer(json.loads(CONTENT if "/v1beta/" in request.target else MESSAGE))


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(answer)
        yield up


async def ask(
    gw: Gateway, method: str, target: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
) -> Answer:
    client = await gw.client()
    kind = [("Content-Type", "application/json")] if body else []
    return await client.fetch(method, target, headers=[*kind, *headers], body=body or None)


VERSION = ("anthropic-version", "2023-06-01")


# -- Anthropic ------------------------------------------------------------------------------------


async def test_a_message_goes_to_anthropics_path_with_its_headers(up: Upstream) -> None:
    async with Gateway(config(up)) as gw:
        headers = [VERSION, ("anthropic-beta", "a-1,b-2"), ("x-api-key", "mine")]
        found = await ask(gw, "POST", "/v1/messages?beta=true", QUESTION, headers)
        assert found.status == 200
        assert found.header("x-router-provider") == "claude"
        request = await up.request()
        assert request.target == "/anthropic/v1/messages?beta=true"
        assert request.header("x-api-key") == "claude-key"
        assert request.header("anthropic-version") == "2023-06-01"
        assert request.header("anthropic-beta") == "a-1,b-2"
        assert request.body == QUESTION.replace(b'"sonnet"', b'"claude-up"')


async def test_tokens_are_counted_by_the_provider(up: Upstream) -> None:
    up.on(lambda request: json_answer({"input_tokens": 12}))
    async with Gateway(config(up)) as gw:
        found = await ask(gw, "POST", "/v1/messages/count_tokens", QUESTION, [VERSION])
        assert found.json["input_tokens"] == 12
        assert (await up.request()).target == "/anthropic/v1/messages/count_tokens"


async def test_a_provider_of_another_kind_may_speak_messages(up: Upstream) -> None:
    async with Gateway(config(up)) as gw:
        await ask(gw, "POST", "/v1/messages", QUESTION.replace(b"sonnet", b"shared"), [VERSION])
        request = await up.request()
        assert (request.target, request.header("authorization")) == ("/openai/messages", "Bearer open-key")


async def test_a_criterion_of_openais_clients_is_a_member_like_others(up: Upstream) -> None:
    async with Gateway(config(up)) as gw:
        await ask(gw, "POST", "/v1/messages", QUESTION, [VERSION])
        assert b'"tags":["mine"]' in (await up.request()).body


async def test_auto_chooses_a_model_that_speaks_the_dialect_if_nothing_is_translated(up: Upstream) -> None:
    async with Gateway(config(up) | {"translate": {"enabled": False}}) as gw:
        for _ in range(4):
            found = await ask(gw, "POST", "/v1/messages", QUESTION.replace(b'"sonnet"', b'"auto"'), [VERSION])
            assert found.header("x-router-model") in ("sonnet", "shared")


@pytest.mark.parametrize("name", ["chat-only", "flash"])
async def test_a_model_whose_provider_does_not_speak_the_dialect_is_refused(up: Upstream, name: str) -> None:
    async with Gateway(config(up) | {"translate": {"enabled": False}}) as gw:
        found = await ask(gw, "POST", "/v1/messages", QUESTION.replace(b"sonnet", name.encode()), [VERSION])
        assert found.status == 400
        assert f"The model '{name}' does not serve messages. It serves" in found.body.decode()
        assert not up.requests


# -- Google ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/v1beta", "/v1", "/proxy/google"])
@pytest.mark.parametrize("method", ["generateContent", "countTokens", "embedContent", "batchEmbedContents"])
async def test_a_method_goes_to_the_path_of_the_providers_model(up: Upstream, base: str, method: str) -> None:
    async with Gateway(config(up)) as gw:
        found = await ask(gw, "POST", f"{base}/models/flash:{method}", CONTENTS, [("x-goog-api-key", "mine")])
        assert found.status == 200
        assert (found.header("x-router-provider"), found.header("x-router-model")) == ("google", "flash")
        request = await up.request()
        assert request.target == f"/v1beta/models/gemini-up:{method}"
        assert request.header("x-goog-api-key") == "google-key"
        assert request.body == CONTENTS


async def test_the_clients_key_in_the_query_stays_here(up: Upstream) -> None:
    async with Gateway(config(up)) as gw:
        await ask(gw, "POST", "/v1beta/models/flash:generateContent?key=mine&%24alt=json&x=1", CONTENTS)
        assert (await up.request()).target == "/v1beta/models/gemini-up:generateContent?x=1"


async def test_auto_and_lists_are_names_of_models_in_the_path(up: Upstream) -> None:
    async with Gateway(config(up, translate={"enabled": False})) as gw:
        found = await ask(gw, "POST", "/v1beta/models/auto:generateContent", CONTENTS)
        assert found.header("x-router-model") == "flash"


# -- both -----------------------------------------------------------------------------------------


async def test_each_client_gets_the_list_of_its_api(up: Upstream) -> None:
    async with Gateway(config(up)) as gw:
        found = await ask(gw, "GET", "/v1/models?limit=1", headers=[VERSION])
        assert [model["id"] for model in found.json["data"]] == ["sonnet"]
        assert found.json["has_more"] is True
        found = await ask(gw, "GET", "/v1beta/models")
        assert "models/flash" in [model["name"] for model in found.json["models"]]
        found = await ask(gw, "GET", "/v1beta/models/flash")
        assert found.json["name"] == "models/flash"
        found = await ask(gw, "GET", "/v1/models", headers=[("x-goog-api-key", "any")])
        assert "models/flash" in [model["name"] for model in found.json["models"]]
        found = await ask(gw, "GET", "/v1/models/flash", headers=[("x-goog-api-key", "any")])
        assert found.json["name"] == "models/flash"
        found = await ask(gw, "GET", "/v1/models/missing", headers=[("x-goog-api-key", "any")])
        assert (found.status, found.json["error"]["status"]) == (404, "NOT_FOUND")
        found = await ask(gw, "GET", "/v1/models")
        assert found.json["object"] == "list"


KEY = "sk-sluice-" + "a" * 40


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([("x-api-key", KEY)], ""),
        ([("x-goog-api-key", KEY)], ""),
        ([("Authorization", f"Bearer {KEY}")], ""),
        ([], f"?key={KEY}"),
        ([], f"?alt=sse&key={KEY}"),
    ],
)
async def test_a_key_may_come_in_the_way_of_each_api(up: Upstream, headers: list[tuple[str, str]], query: str) -> None:
    auth = {"mode": "keys", "keys": [{"name": "one", "hash": hash_from(digest_of(KEY))}]}
    async with Gateway(config(up, auth=auth)) as gw:
        found = await ask(gw, "POST", f"/v1beta/models/flash:generateContent{query}", CONTENTS, headers)
        assert found.status == 200, found.body
        found = await ask(gw, "POST", "/v1beta/models/flash:generateContent", CONTENTS)
        assert found.status == 401


# -- errors ---------------------------------------------------------------------------------------


async def test_an_error_has_the_form_of_anthropics_api(up: Upstream) -> None:
    async with Gateway(config(up)) as gw:
        found = await ask(gw, "POST", "/v1/messages", QUESTION.replace(b"sonnet", b"nothing"), [VERSION])
        assert (found.status, found.json["type"], found.json["error"]["type"]) == (404, "error", "not_found_error")
        assert found.header("request-id") == found.header("x-request-id")


async def test_an_error_has_the_form_of_googles_api(up: Upstream) -> None:
    async with Gateway(config(up)) as gw:
        found = await ask(gw, "POST", "/v1beta/models/nothing:generateContent", CONTENTS)
        assert (found.status, found.json["error"]["code"], found.json["error"]["status"]) == (404, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "target", "headers", "member"),
    [
        ("GET", "/v1/models", [VERSION], "type"),
        ("GET", "/v1/messages/batches", [], "type"),
        ("POST", "/v1/messages", [], "type"),
        ("GET", "/v1beta/models", [], "error"),
        ("POST", "/v1beta/interactions", [], "error"),
    ],
)
async def test_a_missing_key_is_told_in_the_clients_form(
    up: Upstream, method: str, target: str, headers: list[tuple[str, str]], member: str
) -> None:
    auth = {"mode": "keys", "keys": [{"name": "one", "hash": hash_from(digest_of(KEY))}]}
    async with Gateway(config(up, auth=auth)) as gw:
        found = await ask(gw, method, target, b"{}" if method == "POST" else b"", headers)
        assert found.status == 401
        assert found.header("x-should-retry") == "false"
        assert ("type" in found.json) == (member == "type")
        if member == "error":
            assert found.json["error"]["status"] == "UNAUTHENTICATED"
