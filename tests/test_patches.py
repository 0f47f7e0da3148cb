"""Patches end to end: what the provider gets, and what log and headers tell of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.providers.issuers import issuer_of
from proxy.providers.keys import Key
from tests.providers.compiled import provider
from tests.support import (
    Answer,
    Chunk,
    Headers,
    Reset,
    Stall,
    Upstream,
    chat_events,
    completion,
    json_answer,
    sse_answer,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway
from tests.support.steps import Script
from tests.support.upstream import Request
from tests.test_native_paths import MESSAGE, VERSION

CHAT = "/v1/chat/completions"
# Odd spacing, and members that no one knows, must arrive as they are.
BODY = (
    b'{"model":"m", "messages" : [{"role":"developer" ,"content":"Be brief.","x":1},{"role":"user","content":"Hi"} ],'
    b'"max_completion_tokens":9,\n"x_new":{"cache_control":{}}}'
)
PATCHED = (
    b'{"model":"up", "messages" : [{"role":"system" ,"content":"Be brief.","x":1},{"role":"user","content":"Hi"} ],'
    b'\n"x_new":{"cache_control":{}},"max_tokens":9}'
)
ALL = ["developer-as-system", "max-tokens"]


def good(request: Request) -> Script:
    if request.target.endswith("/messages"):
        return json_answer(json.loads(MESSAGE))
    return sse_answer(*chat_events("Hello")) if request.json.get("stream") else json_answer(completion("Hello"))


def config(*ups: Upstream, patches: list[list[str]], **sections: Any) -> dict[str, Any]:
    """The model ``m`` at a provider for each upstream, whose chat has these patches."""
    return {
        "providers": {
            f"p{number}": {"baseUrl": up.url, "apiKey": "k", "dialects": {"chat": {"patches": own}, "messages": {}}}
            for number, (up, own) in enumerate(zip(ups, patches, strict=True))
        },
        "models": [{"name": "m", "provider": f"p{number}", "model": "up"} for number in range(len(ups))],
    } | sections


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(good)
        yield up


async def ask(gw: Gateway, body: bytes, path: str = CHAT, *headers: tuple[str, str]) -> Answer:
    lines = [("Content-Type", "application/json"), *headers]
    return await (await gw.client()).fetch("POST", path, body=body, headers=lines)


async def test_only_what_the_patches_name_is_changed_and_the_log_and_a_header_tell(up: Upstream) -> None:
    async with Gateway(config(up, patches=[[*ALL, "random-seed"]])) as gw:
        answer = await ask(gw, BODY)
        assert (answer.status, bytes((await up.request()).body)) == (200, PATCHED)
        assert answer.header("x-router-patched") == "developer-as-system, max-tokens"
        assert (await gw.settled())["patches"] == ALL


async def test_a_request_that_needs_no_patch_passes_unchanged(up: Upstream) -> None:
    body = b'{"model":"up","messages":[ {"role":"user","content":"developer"}]}'
    sections = {"models": [{"name": "up", "provider": "p0"}]}
    async with Gateway(config(up, patches=[ALL], **sections)) as gw:
        answer = await ask(gw, body)
        assert bytes((await up.request()).body) == body
        assert answer.header("x-router-patched") is None
        assert "patches" not in await gw.settled()


async def test_a_model_may_override_its_provider(up: Upstream) -> None:
    own = [{"name": "m", "provider": "p0", "model": "up", "patches": ["max-tokens"]}]
    async with Gateway(config(up, patches=[ALL], models=own)) as gw:
        answer = await ask(gw, BODY)
        assert answer.header("x-router-patched") == "max-tokens"
        assert b'"developer"' in (await up.request()).body


@pytest.mark.parametrize("asked", [b"", b',"stream_options":{"include_usage":true}'])
async def test_stream_options_are_not_sent_whoever_wants_them(up: Upstream, asked: bytes) -> None:
    sections = {"models": [{"name": "m", "provider": "p0"}]}
    async with Gateway(config(up, patches=[["no-stream-options"]], **sections)) as gw:
        answer = await ask(gw, b'{"model":"m","messages":[],"stream":true%b}' % asked)
        assert answer.status == 200
        assert bytes((await up.request()).body) == b'{"model":"m","messages":[],"stream":true}'
        assert answer.header("x-router-patched") == ("no-stream-options" if asked else None)


async def test_without_that_patch_the_gateway_asks_for_the_usage(up: Upstream) -> None:
    async with Gateway(config(up, patches=[ALL])) as gw:
        await ask(gw, BODY[:-1] + b',"stream":true}')
        body = json.loads((await up.request()).body)
        assert body["stream_options"] == {"include_usage": True}
        assert body["messages"][0]["role"] == "system"


@pytest.mark.parametrize(
    ("patches", "header"),
    [([ALL, []], None), ([[], ALL], ", ".join(ALL)), ([["max-tokens"], ALL], ", ".join(ALL))],
)
async def test_each_attempt_is_patched_for_its_own_provider(
    up: Upstream, patches: list[list[str]], header: str | None
) -> None:
    async with Upstream() as first:
        first.on(lambda request: [Reset()])
        async with Gateway(config(first, up, patches=patches, routing={"rateLimitRetries": 0})) as gw:
            answer = await ask(gw, BODY)
            assert (answer.status, answer.header("x-router-provider")) == (200, "p1")
            assert answer.header("x-router-patched") == header
            for each, own in zip((first, up), patches, strict=True):
                sent = json.loads((await each.request()).body)
                assert sent["messages"][0]["role"] == ("system" if "developer-as-system" in own else "developer")
                assert ("max_tokens" in sent) is ("max-tokens" in own)
            # The log has the patches of all attempts.
            assert set((await gw.settled())["patches"]) == {*patches[0], *patches[1]}


async def test_a_large_body_is_patched_for_each_attempt(up: Upstream) -> None:
    image = b'{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}]}'
    body = BODY.replace(b'{"role":"user","content":"Hi"}', image % (b"A" * 3 * 1024 * 1024))
    async with Upstream() as first:
        first.on(lambda request: [Reset()])
        routing = {"rateLimitRetries": 0}
        async with Gateway(config(first, up, patches=[ALL, ["max-tokens"]], routing=routing)) as gw:
            answer = await ask(gw, body)
            assert answer.header("x-router-patched") == "max-tokens"
            sent = [json.loads((await each.request()).body) for each in (first, up)]
            assert [each["messages"][0]["role"] for each in sent] == ["system", "developer"]
            assert [each["max_tokens"] for each in sent] == [9, 9]
            assert sent[0]["messages"][1:] == json.loads(body)["messages"][1:]


async def test_the_messages_of_a_continued_stream_are_patched_as_well(up: Upstream) -> None:
    start = chat_events("Hello")[:2]
    models = [{"name": "m", "provider": f"p{number}", "model": "up", "prefill": True} for number in range(2)]
    async with Upstream() as first:
        first.queue([Headers(headers=SSE_HEADERS), *map(Chunk, start), Reset()])
        sections = {"routing": {"streamRecovery": "continue"}, "models": models}
        async with Gateway(config(first, up, patches=[[], ALL], **sections)) as gw:
            answer = await ask(gw, BODY[:-1] + b',"stream":true}')
            assert answer.status == 200
            sent = json.loads((await up.request()).body)
            assert [each["role"] for each in sent["messages"]] == ["system", "user", "assistant"]
            assert (sent["model"], sent["max_tokens"], sent["stream"]) == ("up", 9, True)
            assert (await gw.settled())["patches"] == ALL


@pytest.mark.parametrize("patches", [[ALL, []], [[], ALL]])
async def test_the_header_is_that_of_the_attempt_that_won_a_race(up: Upstream, patches: list[list[str]]) -> None:
    async with Upstream() as first:
        first.on(lambda request: [Stall()])
        async with Gateway(config(first, up, patches=patches, routing={"hedgeAfterMs": 1})) as gw:
            answer = await ask(gw, BODY)
            assert (answer.status, answer.header("x-router-provider")) == (200, "p1")
            assert answer.header("x-router-patched") == (", ".join(ALL) if patches[1] else None)


async def test_the_explanation_of_the_choice_stays_beside_the_patches(up: Upstream) -> None:
    async with Gateway(config(up, patches=[ALL])) as gw:
        answer = await ask(gw, BODY, CHAT, ("x-router-decision", "true"))
        assert json.loads(answer.header("x-router-decision") or "")["chosen"] == "p0/m"
        assert answer.header("x-router-patched") == ", ".join(ALL)


BILLED = (
    b'{"model":"m","max_tokens":5,"system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"}, {"type":"text",'
    b'"text":"You are Claude Code.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"Hi"}]}'
)


async def test_the_billing_header_is_left_out_without_any_setting(up: Upstream) -> None:
    async with Gateway(config(up, patches=[[]])) as gw:
        answer = await ask(gw, BILLED, "/v1/messages?beta=true", VERSION, ("anthropic-beta", "a-1"))
        request = await up.request()
        begin, end = BILLED.index(b'{"type":"text","text":"x-'), BILLED.index(b'{"type":"text",', 90)
        assert bytes(request.body) == (BILLED[:begin] + BILLED[end:]).replace(b'"m"', b'"up"')
        assert request.header("anthropic-beta") == "a-1"
        assert answer.header("x-router-patched") == "no-billing-header"
        assert (await gw.settled())["patches"] == ["no-billing-header"]


async def test_the_billing_header_passes_where_the_patches_say_so(up: Upstream) -> None:
    own = [{"name": "m", "provider": "p0", "patches": []}]
    async with Gateway(config(up, patches=[[]], models=own)) as gw:
        answer = await ask(gw, BILLED, "/v1/messages", VERSION)
        assert bytes((await up.request()).body) == BILLED
        assert answer.header("x-router-patched") is None


# -- reasoning of translated answers --------------------------------------------------------------


def thought(issuer: str) -> bytes:
    return b'{"type":"thinking","thinking":"Hm","signature":"sl1.%b.sRXFR"}' % issuer.encode()


def thoughtful(issuer: str) -> bytes:
    """A request whose conversation began with an answer of this issuer."""
    said = b'{"role":"assistant","content":[%b,{"type":"text","text":"Hello"}]}' % thought(issuer)
    return b'{"model":"m","max_tokens":5,"messages":[%b,{"role":"user","content":"Hi"}]}' % said


KEY = "a-key-of-at-least-20-characters"


def issuer(up: Upstream, key: str) -> str:
    (site,) = provider(up.url, api_key=key).sites
    return issuer_of(site, Key(0, key))


async def test_reasoning_goes_back_to_its_own_provider(up: Upstream) -> None:
    sections = config(up, patches=[[]])
    sections["providers"]["p0"]["apiKey"] = KEY
    async with Gateway(sections) as gw:
        answer = await ask(gw, thoughtful(issuer(up, KEY)), "/v1/messages", VERSION)
        (block, _) = (await up.request()).json["messages"][0]["content"]
        assert block == {"type": "thinking", "thinking": "Hm", "signature": "RXFR"}
        assert answer.header("x-router-patched") == "own-reasoning"
        assert (await gw.settled())["patches"] == ["own-reasoning"]


@pytest.mark.parametrize("size", [0, 3 * 1024 * 1024])
async def test_reasoning_of_another_provider_is_left_out(up: Upstream, size: int) -> None:
    async with Gateway(config(up, patches=[[]])) as gw:
        body = thoughtful("0" * 12).replace(b"Hi", b"Hi" + b"x" * size)
        await ask(gw, body, "/v1/messages", VERSION)
        expected = body.replace(thought("0" * 12) + b",", b"").replace(b'"m"', b'"up"')
        assert bytes((await up.request()).body) == expected


async def test_each_attempt_gets_its_own_reasoning(up: Upstream) -> None:
    async with Upstream() as first:
        first.on(lambda request: [Reset()])
        async with Gateway(config(first, up, patches=[[], []], routing={"rateLimitRetries": 0})) as gw:
            await ask(gw, thoughtful(issuer(up, "k")), "/v1/messages", VERSION)
            assert [len((await each.request()).json["messages"][0]["content"]) for each in (first, up)] == [1, 2]
