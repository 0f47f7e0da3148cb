"""Every known provider, proved by a scripted server with its paths that refuses what the provider refuses.

Only the host of the built-in entry is replaced. The requests contain what some provider refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from proxy.config.known_providers import KNOWN_PROVIDERS
from proxy.config.patches import usual_patches
from proxy.config.provider_schema import ProviderSettings
from tests.providers.rows import CLIENTS_KEY, KEY, ROWS, UNKNOWN, Row, server
from tests.support import Answer, Upstream
from tests.support.gateway import Gateway
from tests.translation import chat_rules, gemini_rules, messages_rules

DIALECTS = ("chat", "responses", "messages", "gemini")
CASES = [(name, dialect) for name, row in ROWS.items() for dialect in DIALECTS if row.path(dialect) != UNKNOWN]
SPOKEN = [(name, dialect) for name, dialect in CASES if ROWS[name].path(dialect)]
LACKING = [(name, dialect) for name, dialect in CASES if not ROWS[name].path(dialect)]
REFUSING = [(name, dialect) for name, dialect in SPOKEN if ROWS[name].refusals(dialect)]

CALL_ID = "call_5H1wE0aYbQzqY3m8J1kTzRdN"
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
BODIES: Mapping[str, dict[str, Any]] = {
    "chat": {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [
                {"id": CALL_ID, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": CALL_ID, "content": "1"},
        ],
        "tools": [FUNCTION], "max_completion_tokens": 99, "seed": 7,
    },
    "responses": {
        "model": "m", "store": False, "max_output_tokens": 99,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
            {"role": "user", "content": "Hi"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}},
            {"type": "web_search"},
            {"type": "namespace", "name": "ns", "tools": []},
        ],
    },
    "messages": {
        "model": "m", "max_tokens": 99,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332; cc_entrypoint=cli; cch=36ee5;"},
            {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "c2lnbmF0dXJl"}]},
            {"role": "user", "content": [{"type": "text", "text": "Go on", "cache_control": {"type": "ephemeral"}}]},
        ],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi", "thoughtSignature": "c2ln"}]}]},
}  # fmt: skip
PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages?beta=true",
    "gemini": f"/v1beta/models/m:generateContent?key={CLIENTS_KEY}",
}
VERSION = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "context-management-2025-06-27")]
PLAIN_AND_STREAM = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def entry(name: str, origin: str) -> dict[str, Any]:
    """The built-in entry of a provider at another host, with all that its own host implies."""
    known = KNOWN_PROVIDERS[name]
    settings = ProviderSettings(base_url=known.base_url)
    dialects: dict[str, Any] = {wire: dict(given) for wire, given in known.dialects.items()}
    if settings.kind_name == "anthropic":
        dialects.setdefault("messages", {})
    for wire, given in dialects.items():
        address = given.get("baseUrl", known.base_url)
        given.setdefault("patches", list(usual_patches(wire, address)))
        if "baseUrl" in given:
            given["baseUrl"] = moved(address, origin)
    key = {"apiKey": KEY} if known.key_variable else {}
    return {"baseUrl": moved(known.base_url, origin), "kind": settings.kind_name, "dialects": dialects, **key}


def moved(address: str, origin: str) -> str:
    return origin + urlsplit(address).path


def gateway(name: str, up: Upstream, *, translated: bool = True, **model: Any) -> Gateway:
    return Gateway(
        {
            "translate": {"enabled": translated},
            "providers": {name: entry(name, up.origin)},
            "models": [{"name": "m", "provider": name, "model": "up"} | model],
            "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        }
    )


async def ask(gw: Gateway, dialect: str, *, path: str = "", **more: Any) -> Answer:
    """The request of a client that sends a credential of its own in each header."""
    headers = [("Authorization", f"Bearer {CLIENTS_KEY}"), ("x-api-key", CLIENTS_KEY), ("x-goog-api-key", CLIENTS_KEY)]
    if dialect == "messages":
        headers += VERSION
    body = BODIES[dialect] | more
    return await (await gw.client()).fetch("POST", path or PATHS[dialect], json=body, headers=headers)


def as_sent(row: Row, dialect: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body without the members that the provider's refusals are about, as all else must arrive."""
    rest = {key: value for key, value in body.items() if key != "model"}
    if row.refusals(dialect):
        touched = {"messages": ("system",), "responses": ("input", "tools")}.get(
            dialect, ("messages", "max_tokens", "max_completion_tokens", "seed", "random_seed", "stream_options")
        )
        rest = {key: value for key, value in rest.items() if key not in touched}
    return rest


def test_each_known_provider_has_a_row() -> None:
    assert list(ROWS) == list(KNOWN_PROVIDERS)


@PLAIN_AND_STREAM
@pytest.mark.parametrize("name", [name for name, dialect in SPOKEN if dialect == "chat"])
async def test_a_provider_takes_a_chat(name: str, stream: bool) -> None:
    await check_taken(name, "chat", **({"stream": True, "stream_options": {"include_usage": True}} if stream else {}))


@pytest.mark.parametrize(("name", "dialect"), [case for case in SPOKEN if case[1] != "chat"])
async def test_a_provider_takes_requests_of_each_dialect_that_it_speaks(name: str, dialect: str) -> None:
    await check_taken(name, dialect)


async def check_taken(name: str, dialect: str, **more: Any) -> None:
    row = ROWS[name]
    async with Upstream() as up:
        up.on(server(row))
        async with gateway(name, up) as gw:
            answer = await ask(gw, dialect, **more)
            assert answer.status == 200, answer.body
            assert answer.header("x-router-provider") == name
            request = await up.request()
            assert request.target.partition("?")[0] == row.path(dialect)
            assert as_sent(row, dialect, request.json) == as_sent(row, dialect, BODIES[dialect] | more)
            assert request.json.get("model") == (None if dialect == "gemini" else "up")
            assert (answer.header("x-router-patched") is not None) is bool(row.refusals(dialect))
            if dialect == "messages":
                assert request.target.endswith("/messages?beta=true")
                assert [(header, request.header(header)) for header, _ in VERSION] == VERSION


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.counts])
async def test_a_provider_counts_tokens(name: str) -> None:
    row = ROWS[name]
    async with Upstream() as up:
        up.on(server(row))
        async with gateway(name, up) as gw:
            answer = await ask(gw, "messages", path="/v1/messages/count_tokens")
            assert (answer.status, answer.json) == (200, {"input_tokens": 3})


async def test_the_billing_header_reaches_anthropic() -> None:
    async with Upstream() as up:
        up.on(server(ROWS["anthropic"]))
        async with gateway("anthropic", up) as gw:
            await ask(gw, "messages")
            assert (await up.request()).json == BODIES["messages"] | {"model": "up"}


@pytest.mark.parametrize(("name", "dialect"), REFUSING)
async def test_without_its_patches_the_provider_refuses_the_same_request(name: str, dialect: str) -> None:
    async with Upstream() as up:
        up.on(server(ROWS[name]))
        async with gateway(name, up, patches=[]) as gw:
            answer = await ask(gw, dialect)
            assert answer.status == 400
            assert any(refusal(BODIES[dialect]) in answer.body.decode() for refusal in ROWS[name].refusals(dialect))


@pytest.mark.parametrize(("name", "dialect"), [case for case in SPOKEN if not ROWS[case[0]].keyless])
async def test_the_provider_refuses_its_key_in_another_header(name: str, dialect: str) -> None:
    async with Upstream() as up:
        up.on(server(ROWS[name]))
        section = entry(name, up.origin)
        section["dialects"].setdefault(dialect, {})["credential"] = "api-key"
        gw = Gateway({"providers": {name: section}, "models": [{"name": "m", "provider": name, "model": "up"}]})
        async with gw:
            assert (await ask(gw, dialect)).status == 502
            assert (await up.request()).header("api-key") == KEY


@pytest.mark.parametrize(("name", "dialect"), LACKING)
async def test_a_dialect_that_the_provider_lacks_is_refused_without_translation(name: str, dialect: str) -> None:
    async with Upstream() as up, gateway(name, up, translated=False) as gw:
        answer = await ask(gw, dialect)
        assert answer.status == 400
        assert answer.json["error"]["message"].startswith("The model 'm' does not serve ")
        assert not up.requests


@pytest.mark.parametrize(("name", "dialect"), [case for case in LACKING if case[1] != "gemini"])
async def test_a_dialect_that_the_provider_lacks_is_translated(
    name: str, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider refuses nothing of the translated request. It is known by its name, as its host is another."""
    monkeypatch.setattr("proxy.routing.model_facts.server_name", lambda provider, base_url: provider)
    row = ROWS[name]
    own = "gemini" if row.gemini else "chat" if row.chat else "messages"
    model = {"gemini": "up", "chat": "glm-5.3", "messages": "claude-opus-4-8"}[own]
    async with Upstream() as up:
        up.on(server(row))
        async with gateway(name, up, model=model) as gw:
            answer = await ask(gw, dialect)
            assert answer.status == 200, answer.body
            assert b'"Hi"' in answer.body
            request = await up.request()
            assert request.target == row.path(own)
            reasons = {
                "gemini": lambda: gemini_rules.of_body(request.json, model),
                "chat": lambda: chat_rules.of_body(request.json, name),
                "messages": lambda: messages_rules.of_body(request.json),
            }
            assert list(reasons[own]()) == []
