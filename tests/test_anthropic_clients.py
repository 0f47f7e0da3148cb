"""The anthropic package against the gateway and a scripted provider that speaks its dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from proxy.auth.apikey import new_key
from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Upstream,
    Wait,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway
from tests.support.messages import HELLO, START, STOP, begin, event, stop
from tests.support.packages import Package, anthropic_0

READER = Path(__file__).parent / "support" / "anthropic_reader.py"
RETRIES: dict[str, Any] = {"routing": {"maxRetries": 2, "rateLimitRetries": 0}}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
CALL: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
OPEN, CLOSE, END = begin(type="text", text=""), event("content_block_stop", index=0), stop("end_turn", output_tokens=5)
TEXT = (START, OPEN, HELLO, HELLO, CLOSE, END, STOP)
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-up",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 6},
    },
}


def block(index: int, opening: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    """All events of one block."""
    return [
        event("content_block_start", index=index, content_block=opening),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


# Thinking with a signature, a text with a citation, and two calls of tools, one without arguments.
CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None,
            "start_char_index": 0, "end_char_index": 1}  # fmt: skip
AGENT = (
    START,
    event("ping"),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm"},
        {"type": "signature_delta", "signature": "c2lnbmF0dXJl"},
    ),
    *block(
        1,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "W\u00f6rld"},
        {"type": "citations_delta", "citation": CITATION},
    ),
    *block(
        2,
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"city":'},
        {"type": "input_json_delta", "partial_json": '"Paris"}'},
    ),
    *block(3, {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}}),
    stop("tool_use", input_tokens=20, output_tokens=50, output_tokens_details={"thinking_tokens": 30}),
    STOP,
)


def config(up: Upstream, **sections: Any) -> dict[str, Any]:
    provider = {"kind": "anthropic", "baseUrl": up.url, "apiKey": "provider-key"}
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "providers": {"up": provider, "spare": provider},
        "models": [
            {"name": "m", "provider": "up", "model": "claude-up"},
            {"name": "n", "provider": "spare", "model": "claude-spare"},
        ],
    } | sections


@asynccontextmanager
async def served(
    *scripts: Any, retries: int = 0, **sections: Any
) -> AsyncIterator[tuple[AsyncAnthropic, Gateway, Upstream]]:
    """The package, the gateway, and a provider that answers with these scripts."""
    async with Upstream() as up, Gateway(config(up, **sections)) as gw:
        up.queue(*scripts)
        options: dict[str, Any] = {"base_url": gw.url, "api_key": "client-key", "max_retries": retries, "timeout": 10.0}
        # Reading the system's certificates takes longer than a call.
        async with AsyncAnthropic(http_client=anthropic.DefaultAsyncHttpxClient(verify=False), **options) as sdk:
            yield sdk, gw, up


def error(kind: str, message: str, **details: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message} | details}


# Answers


async def test_a_message_is_answered_and_accounted() -> None:
    async with served(json_answer(MESSAGE)) as (sdk, gw, up):
        message = await sdk.messages.create(**CALL)
        assert message.to_dict() == MESSAGE
        line = await gw.settled()
        counts = {"input": 17, "cached": 4, "output": 3, "reasoning": 6}  # the log adds what was written to a cache
        assert (line["outcome"], line["tokens"]) == ("ok", counts)
        request = await up.request()
        assert (request.target, request.header("x-api-key")) == ("/v1/messages", "provider-key")
        assert request.header("authorization") is None
        assert request.header("anthropic-version") == "2026-10-21"
        assert request.json == CALL | {"model": "claude-up"}


async def test_everything_that_an_agent_streams_arrives() -> None:
    async with served(sse_answer(*AGENT)) as (sdk, gw, _):
        async with sdk.messages.stream(**CALL) as stream:
            message = await stream.get_final_message()
        thinking, text, weather, time = (each.to_dict() for each in message.content)
        assert thinking == {"type": "thinking", "thinking": "Hm", "signature": "c2lnbmF0dXJl"}
        assert text["text"] == "W\u00f6rld"
        assert text["citations"] == [CITATION]
        assert (weather["id"], weather["input"], time["id"], time["input"]) == (
            "toolu_1", {"city": "Paris"}, "toolu_2", {}
        )  # fmt: skip
        assert message.stop_reason == "tool_use"
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]) == ("ok", {"input": 20, "cached": 4, "output": 20, "reasoning": 30})


async def test_what_the_package_sends_reaches_the_provider_byte_for_byte() -> None:
    data = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
    content: list[Any] = [
        {"type": "text", "text": "W\u00f6rld", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image", "source": data},
        {"type": "document", "source": data | {"media_type": "application/pdf"}, "citations": {"enabled": True}},
    ]
    call: dict[str, Any] = CALL | {
        "messages": [
            {"role": "user", "content": content},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "c2ln"}]},
            {"role": "system", "content": "Be brief."},
        ],
        "extra_body": {"context_management": {"edits": []}, "tags": ["not ours"], "next_month": {"x": None}},
        "extra_headers": {"anthropic-version": "2023-06-01"},
        "extra_query": {"beta": "true"},
        "betas": ["context-management-2025-06-27", "something-new-2026-12-01"],
    }
    async with served(json_answer(MESSAGE), json_answer(MESSAGE)) as (sdk, _, up):
        await sdk.beta.messages.create(**call)
        through = await up.request()
        direct = AsyncAnthropic(base_url=up.url.removesuffix("/v1"), api_key="k", max_retries=0)
        async with direct:
            await direct.beta.messages.create(**call)
        untouched = await up.request(1)
        assert through.body == untouched.body.replace(b'"model":"m"', b'"model":"claude-up"')
        assert (through.target, through.target) == (untouched.target, "/v1/messages?beta=true")
        for name in ("anthropic-version", "anthropic-beta"):
            assert through.header(name) == untouched.header(name)
        assert through.header("anthropic-version") == "2023-06-01"


async def test_counting_tokens_takes_none_from_a_limit() -> None:
    limits = {"rateLimiting": {"enabled": True, "global": {"tokensPerMinute": 150}}}
    long = CALL["messages"] + [{"role": "user", "content": "word " * 400}]
    count = json_answer({"input_tokens": 400})
    async with served(count, count, json_answer(MESSAGE), **limits) as (sdk, gw, up):
        for _ in range(2):
            counted = await sdk.messages.count_tokens(model="m", messages=long)
            assert counted.input_tokens == 400
        assert (await up.request()).target == "/v1/messages/count_tokens"
        await sdk.messages.create(**CALL)
        with pytest.raises(anthropic.RateLimitError) as refused:
            await sdk.messages.create(**CALL | {"max_tokens": 140})
        assert (refused.value.type, refused.value.response.headers["retry-after"] > "0") == ("rate_limit_error", True)
        assert [line["tokens"] is None for line in gw.exchanges[:3]] == [True, True, False]


# Errors


@pytest.mark.parametrize(
    ("status", "body", "raised", "kind"),
    [
        (400, error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), anthropic.BadRequestError, "invalid_request_error"),
        (400, error("invalid_request_error", "max_tokens: Field required"), anthropic.BadRequestError, "invalid_request_error"),
        (402, error("billing_error", "Pay first."), anthropic.APIStatusError, "billing_error"),
        (403, error("permission_error", "Not yours."), anthropic.PermissionDeniedError, "permission_error"),
        (404, error("not_found_error", "No such container."), anthropic.NotFoundError, "not_found_error"),
        (413, {"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}}, anthropic.APIStatusError, "request_too_large"),
        (422, {"detail": "A server of another make."}, anthropic.UnprocessableEntityError, "invalid_request_error"),
    ],
)  # fmt: skip
async def test_an_error_of_the_request_keeps_the_providers_words(
    status: int, body: dict[str, Any], raised: type[anthropic.APIStatusError], kind: str
) -> None:
    async with served(json_answer(body, status)) as (sdk, _, _):
        with pytest.raises(raised) as caught:
            await sdk.messages.create(**CALL)
        assert (caught.value.status_code, caught.value.type) == (status, kind)
        assert caught.value.api_message == body.get("error", {}).get("message", body.get("detail"))


async def test_a_missing_model_is_a_404_of_the_dialect() -> None:
    async with served() as (sdk, _, _):
        with pytest.raises(anthropic.NotFoundError) as caught:
            await sdk.messages.create(**CALL | {"model": "claude-none"})
        assert caught.value.type == "not_found_error"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overloaded_provider_is_followed_by_the_next(stream: bool) -> None:
    overloaded = json_answer(error("overloaded_error", "Overloaded"), 529)
    if stream:
        overloaded = sse_answer(START, event("ping"), event("error", **error("overloaded_error", "Overloaded")))
    async with served(overloaded, sse_answer(*TEXT) if stream else json_answer(MESSAGE), **RETRIES) as (sdk, _, up):
        call = CALL | {"model": "m", "extra_body": {"model": ["m", "n"]}}
        if stream:
            async with sdk.messages.stream(**call) as events:
                message = await events.get_final_message()
            assert message.to_dict()["content"] == [{"type": "text", "text": "HelloHello"}]
        else:
            assert (await sdk.messages.create(**call)).to_dict() == MESSAGE
        assert [request.json["model"] for request in up.requests] == ["claude-up", "claude-spare"]


async def test_an_account_without_credit_is_followed_by_the_next() -> None:
    empty = error("invalid_request_error", "Your credit balance is too low to access the Anthropic API.")
    async with served(json_answer(empty, 400), json_answer(MESSAGE), **RETRIES) as (sdk, gw, _):
        await sdk.messages.create(**CALL, extra_body={"model": ["m", "n"]})
        assert (await gw.settled())["failures"] == ["up/m out_of_quota"]


async def test_without_another_candidate_the_error_is_one_of_the_dialect() -> None:
    async with served(json_answer(error("overloaded_error", "Overloaded"), 529)) as (sdk, _, _):
        with pytest.raises(anthropic.InternalServerError) as caught:
            await sdk.messages.create(**CALL)
        assert (caught.value.status_code, caught.value.type) == (502, "api_error")


async def test_a_wrong_key_is_not_tried_again() -> None:
    key = {"name": "alice", "hash": new_key()[1]}
    auth: dict[str, Any] = {"auth": {"mode": "keys", "keys": [key]}, "database": {"enabled": False}}
    async with served(retries=2, **auth) as (sdk, gw, up):
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await sdk.messages.create(**CALL)
        assert (caught.value.type, caught.value.response.headers["x-should-retry"]) == ("authentication_error", "false")
        assert (len(gw.exchanges), up.requests) == (1, [])


async def test_the_gateways_own_key_is_no_affair_of_the_client() -> None:
    refusal = json_answer(error("authentication_error", "invalid x-api-key: provider-key"), 401)
    async with served(refusal, retries=2) as (sdk, _, up):
        with pytest.raises(anthropic.InternalServerError) as caught:
            await sdk.messages.create(**CALL)
        assert (caught.value.status_code, caught.value.type) == (502, "api_error")
        assert "x-api-key" not in caught.value.message
        assert len(up.requests) == 1


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ([Chunk(event("error", **error("overloaded_error", "Overloaded"))), LastChunk()], "overloaded_error"),
        ([LastChunk()], "api_error"),
        ([Close()], "api_error"),
    ],
    ids=["the provider's error", "a clean end", "a closed connection"],
)
async def test_a_stream_that_fails_after_content_raises_once(rest: list[Any], kind: str) -> None:
    async with served([Headers(200, SSE_HEADERS), *map(Chunk, (START, OPEN, HELLO)), *rest], retries=2) as (
        sdk,
        gw,
        up,
    ):
        texts: list[str] = []
        with pytest.raises(anthropic.APIStatusError) as caught:
            async with sdk.messages.stream(**CALL) as stream:
                texts += [text async for text in stream.text_stream]
        assert (caught.value.type, len(up.requests)) == (kind, 1)
        assert (await gw.settled())["outcome"] == "broken"


# Silence


@pytest.fixture
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.05)


@pytest.mark.usefixtures("_quick_pings")
@pytest.mark.parametrize("before", [(), (START,), (START, OPEN, HELLO), tuple(TEXT[:5])], ids=len)
async def test_silence_is_filled_with_events_of_the_dialect(before: tuple[bytes, ...]) -> None:
    go = asyncio.Event()
    head = [Headers(200, SSE_HEADERS), *map(Chunk, before)] if before else []
    rest = [Headers(200, SSE_HEADERS)] if not before else []
    script = [*head, Wait(go), *rest, *map(Chunk, TEXT[len(before) :]), LastChunk()]
    async with served(script, server={"pingAfter": 0.05}) as (_, gw, _):
        client = await gw.client()
        await client.request("POST", "/v1/messages", json=CALL | {"stream": True})
        assert (await client.read_head()).status == 200
        seen = await _events_until_pinged(client)
        go.set()
        seen += await client.read_events()
        kept = [each for each in seen if each != PING and not each.startswith(b":")]
        assert (kept, seen.count(PING) >= 2) == ([*TEXT], True)


async def _events_until_pinged(client: RawClient) -> list[bytes]:
    seen: list[bytes] = []
    while seen.count(PING) < 2:
        seen.append(await within(client.read_event(), "a ping"))
    return seen


# Both versions of the package, as processes


@pytest.fixture(params=["0", "2"], scope="module")
def package(request: pytest.FixtureRequest) -> Iterator[Package]:
    package = Package(request.param, READER, anthropic_0() if request.param == "0" else None)
    yield package
    package.close()


@pytest.mark.usefixtures("_quick_pings")
@pytest.mark.parametrize("numbered", [False, True])
async def test_each_version_reads_a_stream_with_pings_and_the_routers_comment(package: Package, numbered: bool) -> None:
    go = asyncio.Event()
    events = [b"id: %d\n%b" % (number, each) for number, each in enumerate(TEXT)] if numbered else [*TEXT]
    script = [Headers(200, SSE_HEADERS), *map(Chunk, events[:3]), Wait(go), *map(Chunk, events[3:]), LastChunk()]
    async with served(script, server={"pingAfter": 0.05}) as (_, gw, up):
        reading = asyncio.ensure_future(package.read(gw.url, **{"x-router-metadata": "true"}))
        request = await up.request()
        await until(lambda: gw.bytes_sent > len(b"".join(events[:3])) + 2 * len(PING), "some pings to be sent")
        go.set()
        assert await reading == {"text": "HelloHello", "finish": "end_turn", "error": None, "tokens": [9, 5]}
        assert request.header("anthropic-version") == {"0": "2023-06-01", "2": "2026-10-21"}[package.version]
        assert request.header("x-api-key") == "provider-key"


async def test_each_version_raises_on_a_cut_stream(package: Package) -> None:
    async with served([Headers(200, SSE_HEADERS), *map(Chunk, TEXT[:4]), Close()]) as (_, gw, _):
        result = await package.read(gw.url)
        assert result["error"] in ("APIStatusError", "InternalServerError")
        assert result["text"] == "HelloHello"
