"""Routing end to end: forms of the model, router fields, keys, addresses, quotas, affinity, strategies and metadata.

The openai package and curl are the clients where they matter.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.support import (
    Answer,
    Reset,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway, one_provider
from tests.support.lives import at_rest, deployment_of, live
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
HI: list[Any] = [{"role": "user", "content": "Hi"}]
NOWHERE = "http://127.0.0.1:1/v1"
CURL = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed")
PLAIN_AND_STREAM = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def good(request: Request) -> Script:
    """A plain or streamed response, as requested."""
    model = request.json.get("model", "?")
    if request.json.get("stream"):
        return sse_answer(*chat_events("Hello", model=model))
    return json_answer(completion("Hello", model=model))


def failure(status: int, message: str = "Broken on purpose", *, code: str | None = None, wait: int = 0) -> Script:
    return json_answer(error_json(message, code=code), status, [("Retry-After", str(wait))] if wait else [])


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(good)
        yield upstream


@pytest.fixture
async def clock() -> FakeClock:
    return FakeClock()


async def ask(gw: Gateway, model: Any = "m", *headers: tuple[str, str], **body: Any) -> Answer:
    client = await gw.client()
    call = {"messages": HI} | ({} if model is None else {"model": model}) | body
    answer = await client.fetch("POST", CHAT, json=call, headers=headers)
    client.close()
    return answer


def path_of(request: Request) -> str:
    """Return the provider, which is a path prefix at the shared upstream."""
    return request.target.split("/")[1]


# -- the model spec -----------------------------------------------------------------------------------


def several_providers(up: Upstream, **sections: Any) -> dict[str, Any]:
    """Several providers, each a path prefix at one upstream."""
    return {
        "providers": {
            name: {"baseUrl": f"{up.origin}/{name}/v1", "apiKey": f"key-of-{name}"} for name in ("east", "west", "open")
        },
        "models": [
            {"name": "chat", "provider": "east", "model": "east-chat"},
            {"name": "chat", "provider": "west", "model": "west-chat"},
            {"name": "wise", "provider": "west", "model": "labs/wise-1"},
            {"name": "deepseek/deepseek-r1", "provider": "open"},
        ],
    } | sections


EAST, WEST, WISE = ("east", "east-chat"), ("west", "west-chat"), ("west", "labs/wise-1")
DEEP = ("open", "deepseek/deepseek-r1")
ANY = {EAST, WEST, WISE, DEEP}
FORMS: dict[str, tuple[Any, set[tuple[str, str]]]] = {
    "a name": ("chat", {EAST, WEST}),
    "a provider's": ("east/chat", {EAST}),
    "another provider's": ("west/chat", {WEST}),
    "the upstream's name": ("east-chat", {EAST}),
    "the upstream's name with a slash": ("labs/wise-1", {WISE}),
    "a provider's upstream name": ("west/west-chat", {WEST}),
    "a provider's upstream name with a slash": ("west/labs/wise-1", {WISE}),
    "a name with a slash": ("deepseek/deepseek-r1", {DEEP}),
    "a provider's name with a slash": ("open/deepseek/deepseek-r1", {DEEP}),
    "a list": (["wise", "chat"], {WISE}),
    "a list that starts with unknown names": (["nobody", "open/none", "west/chat"], {WEST}),
    "auto": ("auto", ANY),
    "auto at the end": (["wise", "auto"], {WISE}),
    "an unknown name, then auto": (["nobody", "auto"], ANY),
    "auto alone in a list": (["auto"], ANY),
}
SPECS = pytest.mark.parametrize(("model", "expected"), FORMS.values(), ids=FORMS.keys())


@asynccontextmanager
async def sdk(gw: Gateway) -> AsyncIterator[AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(verify=False)  # reading the system's certificates takes longer than a call
    options: Any = {"base_url": f"{gw.url}/v1", "api_key": "any", "max_retries": 0, "timeout": 10.0}
    async with AsyncOpenAI(http_client=http, **options) as client:
        yield client


async def chat(client: AsyncOpenAI, model: Any, *, stream: bool, **options: Any) -> Any:
    """The answer's model, and what came in headers and body beside it."""
    if not stream:
        raw = await client.chat.completions.with_raw_response.create(model=model, messages=HI, **options)
        whole = raw.parse()
        assert whole.choices[0].message.content == "Hello"
        assert whole.model_extra is not None
        return whole.model, raw.headers, whole.model_extra["_router"]
    raw = await client.chat.completions.with_raw_response.create(model=model, messages=HI, stream=True, **options)
    chunks = [chunk async for chunk in raw.parse()]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    return chunks[0].model, raw.headers, None


@PLAIN_AND_STREAM
@SPECS
async def test_every_form_of_the_model_through_the_openai_package(
    up: Upstream, model: Any, expected: set[tuple[str, str]], stream: bool
) -> None:
    async with Gateway(several_providers(up), chance=random.Random(5)) as gw, sdk(gw) as client:
        found = set()
        for _ in range(24 if len(expected) > 1 else 2):
            answered, headers, router = await chat(client, model, stream=stream)
            request = up.requests[-1]
            assert request.header("authorization") == f"Bearer key-of-{path_of(request)}"
            assert (headers["x-router-provider"], headers["x-router-attempts"]) == (path_of(request), "1")
            assert answered == request.json["model"]
            if router is not None:
                assert router["provider"] == path_of(request)
            found.add((path_of(request), request.json["model"]))
        assert found == expected


@PLAIN_AND_STREAM
async def test_a_list_in_extra_body_replaces_the_model(up: Upstream, stream: bool) -> None:
    async with Gateway(several_providers(up)) as gw, sdk(gw) as client:
        await chat(client, "chat", stream=stream, extra_body={"model": ["nobody", "wise"]})
        assert up.requests[0].json["model"] == "labs/wise-1"


@SPECS
@needs_curl
async def test_every_form_of_the_model_through_curl(up: Upstream, model: Any, expected: set[tuple[str, str]]) -> None:
    async with Gateway(several_providers(up), chance=random.Random(5)) as gw:
        status, head, body = await curl(gw, {"model": model, "messages": HI})
        request = up.requests[0]
        assert (status, (path_of(request), request.json["model"]) in expected) == (200, True)
        assert head["x-router-provider"] == path_of(request) == json.loads(body)["_router"]["provider"]


@pytest.mark.parametrize("model", [None, "auto"])
async def test_no_model_is_any_model(up: Upstream, model: str | None) -> None:
    async with Gateway(several_providers(up), chance=random.Random(5)) as gw:
        for _ in range(24):
            assert (await ask(gw, model)).status == 200
        assert {(path_of(request), request.json["model"]) for request in up} == ANY


async def curl(gw: Gateway, call: dict[str, Any], *headers: str) -> tuple[int, dict[str, str], str]:
    assert CURL is not None
    lines = [word for line in ("Content-Type: application/json", *headers) for word in ("-H", line)]
    process = await asyncio.create_subprocess_exec(
        CURL, "-sSiN", f"{gw.url}{CHAT}", *lines, "-d", json.dumps(call), stdout=PIPE, stderr=PIPE
    )
    stdout, stderr = await within(process.communicate(), "curl to end")
    assert process.returncode == 0, stderr
    head, _, body = stdout.decode().partition("\r\n\r\n")
    start, *pairs = head.split("\r\n")
    fields = dict(pair.split(": ", 1) for pair in pairs)
    return int(start.split()[1]), {name.lower(): value for name, value in fields.items()}, body


async def test_rotation_is_round_robin(up: Upstream) -> None:
    async with Gateway(several_providers(up)) as gw:
        for _ in range(6):
            await ask(gw, "chat")
        assert [path_of(request) for request in up] in (["east", "west"] * 3, ["west", "east"] * 3)


async def test_a_list_is_tried_in_order_then_auto_then_the_fallback(up: Upstream) -> None:
    up.on(lambda request: failure(500))
    routing = {"maxRetries": 9, "retryDelay": 1, "fallback": {"provider": "open", "model": "deepseek/deepseek-r1"}}
    config = several_providers(up, routing=routing, circuitBreaker={"failureThreshold": 99})
    async with Gateway(config, clock=FakeClock(), chance=random.Random(1)) as gw:
        answer = await ask(gw, ["wise", "east/chat"])
        assert [request.json["model"] for request in up] == ["labs/wise-1", *["east-chat"] * 2, *[DEEP[1]] * 2]
        assert (answer.status, answer.header("x-router-fallback-used")) == (502, "true")
        up.requests.clear()
        answer = await ask(gw, ["wise", "auto"])
        models = [request.json["model"] for request in up]
        assert models[0] == "labs/wise-1"
        assert set(models[1:4]) == {"east-chat", "west-chat", DEEP[1]}
        assert answer.header("x-router-fallback-used") is None  # selected by auto, not as the fallback


async def test_unknown_models_are_a_404_or_listed_in_the_decision(up: Upstream) -> None:
    async with Gateway(several_providers(up)) as gw, sdk(gw) as client:
        for model in ("nobody", "east/wise", ["nobody", "none"]):
            with pytest.raises(openai.NotFoundError) as caught:
                await chat(client, model, stream=False)
            assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        assert up.requests == []
        answer = await ask(gw, ["nobody", "wise", "none"], ("x-router-decision", "true"))
        assert json.loads(answer.header("x-router-decision") or "")["unknown"] == ["nobody", "none"]


@pytest.mark.parametrize("model", [["auto", "wise"], [], [""], ["wise", 1], 7, {"name": "wise"}, ["wise"] * 65])
async def test_an_invalid_model_is_a_400(up: Upstream, model: Any) -> None:
    async with Gateway(several_providers(up)) as gw:
        answer = await ask(gw, model)
        assert (answer.status, answer.json["error"]["param"], up.requests) == (400, "model", [])


async def test_chats_are_never_routed_to_an_embedding_model(up: Upstream) -> None:
    models = [
        {"name": "chat", "provider": "up", "type": "chat"},
        {"name": "vector", "provider": "up", "type": "embedding"},
    ]
    config = {"providers": {"up": {"baseUrl": up.url}}, "models": models}
    async with Gateway(config, chance=random.Random(5)) as gw:
        for model in ["auto", None] * 5:
            assert (await ask(gw, model)).header("x-router-model") == "chat"
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/embeddings", json={"input": "Hi"})
        assert answer.header("x-router-model") == "vector"
        up.requests.clear()
        for path, name in (("/v1/embeddings", "chat"), ("/proxy/up/embeddings", "chat"), (CHAT, "vector")):
            answer = await client.fetch("POST", path, json={"model": name, "input": "Hi", "messages": HI})
            assert (answer.status, answer.json["error"]["code"]) == (400, "unsupported_endpoint")
        assert up.requests == []


async def test_an_unlisted_name_does_not_use_the_fallback(up: Upstream) -> None:
    models = [
        {"name": "m", "provider": "east", "model": "east-m"},
        {"name": "off", "provider": "east", "available": False},
    ]
    routing = {"maxRetries": 0, "fallback": {"provider": "west", "model": "spare"}}
    config = several_providers(up, models=models, routing=routing)
    del config["providers"]["open"]
    async with Gateway(config) as gw:
        for name in ("nobody", "west/nobody", ["nobody", "none"]):
            assert (await ask(gw, name)).status == 404
        assert up.requests == []
        assert (await ask(gw, ["off", "nobody", "m"])).header("x-router-model") == "m"
        answer = await ask(gw, "off")
        assert (answer.status, answer.header("x-router-fallback-used")) == (200, "true")
        assert [(path_of(request), request.json["model"]) for request in up] == [("east", "east-m"), ("west", "spare")]


async def test_an_unavailable_model_without_a_fallback_is_an_error_that_explains_it(up: Upstream) -> None:
    async with Gateway(several_providers(up, models=[{"name": "off", "provider": "east", "available": False}])) as gw:
        answer = await ask(gw, "off")
        assert answer.status == 503
        assert "east/off: not available" in answer.json["error"]["message"]
        assert up.requests == []


# -- the router fields --------------------------------------------------------------------------------


def fleet(up: Upstream, **sections: Any) -> dict[str, Any]:
    """``quick`` and ``wise``, which differ in every criterion."""
    return {
        "providers": {"up": {"baseUrl": up.url}},
        "models": [
            {
                "name": "quick",
                "provider": "up",
                "type": "chat",
                "speedTier": "fast",
                "tags": ["sight"],
                "contextSize": 8000,
            },
            {
                "name": "wise",
                "provider": "up",
                "type": "reasoning",
                "tags": ["sight", "tools"],
                "contextSize": 32000,
                "jsonResponse": True,
            },
        ],
    } | sections


def know(gw: Gateway, clock: FakeClock) -> None:
    """``wise`` is slow and good, ``quick`` is quick and fails half the time."""
    for label, seconds, oks in (("up/quick", 0.1, [True, False]), ("up/wise", 2.0, [True, True])):
        statistics = live(gw, label).statistics
        statistics.record_first_token(seconds, clock.now())
        for ok in oks:
            statistics.record(ok, clock.now())


FIELDS: dict[str, tuple[str, Any, str, set[str]]] = {
    "tags": ("tags", ["sight", "tools"], "tools, sight", {"wise"}),
    "one tag": ("tags", ["sight"], "sight", {"quick", "wise"}),
    "type": ("type", "reasoning", "reasoning", {"wise"}),
    "fast": ("type", "fast", "fast", {"quick"}),
    "min_context_size": ("min_context_size", 8001, "8001", {"wise"}),
    "json_response": ("json_response", True, "true", {"wise"}),
    "prefer_fast": ("prefer_fast", True, "true", {"quick"}),
    "not prefer_fast": ("prefer_fast", False, "false", {"quick", "wise"}),
    "min_success_rate": ("min_success_rate", 0.75, "0.75", {"wise"}),
}
EACH_FIELD = pytest.mark.parametrize(("field", "value", "text", "expected"), FIELDS.values(), ids=FIELDS.keys())


def clean(request: Request) -> None:
    """Check that no router field reached the provider."""
    own = {"tags", "type", "min_context_size", "json_response", "prefer_fast", "min_success_rate", "_router"}
    assert not own & set(request.json)
    assert [name for name, _ in request.headers if name.lower().startswith("x-router")] == []


@PLAIN_AND_STREAM
@EACH_FIELD
async def test_every_router_field_through_the_openai_package(
    up: Upstream, clock: FakeClock, field: str, value: Any, text: str, expected: set[str], stream: bool
) -> None:
    header = f"x-router-{field.replace('_', '-')}"
    async with Gateway(fleet(up), clock=clock, chance=random.Random(3)) as gw, sdk(gw) as client:
        for options in ({"extra_body": {field: value}}, {"extra_headers": {header: text}}):
            found = set()
            for _ in range(20):
                know(gw, clock)
                _, headers, _ = await chat(client, "auto", stream=stream, **options)
                found.add(headers["x-router-model"])
                clean(up.requests[-1])
            assert found == expected


@EACH_FIELD
@needs_curl
async def test_every_router_field_through_curl(
    up: Upstream, clock: FakeClock, field: str, value: Any, text: str, expected: set[str]
) -> None:
    header = f"x-router-{field.replace('_', '-')}: {text}"
    async with Gateway(fleet(up), clock=clock, chance=random.Random(3)) as gw:
        know(gw, clock)
        for call, *headers in (({"messages": HI, field: value},), ({"messages": HI, "stream": True}, header)):
            status, head, _ = await curl(gw, call, *headers)
            assert (status, head["x-router-model"] in expected) == (200, True)
            clean(up.requests[-1])


async def test_the_router_fields_of_a_body_win_over_headers(up: Upstream) -> None:
    async with Gateway(fleet(up)) as gw:
        answer = await ask(gw, "auto", ("x-router-type", "reasoning"), type="fast")
        assert answer.header("x-router-model") == "quick"
        answer = await ask(gw, "auto", ("x-router-type", "poetry"), type=None)
        assert answer.status == 200


async def test_router_fields_do_not_replace_a_named_model(up: Upstream) -> None:
    async with Gateway(fleet(up)) as gw:
        fields = {"type": "reasoning", "tags": ["tools"], "json_response": True, "min_context_size": 16000}
        answer = await ask(gw, "quick", **fields, prefer_fast=True, min_success_rate=0.9)
        assert (answer.status, answer.header("x-router-model")) == (200, "quick")
        answer = await ask(gw, ["quick", "wise"], **fields)
        assert answer.header("x-router-model") == "quick"
        clean(up.requests[-1])


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("tags", ["smell"], "smell"),
        ("type", "image", "image"),
        ("min_context_size", 10**6, "1000000"),
        ("json_response", True, "true"),
        ("min_success_rate", 1, "1"),
    ],
)
async def test_a_filter_without_a_match_is_a_404_that_names_it(
    up: Upstream, clock: FakeClock, field: str, value: Any, text: str
) -> None:
    async with Gateway(fleet(up), clock=clock) as gw, sdk(gw) as client:
        know(gw, clock)
        for options in (
            {"extra_body": {"type": "fast", field: value}},
            {"extra_headers": {"x-router-type": "fast", f"x-router-{field.replace('_', '-')}": text}},
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                await chat(client, "auto", stream=False, **options)
            assert (caught.value.code, caught.value.param) == ("no_model_matches", field)
            assert field in caught.value.message
        assert up.requests == []


# -- metadata ----------------------------------------------------------------------------------------


@PLAIN_AND_STREAM
async def test_router_metadata_lists_the_provider_and_failed_attempts(
    up: Upstream, clock: FakeClock, stream: bool
) -> None:
    up.queue(failure(404, "no such thing"), failure(500))
    config = several_providers(up, routing={"maxRetries": 3})
    async with Gateway(config, clock=clock) as gw:
        marks = [("x-router-metadata", "true"), ("x-router-decision", "true")]
        answer = await ask(gw, ["wise", "east/chat", "west/chat"], *marks, stream=stream)
        assert answer.status == 200
        lines = {name: value for name, value in answer.head.headers if name.startswith("x-router")}
        decision = json.loads(lines.pop("x-router-decision"))
        assert lines == {
            "x-router-provider": "west",
            "x-router-model": "chat",
            "x-router-attempts": "3",
            "x-router-errors": "west/wise=not_found, east/chat=server_error",
        }
        assert decision["chosen"] == "west/chat"
        assert decision["candidates"] == ["west/wise", "east/chat", "west/chat"]
        truth = {
            "provider": "west",
            "model_name": "chat",
            "attempts": 3,
            "fallback_used": False,
            "errors": [
                {"provider": "west", "model_name": "wise", "error": "not_found", "message": "status 404"},
                {"provider": "east", "model_name": "chat", "error": "server_error", "message": "status 500"},
            ],
            "cost_usd": None,
        }
        if not stream:
            assert answer.json["_router"] == truth
            assert answer.json["model"] == "west-chat"
            return
        before, after = answer.body.split(b": _router ")
        assert json.loads(after.split(b"\n\n")[0]) == truth
        assert after.split(b"\n\n", 1)[1] == b"data: [DONE]\n\n"
        assert b'"finish_reason":"stop"' in before


async def test_a_plain_response_is_unchanged_except_for_the_last_member(up: Upstream) -> None:
    odd = b'{ "model":"w\\u00f6","x":1.0e0,"usage":null , "choices":[ ] \n}\n'
    async with Gateway(several_providers(up)) as gw:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(odd)
        up.queue([head + odd])
        answer = await ask(gw, "wise")
        assert answer.body.startswith(odd[: odd.rindex(b"}")])
        assert answer.body.endswith(b"}\n")
        assert answer.json["_router"]["model_name"] == "wise"


async def test_a_stream_without_the_metadata_header_is_relayed_byte_for_byte(up: Upstream) -> None:
    async with Gateway(several_providers(up)) as gw:
        answer = await ask(gw, "wise", stream=True)
        assert answer.body == b"".join(chat_events("Hello", model="labs/wise-1"))
        assert answer.header("x-router-decision") is None


async def test_the_decision_lists_why_candidates_were_skipped(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(fleet(up), clock=clock, chance=random.Random(2)) as gw:
        know(gw, clock)
        answer = await ask(gw, "auto", ("x-router-decision", "true"))
        decision = json.loads(answer.header("x-router-decision") or "")
        assert decision["strategy"] == "smart"
        assert set(decision["scores"]) == {"up/quick", "up/wise"}
        up.queue(failure(429, wait=70))
        await ask(gw, "quick", ("x-router-decision", "true"))
        answer = await ask(gw, "auto", ("x-router-decision", "true"))
        decision = json.loads(answer.header("x-router-decision") or "")
        assert (decision["chosen"], decision["skipped"]) == ("up/wise", {"up/quick": "resting"})
        # And without any candidate left.
        live(gw, "up/wise").breaker.trip(clock.now(), "test")
        answer = await ask(gw, "auto", ("x-router-decision", "true"))
        decision = json.loads(answer.header("x-router-decision") or "")
        assert (answer.status, "chosen" in decision) == (503, False)
        assert decision["skipped"] == {"up/quick": "resting", "up/wise": "breaker_open"}
        assert "127.0.0.1" not in str(answer.head.headers)


# -- keys ---------------------------------------------------------------------------------------------


def keyed(up: Upstream, *keys: str, **sections: Any) -> dict[str, Any]:
    """One provider with these keys and models ``m`` and ``n``; a spare one for a fallback in ``routing``."""
    return {
        "providers": {
            "up": {"baseUrl": f"{up.origin}/up/v1", "apiKeys": list(keys)},
            "spare": {"baseUrl": f"{up.origin}/spare/v1", "apiKey": "key-of-spare"},
        },
        "models": [
            {"name": "m", "provider": "up"},
            {"name": "n", "provider": "up"},
            {"name": "spare", "provider": "spare"},
        ],
        "routing": {"maxRetries": 2, "rateLimitRetries": 0},
    } | sections


def keys_of(up: Upstream) -> list[str]:
    return [(request.header("authorization") or "").removeprefix("Bearer ") for request in up]


async def test_keys_rotate(up: Upstream) -> None:
    async with Gateway(keyed(up, "key-1", "key-2", "key-3")) as gw:
        for _ in range(6):
            await ask(gw)
        assert keys_of(up) == ["key-1", "key-2", "key-3"] * 2


@pytest.mark.parametrize("status", [401, 429])
@PLAIN_AND_STREAM
async def test_a_rejected_key_cools_down_while_another_is_tried(
    up: Upstream, clock: FakeClock, status: int, stream: bool
) -> None:
    async with Gateway(keyed(up, "key-bad", "key-good"), clock=clock) as gw:
        up.queue(failure(status, "Invalid key-bad", wait=60 if status == 429 else 0))
        answer = await ask(gw, stream=stream)
        assert (answer.status, answer.header("x-router-attempts")) == (200, "2")
        assert b"key-bad" not in answer.body
        for _ in range(3):
            assert (await ask(gw, "n")).status == 200
        assert keys_of(up) == ["key-bad", *["key-good"] * 4]
        clock.advance(61)
        for _ in range(2):
            await ask(gw)
        assert "key-bad" in keys_of(up)[5:]
        assert live(gw, "up/m").breaker.state == "closed"


async def test_a_429_of_the_only_key_cools_down_the_deployment_only(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(keyed(up, "key-1"), clock=clock) as gw:
        up.queue(failure(429, wait=90))
        assert (await ask(gw, "m")).status == 429
        assert (await ask(gw, "n")).status == 200
        assert (await ask(gw, "m")).status == 429
        assert len(up.requests) == 2


async def test_a_cooldown_is_logged_once(up: Upstream, clock: FakeClock) -> None:
    def warnings(words: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, gw.log_lines) if line.get("message", "").startswith(words)]

    config = keyed(up, "key-number-1", "key-number-2")
    config["providers"]["spare"]["apiKey"] = "key-of-spare"
    async with Gateway(config, clock=clock) as gw:
        up.queue(failure(401, "Incorrect API key key-number-1"))
        assert [(await ask(gw)).status for _ in range(3)] == [200] * 3
        [line] = warnings("A provider refused one of its keys")
        assert (line["level"], line["provider"], line["key"], line["status"]) == ("warning", "up", 1, 401)
        for _ in range(2):
            up.queue(failure(429, wait=90))
            await ask(gw, "spare")
        [line] = warnings("A provider's rate limit")
        assert (line["deployment"], line["seconds"]) == ("spare/spare", 90)
        assert "key-number-1" not in "".join(gw.log_lines)


async def test_the_last_rejected_key_is_used_until_the_breaker_opens(up: Upstream, clock: FakeClock) -> None:
    """Of two rejected keys one cools down while the other is tried; the provider stays available."""
    async with Gateway(keyed(up, "key-1", "key-2"), clock=clock) as gw:
        up.on(lambda request: failure(401, "Incorrect API key key-1"))
        for number in (2, 3, 4):
            answer = await ask(gw)
            assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_auth_failed")
            assert (answer.header("x-should-retry"), len(up.requests)) == ("false", number)
            assert "key-1" not in str(answer)
        assert keys_of(up) == ["key-1", *["key-2"] * 3]
        assert live(gw, "up/m").breaker.state == "open"
        answer = await ask(gw)
        assert (answer.status, answer.header("retry-after"), answer.header("x-should-retry")) == (503, None, "false")
        up.on(good)
        assert (await ask(gw, "n")).status == 200  # another deployment has a breaker of its own
        clock.advance(61)
        assert (await ask(gw)).status == 200
        assert "key-1" in [keys_of(up)[-1], *keys_of(up)]


@pytest.mark.parametrize("keys", [(), ("key-1",)], ids=["no key", "one key"])
async def test_a_401_of_the_only_key_counts_at_the_breaker_without_a_cooldown(
    up: Upstream, clock: FakeClock, keys: tuple[str, ...]
) -> None:
    config = keyed(up, *keys)
    if not keys:
        del config["providers"]["up"]["apiKeys"]
    async with Gateway(config, clock=clock) as gw:
        up.queue(failure(401, "No"))
        assert (await ask(gw)).status == 502
        assert live(gw, "up/m").breaker.failures == 1
        assert [(await ask(gw, model)).status for model in ("m", "n", "m")] == [200, 200, 200]


@pytest.mark.parametrize("status", [402, 403])
@pytest.mark.parametrize("keys", [(), ("key-1",), ("key-1", "key-2", "key-3")], ids=["no key", "one key", "three keys"])
async def test_a_402_or_403_starts_no_cooldown_and_is_not_counted(
    up: Upstream, clock: FakeClock, keys: tuple[str, ...], status: int
) -> None:
    config = keyed(up, *keys, routing={"onAuthError": "fail"})
    if not keys:
        del config["providers"]["up"]["apiKeys"]
    async with Gateway(config, clock=clock) as gw:
        for number in range(6):
            up.queue(failure(status, "Blocked by policy", code="policy"))
            answer = await ask(gw)
            assert (answer.status, answer.json["error"]["code"]) == (status, "policy")
            assert (answer.json["error"]["message"], len(up.requests)) == ("Blocked by policy", 2 * number + 1)
            assert (await ask(gw)).status == 200  # another deployment
        assert (live(gw, "up/m").breaker.state, live(gw, "up/m").breaker.failures) == ("closed", 0)
        assert set(keys_of(up)) == set(keys or [""])


async def test_a_401_about_a_permission_of_our_key_becomes_a_403(up: Upstream) -> None:
    """A client would read a 401 as an error about its own key."""
    scope = "You have insufficient permissions for this operation. Missing scopes: api.images.write"
    up.queue(failure(401, scope, code="missing_scope"))
    async with Gateway(keyed(up, "key-1")) as gw:
        answer = await ask(gw)
        assert (answer.status, answer.json["error"]["code"]) == (403, "missing_scope")
        assert live(gw, "up/m").breaker.failures == 0


async def test_three_keys_are_not_all_spent_on_one_request(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(keyed(up, "key-1", "key-2", "key-3"), clock=clock) as gw:
        up.queue(failure(401), failure(401))
        answer = await ask(gw, ["m", "spare"])
        assert answer.header("x-router-provider") == "spare"
        assert keys_of(up)[:2] == ["key-1", "key-2"]
        assert live(gw, "up/m").breaker.failures == 0  # the third takes over
        assert [(await ask(gw)).status for _ in range(3)] == [200] * 3
        assert set(keys_of(up)[3:]) == {"key-3"}


async def test_an_upload_with_a_rejected_key_is_retryable_with_the_next(up: Upstream, clock: FakeClock) -> None:
    """It cannot be sent again by the gateway; an SDK can, and then another key is used."""
    up.queue(failure(401), failure(401))
    up.on(lambda request: json_answer({"text": "Hi"}))
    part = 'Content-Disposition: form-data; name="model"'
    form = f"--limit\r\n{part}\r\n\r\nm\r\n--limit--\r\n".encode()
    kind = [("Content-Type", "multipart/form-data; boundary=limit")]
    async with Gateway(keyed(up, "key-1", "key-2"), clock=clock) as gw:
        answers = []
        for _ in range(2):
            client = await gw.client()
            answers.append(await client.fetch("POST", "/v1/audio/transcriptions", headers=kind, body=form))
    assert [(each.status, each.header("x-should-retry")) for each in answers] == [(502, None), (502, "false")]
    assert keys_of(up) == ["key-1", "key-2"]


REFUSED_ONCE: dict[str, Script] = {"429": failure(429), "500": failure(500), "reset": [Reset()]}


@pytest.mark.parametrize("script", REFUSED_ONCE.values(), ids=REFUSED_ONCE.keys())
async def test_max_retries_0_disables_retries(up: Upstream, clock: FakeClock, script: Script) -> None:
    up.queue(script)
    config = one_provider(up, routing={"maxRetries": 0, "rateLimitRetries": 2})
    async with Gateway(config, clock=clock) as gw:
        answer = await ask(gw)
    assert answer.status in (429, 502)
    assert len(up.requests) == 1


async def test_a_429_about_the_request_itself_disables_sdk_retries_on_every_attempt(up: Upstream) -> None:
    message = "Request too large for m on tokens per minute (TPM): Limit 6000, Requested 9014"
    error = error_json(message, code="rate_limit_exceeded")
    up.queue(json_answer(error, 429), json_answer(error, 200))
    async with Gateway(one_provider(up)) as gw:
        for answer in (await ask(gw), await ask(gw)):
            assert (answer.status, answer.header("x-should-retry")) == (429, "false")


async def test_an_exhausted_account_is_not_retried_and_keeps_its_code(up: Upstream, clock: FakeClock) -> None:
    used_up = failure(429, "You exceeded your current quota.", code="insufficient_quota")
    async with Gateway(keyed(up, "key-1", routing={"rateLimitRetries": 5}), clock=clock) as gw:
        up.on(lambda request: used_up if path_of(request) == "up" else good(request))
        answer = await ask(gw)
        assert (answer.status, answer.json["error"]["code"], len(up.requests)) == (429, "insufficient_quota", 1)
        assert (answer.header("x-should-retry"), clock.slept) == ("false", [])
        assert (await ask(gw, ["m", "spare"])).header("x-router-provider") == "spare"
        await ask(gw)
        assert live(gw, "up/m").breaker.state == "open"
        answer = await ask(gw)
        assert (answer.status, answer.json["error"]["code"], len(up.requests)) == (429, "insufficient_quota", 4)


async def test_another_key_replaces_one_with_an_exhausted_account(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(keyed(up, "key-1", "key-2"), clock=clock) as gw:
        up.queue(failure(429, code="insufficient_quota"))
        assert [(await ask(gw)).status for _ in range(3)] == [200] * 3
        assert keys_of(up) == ["key-1", "key-2", "key-2", "key-2"]


@pytest.mark.parametrize("status", [500, 503])
async def test_retry_after_of_a_server_error_delays_only_that_request(
    up: Upstream, clock: FakeClock, status: int
) -> None:
    async with Gateway(keyed(up, "key-1"), clock=clock) as gw:
        up.queue(failure(status, wait=7))
        assert (await ask(gw)).status == 200
        assert clock.slept == [7]
        assert live(gw, "up/m").quota.cooldown_until == 0
        up.queue(failure(status, wait=61))
        answer = await ask(gw)
        assert (answer.status, clock.slept, answer.header("retry-after")) == (502, [7], None)
        assert (await ask(gw)).status == 200


@PLAIN_AND_STREAM
@pytest.mark.parametrize("how", ["next", "fail"])
async def test_on_auth_error_decides_whether_to_fail_over(
    up: Upstream, clock: FakeClock, stream: bool, how: str
) -> None:
    routing = {"onAuthError": how, "fallback": {"provider": "spare", "model": "spare"}}
    async with Gateway(keyed(up, "key-1", "key-2", routing=routing), clock=clock) as gw:
        up.queue(*[failure(401, "Incorrect API key provided: key-1.", code="invalid_api_key")] * 2)
        answer = await ask(gw, ["m", "spare"], stream=stream)
        if how == "next":
            assert (answer.status, answer.header("x-router-provider")) == (200, "spare")
        else:
            assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_auth_failed")
        assert keys_of(up)[:2] == ["key-1", "key-2"]
        assert len(up.requests) == (3 if how == "next" else 2)
        assert "Incorrect" not in str(answer)
        assert "key-1" not in str(answer)


@pytest.mark.parametrize("status", [401])
async def test_errors_about_our_key_are_hidden_in_a_pinged_stream_too(up: Upstream, status: int) -> None:
    gate = asyncio.Event()
    async with Gateway(keyed(up, "key-1", server={"pingAfter": 0.01})) as gw:
        up.queue([Wait(gate), *failure(status, "Incorrect API key provided: key-1.")])
        client = await gw.client()
        await client.request("POST", CHAT, json={"model": "m", "messages": HI, "stream": True})
        assert (await client.read_head()).status == 200
        gate.set()
        body = await client.read_body()
        assert b"upstream_auth_failed" in body
        assert b"Incorrect" not in body
        assert b"key-1" not in body


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_errors_about_our_key_inside_a_200_are_hidden_too(up: Upstream, clock: FakeClock, stream: bool) -> None:
    error = {"error": {"message": "Incorrect API key provided: key-1.", "type": "authentication_error", "code": 401}}
    async with Gateway(keyed(up, "key-1"), clock=clock) as gw:
        up.on(
            lambda request: sse_answer(b"data: %b\n\n" % json.dumps(error).encode()) if stream else json_answer(error)
        )
        answer = await ask(gw, stream=stream)
        assert answer.status == 502
        assert "Incorrect" not in str(answer)
        assert "key-1" not in str(answer)


# -- skipped candidates -------------------------------------------------------------------------------


@PLAIN_AND_STREAM
@pytest.mark.parametrize("reason", ["breaker_open", "resting", "busy"])
async def test_skipped_candidates_are_listed_with_reasons_in_a_fallback_response(
    up: Upstream, clock: FakeClock, reason: str, stream: bool
) -> None:
    config = keyed(up, "key-1", routing={"fallback": {"provider": "spare", "model": "spare"}})
    config["models"][0]["maxConcurrent"] = 1
    async with Gateway(config, clock=clock) as gw:
        first = live(gw, "up/m")
        if reason == "breaker_open":
            first.breaker.trip(clock.now(), "test")
        elif reason == "resting":
            first.quota.cool_down(clock.now() + 90)
        else:
            first.in_flight += 1
        answer = await ask(gw, "m", ("x-router-metadata", "true"), stream=stream)
        first.in_flight = 0
        if stream:
            failure = json.loads(answer.body.split(b": _router ")[1].split(b"\n\n")[0])
        else:
            failure = answer.json["_router"]
        assert (failure["provider"], failure["fallback_used"]) == ("spare", True)
        assert failure["skipped"] == [{"model": "up/m", "reason": reason}]


async def test_an_error_explains_why_each_candidate_was_skipped_and_for_how_long(
    up: Upstream, clock: FakeClock
) -> None:
    config = keyed(up, "key-1", circuitBreaker={"failureThreshold": 1}, routing={"maxRetries": 0})
    config["models"] = [{"name": name, "provider": "up", "maxConcurrent": 1} for name in ("m", "n", "o", "p")]
    config["models"][3]["available"] = False
    async with Gateway(config, clock=clock) as gw:
        up.queue(failure(500))
        assert (await ask(gw, "m")).status == 502
        clock.advance(2)
        live(gw, "up/n").quota.cool_down(clock.now() + 89.5)
        live(gw, "up/o").in_flight = 1
        answer = await ask(gw, ["m", "n", "o", "p"])
        live(gw, "up/o").in_flight = 0
        message = answer.json["error"]["message"]
        for reason in (
            "up/m: circuit breaker open for another 58 s",
            "up/n: rate limited for another 90 s",
            "up/o: at maxConcurrent",
            "up/p: not available",
        ):
            assert reason in message
        for identifier in ("breaker_open", "resting", "busy", "disabled"):
            assert identifier not in message


async def test_an_error_states_when_rate_limited_keys_are_available_again(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(keyed(up, "key-1", routing={"maxRetries": 0}), clock=clock) as gw:
        keys = deployment_of(gw, "up/m").provider.keys
        key = keys.take(clock.now())
        assert key is not None
        keys.cool_down(key, clock.now() + 89.5, limited=True)
        answer = await ask(gw, "m")
        assert answer.status == 429
        assert answer.json["error"]["message"] == (
            "No model could answer (up/m: every key is rate limited for another 90 s)."
        )


async def test_a_response_without_skipped_candidates_has_no_skipped_member(up: Upstream, clock: FakeClock) -> None:
    """The usual member is kept ready for each deployment: what is special about one answer must not stay in it."""
    async with Gateway(keyed(up, "key-1"), clock=clock) as gw:
        live(gw, "up/m").breaker.trip(clock.now(), "test")
        assert "skipped" in (await ask(gw, ["m", "spare"])).json["_router"]
        assert "skipped" not in (await ask(gw, "spare")).json["_router"]


# -- addresses and quotas -----------------------------------------------------------------------------


async def test_the_addresses_of_a_provider_share_the_load_and_each_has_a_breaker(
    up: Upstream, clock: FakeClock
) -> None:
    urls = [f"{up.origin}/{name}/v1" for name in ("a", "b", "c")]
    config = {"providers": {"up": {"baseUrls": urls}}, "models": [{"name": "m", "provider": "up"}]}
    async with Gateway(config, clock=clock) as gw:
        for _ in range(9):
            assert (await ask(gw)).status == 200
        assert Counter(map(path_of, up)) == {"a": 3, "b": 3, "c": 3}
        up.on(lambda request: failure(500) if path_of(request) == "b" else good(request))
        for _ in range(30):
            answer = await ask(gw)
            assert answer.status == 200
        assert [live(gw, f"up/m#{number}").breaker.state for number in (1, 2, 3)] == ["closed", "open", "closed"]
        assert Counter(map(path_of, up))["b"] == 3 + 3


async def test_a_refused_address_costs_an_attempt_until_its_breaker_opens(up: Upstream) -> None:
    config = {"providers": {"up": {"baseUrls": [NOWHERE, up.url]}}, "models": [{"name": "m", "provider": "up"}]}
    async with Gateway(config) as gw:
        attempts = [int((await ask(gw)).header("x-router-attempts") or 0) for _ in range(12)]
        assert attempts.count(2) == 3
        assert len(up.requests) == 12
        assert "127.0.0.1" not in str(await ask(gw))


async def test_a_429_cools_down_its_quota_group_only(up: Upstream, clock: FakeClock) -> None:
    config = {
        "providers": {
            "one": {"baseUrl": f"{up.origin}/one/v1", "quotaGroup": "account"},
            "two": {"baseUrl": f"{up.origin}/two/v1", "quotaGroup": "account"},
            "own": {"baseUrl": f"{up.origin}/own/v1"},
        },
        "models": [
            {"name": "m", "provider": "one"},
            {"name": "m", "provider": "two"},
            {"name": "m", "provider": "own"},
            {"name": "apart", "provider": "two", "quotaGroup": "another"},
        ],
    }
    async with Gateway(config, clock=clock) as gw:
        up.queue(failure(429, wait=90))
        answer = await ask(gw)
        assert answer.header("x-router-provider") == "own"  # the equal one without a cooldown
        assert answer.header("x-router-errors") == "one/m=rate_limited"
        for _ in range(4):
            assert (await ask(gw)).header("x-router-provider") == "own"
        assert (await ask(gw, "apart")).header("x-router-provider") == "two"
        answer = await ask(gw, "two/m")
        assert (answer.status, answer.header("retry-after")) == (429, "60")
        clock.advance(61)
        assert {(await ask(gw)).header("x-router-provider") for _ in range(3)} == {"one", "two", "own"}


async def test_max_concurrent_is_enforced_and_other_deployments_get_the_rest(up: Upstream) -> None:
    gate = asyncio.Event()
    config = several_providers(up, routing={"rateLimitRetries": 0})
    config["models"][0]["maxConcurrent"] = 2
    async with Gateway(config) as gw:
        up.on(lambda request: [Wait(gate), *good(request)])
        asking = [asyncio.create_task(ask(gw, "chat")) for _ in range(10)]
        await until(lambda: len(up.requests) == 10, "ten requests")
        assert Counter(map(path_of, up)) == {"east": 2, "west": 8}
        answer = await ask(gw, "east/chat")
        assert (answer.status, answer.header("retry-after")) == (429, "1")
        gate.set()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
        assert (await ask(gw, "east/chat")).status == 200
        await at_rest(gw)


# -- affinity -----------------------------------------------------------------------------------------


def herd(up: Upstream, count: int = 5, **sections: Any) -> dict[str, Any]:
    """``m`` at many providers."""
    names = [f"p{number}" for number in range(count)]
    return {
        "providers": {name: {"baseUrl": f"{up.origin}/{name}/v1"} for name in names},
        "models": [{"name": "m", "provider": name} for name in names],
    } | sections


async def homes(gw: Gateway, ask_for: Callable[[int], Any], times: int = 3) -> list[str]:
    """Where each of twenty clients is at home; the same every time."""
    found: list[str] = []
    for number in range(20):
        providers = {(await ask_for(number)).header("x-router-provider") for _ in range(times)}
        assert len(providers) == 1
        found += providers
    return found


async def test_a_session_keeps_its_deployment_and_returns_to_it_after_an_outage(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(herd(up, routing={"affinity": "session"}), clock=clock) as gw:

        def by_session(number: int) -> Any:
            return ask(gw, "m", ("x-session-id", f"session {number}"))

        before = await homes(gw, by_session)
        assert len(set(before)) >= 2
        down = before[0]
        live(gw, f"{down}/m").breaker.trip(clock.now(), "test")
        during = await homes(gw, by_session)
        assert down not in during
        assert all(new == old for new, old in zip(during, before, strict=True) if old != down)
        live(gw, f"{down}/m").breaker.reset(clock.now())
        assert await homes(gw, by_session, 1) == before


async def test_the_session_header_is_configurable(up: Upstream) -> None:
    config = herd(up, routing={"affinity": "session", "affinityHeader": "x-user"})
    async with Gateway(config) as gw:
        assert len(set(await homes(gw, lambda number: ask(gw, "m", ("x-user", str(number)))))) >= 2


async def test_the_same_prompt_prefix_keeps_its_deployment(up: Upstream) -> None:
    async with Gateway(herd(up, routing={"affinity": "prefix"})) as gw:
        turn = iter(range(1000))

        def by_prompt(number: int) -> Any:
            system = {"role": "system", "content": f"You are {number}. " + "Be kind. " * 300}
            return ask(gw, "m", messages=[system, {"role": "user", "content": f"Question {next(turn)}"}])

        assert len(set(await homes(gw, by_prompt))) >= 2  # ports are drawn, and homes with them


async def test_affinity_yields_to_load(up: Upstream) -> None:
    gate = asyncio.Event()
    async with Gateway(herd(up, routing={"affinity": "session"})) as gw:
        up.on(lambda request: [Wait(gate), *good(request)])
        asking = [asyncio.create_task(ask(gw, "m", ("x-session-id", "one"))) for _ in range(20)]
        await until(lambda: len(up.requests) == 20, "twenty requests")
        assert max(Counter(map(path_of, up)).values()) <= 20 / 5 * 1.25 + 3
        gate.set()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
        await at_rest(gw)


# -- strategies ---------------------------------------------------------------------------------------


async def shares(gw: Gateway, up: Upstream, model: str, count: int) -> Counter[str]:
    up.requests.clear()
    for _ in range(count):
        assert (await ask(gw, model)).status == 200
    return Counter(map(path_of, up))


async def test_strategies_apply_globally_or_to_one_name(up: Upstream) -> None:
    config = herd(up, 3)
    for number, model in enumerate(config["models"]):
        model |= {"weight": number + 1, "inputPrice": 3 - number, "outputPrice": 1}
    config["models"] += [{"name": "cheap"} | {k: v for k, v in m.items() if k != "name"} for m in config["models"]]
    config["routing"] = {"strategy": "weighted_round_robin", "strategies": {"cheap": "lowest_cost"}}
    async with Gateway(config) as gw:
        assert await shares(gw, up, "m", 12) == {"p0": 2, "p1": 4, "p2": 6}
        assert await shares(gw, up, "cheap", 6) == {"p2": 6}
        answer = await ask(gw, "cheap", ("x-router-decision", "true"))
        assert json.loads(answer.header("x-router-decision") or "")["strategy"] == "lowest_cost"


async def test_least_connections_selects_the_least_loaded(up: Upstream) -> None:
    gate = asyncio.Event()
    async with Gateway(herd(up, 4, routing={"strategy": "least_connections"})) as gw:
        up.on(lambda request: [Wait(gate), *good(request)])
        asking = [asyncio.create_task(ask(gw)) for _ in range(12)]
        await until(lambda: len(up.requests) == 12, "twelve requests")
        assert set(Counter(map(path_of, up)).values()) == {3}
        gate.set()
        await asyncio.gather(*asking)


async def test_lowest_latency_explores_and_then_selects_the_fastest(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(herd(up, 3, routing={"strategy": "lowest_latency"}), clock=clock) as gw:
        for number, seconds in ((0, 0.5), (2, 0.2)):
            live(gw, f"p{number}/m").statistics.record_first_token(seconds, clock.now())
        live(gw, "p1/m").statistics.record_first_token(0.9, clock.now())
        assert await shares(gw, up, "m", 5) == {"p2": 5}


async def test_smart_prefers_weight_success_and_speed_without_starvation(up: Upstream, clock: FakeClock) -> None:
    config = herd(up, 3, routing={"strategies": {"m": "smart"}})
    async with Gateway(config, clock=clock, chance=random.Random(8)) as gw:
        for number, oks in ((0, [True] * 10), (1, [True] * 5 + [False] * 5), (2, [False] * 10)):
            for ok in oks:
                live(gw, f"p{number}/m").statistics.record(ok, clock.now())
        found = await shares(gw, up, "m", 60)
        assert found["p0"] > found["p1"] > found["p2"]


# -- a client that leaves -----------------------------------------------------------------------------


@PLAIN_AND_STREAM
async def test_a_disconnect_between_attempts_leaks_nothing(up: Upstream, stream: bool) -> None:
    up.queue(failure(500), [Stall()])
    async with Gateway(several_providers(up)) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json={"model": ["wise", "chat"], "messages": HI, "stream": stream})
        await up.request(1)
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"
        await at_rest(gw)
        assert len(up.requests) == 2
