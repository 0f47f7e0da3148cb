"""Headers that the gateway forwards, generates and drops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import (
    Close,
    Headers,
    RawClient,
    Send,
    Upstream,
    answered_by,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    unspliced,
)
from tests.support.answers import compact
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PASSTHROUGH = {"passthrough": ["GET /raw", "POST /raw"]}
SECRETS = {
    "Authorization": "Bearer sk-client",
    "Cookie": "session=sk-client",
    "Cookie2": "sk-client",
    "X-Api-Key": "sk-client",
    "Api-Key": "sk-client",
    "X-Goog-Api-Key": "sk-client",
    "Proxy-Authorization": "Basic sk-client",
    "X-Auth-Token": "sk-client",
    "X-Amz-Security-Token": "sk-client",
    "OpenAI-Organization": "sk-client",
    "OpenAI-Project": "sk-client",
}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion()))
        yield upstream


async def ask(client: RawClient, headers: dict[str, str], target: str = CHAT, **members: Any) -> Any:
    return await client.fetch("POST", target, headers=list(headers.items()), json=CALL | members)


# To the provider


async def test_a_json_call_arrives_with_exactly_these_headers(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        await ask(
            await gw.client(),
            {"X-Request-Id": "r-1", "User-Agent": "curl", "Accept-Encoding": "gzip, br", "X-Custom": "x"},
        )
        request = await up.request()
        expected = {
            "host": f"127.0.0.1:{up.port}",
            "user-agent": request.header("user-agent"),
            "accept-encoding": "identity",
            "authorization": "Bearer secret-key",
            "content-type": "application/json",
            "via": f"1.1 {gw.app._pseudonym}",
            "x-request-id": "r-1",
            "content-length": str(len(request.body)),
        }
        assert {name.lower(): value for name, value in request.headers} == expected
        assert len(request.headers) == len(expected)
        assert (request.header("user-agent") or "").startswith("sluice/")


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", None]
)
async def test_a_json_call_is_sent_as_json_under_any_content_type(up: Upstream, kind: str | None) -> None:
    # `curl -d` says that it sends a form.
    headers = [("Content-Type", kind)] if kind else []
    async with Gateway(one_provider(up)) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, headers=headers, body=compact(CALL))
        assert answer.status == 200
        assert (await up.request()).header("content-type") == "application/json"


async def test_a_form_keeps_its_content_type(up: Upstream) -> None:
    kind = 'multipart/form-data; boundary="b"'
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
    async with Gateway(one_provider(up)) as gw:
        await (await gw.client()).fetch("POST", "/v1/audio/transcriptions", headers=[("Content-Type", kind)], body=form)
        assert (await up.request()).header("content-type") == kind


async def test_allowed_headers_keep_their_spelling(up: Upstream) -> None:
    allowed = {
        "Accept": "text/event-stream", "accept-language": "de", "Content-Language": "en", "OpenAI-Beta": "assistants=v2",
        "anthropic-version": "2023-06-01", "Anthropic-Beta": "x", "X-Stainless-Lang": "python", "x-stainless-retry-count": "0",
        "HTTP-Referer": "https://app.example", "X-Title": "App", "Idempotency-Key": "i-1", "traceparent": "00-1-2-01", "tracestate": "a=b",
    }  # fmt: skip
    async with Gateway(one_provider(up)) as gw:
        await ask(await gw.client(), allowed)
        request = await up.request()
        assert allowed.items() <= dict(request.headers).items()


@pytest.mark.parametrize("target", [CHAT, "/proxy/up/chat/completions", "/proxy/up/raw/any"])
@pytest.mark.parametrize("forward", [[], ["X-Custom"]])
async def test_no_credential_of_the_client_reaches_the_provider(up: Upstream, target: str, forward: list[str]) -> None:
    query = "?api_key=sk-client&a=1&%6Bey=sk-client&token=sk-client&b=%2F"
    async with Gateway(one_provider(up, provider=PASSTHROUGH | {"forwardHeaders": forward})) as gw:
        answer = await ask(
            await gw.client(), SECRETS | {"Connection": "keep-alive, X-Title", "X-Title": "sk-client"}, target + query
        )
        assert answer.status == 200
        request = await up.request()
        assert b"sk-client" not in request.raw_head
        assert request.target.endswith("?a=1&b=%2F")
        assert request.header("authorization") == "Bearer secret-key"


async def test_configured_headers_are_sent_once_and_forwarded_headers_unchanged(up: Upstream) -> None:
    provider = {"headers": {"X-Title": "ours", "X-Org": "acme"}, "forwardHeaders": ["X-Tenant"]}
    async with Gateway(one_provider(up, provider=provider)) as gw:
        await ask(await gw.client(), {"X-Title": "theirs", "X-Org": "theirs", "X-Tenant": "t-1", "X-Other": "o"})
        request = await up.request()
        assert (request.header("x-title"), request.header("x-org"), request.header("x-tenant")) == (
            "ours",
            "acme",
            "t-1",
        )
        assert request.header("x-other") is None


async def test_passthrough_forwards_an_allow_list(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider=PASSTHROUGH | {"forwardHeaders": ["X-Named"]})) as gw:
        sent = {"X-Custom": "x", "Content-Type": "text/odd", "X-Forwarded-For": "10.0.0.7", "X-Named": "n"}
        await ask(await gw.client(), sent | {"Range": "bytes=0-9", "OpenAI-Beta": "b=v2"}, "/proxy/up/raw")
        request = await up.request()
        assert request.header("x-custom") is None
        assert request.header("x-forwarded-for") is None
        for name, value in (
            ("content-type", "text/odd"),
            ("x-named", "n"),
            ("range", "bytes=0-9"),
            ("openai-beta", "b=v2"),
        ):
            assert request.header(name) == value


async def test_passthrough_rejects_a_query_that_overrides_the_method(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider=PASSTHROUGH)) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", "/proxy/up/raw?_method=DELETE", body=b"")
        assert (answer.status, answer.json["error"]["code"]) == (400, "method_in_query")
        assert up.requests == []


# To the client


HIDDEN = {
    "Set-Cookie": "__cf_bm=secret", "openai-organization": "acme", "openai-project": "proj_1", "x-ratelimit-remaining-tokens": "5",
    "anthropic-ratelimit-requests-limit": "5", "CF-RAY": "1", "x-request-id": "theirs", "x-router-model": "theirs", "Alt-Svc": "h3",
    "Strict-Transport-Security": "max-age=1", "Access-Control-Allow-Origin": "*", "X-Accel-Redirect": "/etc/passwd",
    "Keep-Alive": "timeout=5", "X-Hop": "named in Connection", "Connection": "keep-alive, X-Hop", "X-Content-Type-Options": "theirs",
}  # fmt: skip
SHOWN = {
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "Retry-After": "3",
    "X-New": "1",
    "Server": "provider",
}


@pytest.mark.parametrize("kind", ["stream", "json", "error", "passthrough"])
async def test_headers_about_the_provider_account_are_not_relayed(up: Upstream, kind: str) -> None:
    headers = [*HIDDEN.items(), *SHOWN.items()]
    async with Gateway(one_provider(up, provider=PASSTHROUGH)) as gw:
        up.queue(
            sse_answer(*chat_events("Hi"), headers=headers)
            if kind == "stream"
            else json_answer(
                error_json() if kind == "error" else completion(), 422 if kind == "error" else 200, headers
            )
        )
        target = "/proxy/up/raw" if kind == "passthrough" else CHAT
        answer = await ask(await gw.client(), {"X-Request-Id": "mine"}, target, stream=kind == "stream")
        for name, value in HIDDEN.items():
            shown = kind == "passthrough" and "ratelimit" in name
            assert ((name.lower(), value) in answer.head.headers) == shown, name
        for name, value in SHOWN.items():
            assert answer.header(name) == value
        assert answer.header("set-cookie") is None
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("x-request-id") == "mine"


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_only_retry_after_of_an_unrelayed_failure_is_forwarded(up: Upstream, status: int) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(json_answer(error_json(), status, [*HIDDEN.items(), *SHOWN.items()]))
        answer = await ask(await gw.client(), {"X-Request-Id": "mine"})
        given = {*HIDDEN.items(), *SHOWN.items()} - {("Retry-After", "3")}
        assert not {(name.lower(), value) for name, value in given} & {*answer.head.headers}
        assert answer.header("retry-after") == (None if status == 401 else "3")
        assert answer.header("set-cookie") is None
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("x-request-id") == "mine"


async def test_event_streams_disable_proxy_buffering(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider=PASSTHROUGH)) as gw:
        client = await gw.client()
        for target in (CHAT, "/proxy/up/raw"):
            up.queue(
                sse_answer(*chat_events("Hi"), headers=[("Cache-Control", "max-age=60"), ("X-Accel-Buffering", "yes")])
            )
            answer = await ask(client, {}, target, stream=True)
            assert answer.header("cache-control") == "no-cache, no-transform"
            assert answer.header("x-accel-buffering") == "no"
            assert answer.header("content-type") == "text/event-stream"
            assert answer.header("content-security-policy") is None


@pytest.mark.parametrize(
    ("target", "kind", "body", "sandboxed"),
    [
        (CHAT, "application/json", compact(completion()), False),
        (CHAT, "application/problem+json; charset=utf-8", compact(completion()), False),
        (CHAT, "text/html", compact({"text": "<script>alert(1)</script>"}), True),
        (CHAT, "text/html; x=application/json", compact({"text": "<script>alert(1)</script>"}), True),
        ("/v1/audio/speech", "audio/mpeg", b"ID3", True),
        ("/v1/audio/speech", "image/svg+xml", b"<svg onload='x'/>", True),
        ("/proxy/up/raw", "text/html", b"<script>alert(1)</script>", True),
        ("/proxy/up/raw", "application/json", b"[1", False),
    ],
)
async def test_relayed_content_is_sandboxed(up: Upstream, target: str, kind: str, body: bytes, sandboxed: bool) -> None:
    async with Gateway(one_provider(up, provider=PASSTHROUGH)) as gw:
        up.queue([Headers(200, [("Content-Type", kind), ("Content-Length", str(len(body))),
                                ("Content-Security-Policy", "script-src *")]), Send(body)])  # fmt: skip
        answer = await ask(await gw.client(), {}, target, input="x", voice="y")
        assert answer.status == 200
        assert (unspliced(answer.body) if target == CHAT else (answer.body, answered_by())) == (body, answered_by())
        assert answer.header("content-type") == kind
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("content-security-policy") == ("sandbox" if sandboxed else None)


async def test_a_response_without_a_content_type_is_sandboxed(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider=PASSTHROUGH)) as gw:
        up.queue([Headers(200, [("Content-Length", "3")]), Send(b"<b>")])
        answer = await (await gw.client()).fetch("GET", "/proxy/up/raw")
        assert (answer.body, answer.header("content-security-policy")) == (b"<b>", "sandbox")


# The gateway's own


async def test_every_response_names_provider_model_and_attempts(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider=PASSTHROUGH)) as gw:
        client = await gw.client()
        up.queue(
            json_answer(completion()), json_answer(error_json(), 500), json_answer({}, 422), [Headers(200), Close()]
        )
        up.queue(sse_answer(*chat_events("Hi")), sse_answer(b"data: [DONE]\n\n"), json_answer({}), json_answer({}, 401))
        for number in range(8):
            if number == 6:
                answer = await client.fetch("GET", "/proxy/up/raw")
                assert (answer.header("x-router-provider"), answer.header("x-router-attempts")) == ("up", "1")
                continue
            answer = await ask(client, {}, stream=number in (4, 5))
            assert answer.status == (200, 502, 422, 502, 200, 502, 200, 502)[number]
            assert [answer.header(f"x-router-{name}") for name in ("provider", "model", "attempts")] == ["up", "m", "1"]


async def test_a_rejected_request_names_no_provider(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        for answer in (
            await ask(client, {}, model="nobody/none"),
            await client.fetch("GET", "/v1/nothing"),
            await client.fetch("GET", "/v1/models"),
        ):
            assert answer.header("x-router-provider") is None
            assert answer.header("x-router-attempts") == "0"
            assert answer.header("x-request-id")


async def test_names_in_response_headers_are_ascii_and_bounded(up: Upstream) -> None:
    name = "größe:\u65e5\u672c " + "x" * 150
    models = [{"name": name, "provider": "up", "model": "up-model"}]
    async with Gateway(one_provider(up) | {"models": models}) as gw:
        answer = await ask(await gw.client(), {}, model=name)
        value = answer.header("x-router-model") or ""
        assert value.startswith("gr%C3%B6%C3%9Fe:%E6%97%A5")
        assert value.isascii()
        assert len(value) <= 2048


@pytest.mark.parametrize("given", ["r-1", "A.b_c-9", "x" * 128])
async def test_a_valid_request_id_is_forwarded_echoed_and_logged(up: Upstream, given: str) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await ask(await gw.client(), {"X-Request-ID": given})
        assert answer.header("x-request-id") == given
        assert (await up.request()).header("x-request-id") == given
        assert (await gw.settled())["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "größe", "a;b", "a,b", "a\tb"])
async def test_an_invalid_request_id_is_replaced_by_a_generated_one(up: Upstream, given: str | None) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        headers = {} if given is None else {"X-Request-ID": given}
        first, second = await ask(client, headers), await ask(client, headers)
        ids = [answer.header("x-request-id") for answer in (first, second)]
        assert ids[0] != ids[1]
        assert [(await up.request(number)).header("x-request-id") for number in (0, 1)] == ids
        assert all(one and one != given and one.isalnum() for one in ids)


async def test_gateway_errors_have_the_request_id_too(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, headers=[("X-Request-ID", "r-9")], body=b"{")
        assert (answer.status, answer.header("x-request-id")) == (400, "r-9")
