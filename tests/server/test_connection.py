"""The client's socket: protocol errors, clocks, keep-alive, pipelining, old and foreign protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from proxy.server.connection import Connection
from tests.support import (
    Chunk,
    Close,
    Headers,
    RawClient,
    Upstream,
    chat_events,
    completion,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.clock import LoopClock
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
BODY = b'{"model":"m","messages":[]}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 27\r\n\r\n" + BODY
SHORT = {"headerTimeoutSecs": 0.1}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up)) as gw:
        yield gw


# -- protocol errors ------------------------------------------------------------------------------

SECRET = b"sk-never-repeat-this"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + SECRET + b" HTTP/9.9\r\n\r\n",
        SECRET + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX " + SECRET + b": y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + SECRET + b"\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: " + SECRET + b"\r\n\r\n",
        b"GET /" + SECRET * 4000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + SECRET * 4000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: " + SECRET + b".example\r\n\r\n",
        b"GET /../" + SECRET + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: "
        + SECRET
        + b"\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_a_protocol_error_is_an_openai_error_that_repeats_no_byte_of_the_request(
    raw: bytes, gw: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    client = await gw.client()
    await client.send(raw)
    answer = await client.read_answer()
    assert 400 <= answer.status < 500 or answer.status == 501
    assert answer.header("content-type") == "application/json"
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert SECRET not in client.received
    assert SECRET.decode() not in "\n".join(gw.log_lines)
    assert SECRET.decode() not in caplog.text


async def test_what_never_became_a_request_is_counted(gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"no HTTP\r\n\r\n")
    await client.read_answer()
    assert await client.eof() == b""
    page = await (await gw.client()).fetch("GET", "/metrics")
    assert b'"malformed_request"} 1' in page.body


@pytest.mark.parametrize("name", [b"X", b"X-" + b"a" * 40_000], ids=["value", "name"])
async def test_a_header_field_that_is_too_long_is_a_431(name: bytes, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + name + b": " + b"a" * 40_000 + b"\r\n\r\n")
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (431, "headers_too_large")
    assert await client.eof() == b""


async def test_a_head_of_many_megabytes_is_refused_long_before_its_end(gw: Gateway) -> None:
    """The client gets to read why: closing with its bytes unread would reset the connection under our answer."""
    client = await gw.client()
    await client.send(b"GET /" + b"a" * 8_000_000)
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (431, "headers_too_large")
    assert await client.eof() == b""


async def test_too_many_header_fields_are_refused(gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 500 + b"\r\n")
    assert (await client.read_answer()).status == 400
    assert await client.eof() == b""


# -- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: y\r\n"], ids=len
)
async def test_a_head_that_does_not_end_is_answered_with_408(begun: bytes, up: Upstream) -> None:
    async with Gateway(one_provider(up, server=SHORT)) as gw:
        client = await gw.client()
        await client.send(begun)
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (408, "head_timeout")
        assert answer.header("connection") == "close"
        assert await client.eof() == b""


async def test_trickling_bytes_do_not_prolong_a_head(up: Upstream) -> None:
    async with Gateway(one_provider(up, server=SHORT)) as gw:
        client = await gw.client()

        async def trickle() -> None:
            await client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
            while True:
                await client.send(b"y")
                await asyncio.sleep(0.02)

        trickling = asyncio.ensure_future(trickle())
        try:
            assert (await client.read_answer()).status == 408
        finally:
            trickling.cancel()
            await asyncio.gather(trickling, return_exceptions=True)


async def test_a_slow_head_on_a_kept_connection_is_timed_too(up: Upstream) -> None:
    async with Gateway(one_provider(up, server=SHORT)) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/v1/models")).status == 200
        await client.send(b"GET /v1/models HTTP/1.1\r\n")
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (408, "head_timeout")


async def test_a_head_that_began_in_time_is_not_cut_off_by_the_idle_clock(up: Upstream) -> None:
    async with Gateway(one_provider(up, server={"headerTimeoutSecs": 0.4, "keepAliveSecs": 0.1})) as gw:
        client = await gw.client()
        await client.send(b"GET /v1/models HTTP/1.1\r\n")
        answer = await client.read_answer()
        assert answer.status == 408


async def test_an_idle_connection_is_closed_without_a_word(up: Upstream) -> None:
    clock = LoopClock()
    async with Gateway(one_provider(up, server={"keepAliveSecs": 0.1})) as gw:
        fresh, used = await gw.client(), await gw.client()
        assert (await used.fetch("GET", "/v1/models")).status == 200
        await clock.advance(0.2)
        assert await used.eof() == b""
        assert await fresh.eof() == b""
        assert not fresh.received


async def test_a_head_in_two_parts_is_taken_and_its_clock_stopped(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await client.send(POST[:20])
        [connection] = gw.app.listeners.api.server.connections
        assert isinstance(connection, Connection)
        await until(lambda: connection.head_clock, "the clock to be started")
        clock = cast(asyncio.TimerHandle, connection.head_clock)
        await client.send(POST[20:])
        assert (await client.read_answer()).status == 200
        assert clock.cancelled()
        assert connection.head_clock is None
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200


# -- other protocols ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9"])
async def test_a_request_line_of_another_version_is_refused(version: bytes, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(POST.replace(b"HTTP/1.1", version))
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (505, "http_version")
    assert await client.eof() == b""


@pytest.mark.parametrize("target", ["example.com:443", "127.0.0.1:80", "[::1]:443"])
async def test_connect_is_refused_with_405(target: str, gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("CONNECT", target, headers=[("Host", target)])
    assert (answer.status, answer.json["error"]["code"]) == (405, "method_not_allowed")
    assert answer.header("allow") is not None
    assert await client.eof() == b""


WEBSOCKET = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "WebSocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


@pytest.mark.parametrize("path", ["/v1/responses", "/api/v1/responses?x=y", "/proxy/up/responses", "/v1/responses/"])
async def test_a_websocket_upgrade_on_responses_gets_426_with_upgrade(path: str, up: Upstream, gw: Gateway) -> None:
    """Codex tries again for 8 s after any other refusal, and falls back to HTTP at once after this one."""
    client = await gw.client()
    answer = await client.fetch("GET", path, headers=WEBSOCKET)
    assert (answer.status, answer.json["error"]["code"]) == (426, "no_websocket")
    assert answer.header("upgrade") == "HTTP/1.1"
    connection = [value for name, value in answer.head.headers if name == "connection"]
    assert connection == ["Upgrade", "close"]
    assert await client.eof() == b""
    assert up.connections == []


@pytest.mark.parametrize("path", ["/v1/realtime?model=m", "/v1/chat/completions", "/proxy/up/realtime"])
async def test_a_websocket_upgrade_is_refused_with_501(path: str, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.request("GET", path, headers=WEBSOCKET)
    await client.send(b"\x81\x05hello")  # a client that does not wait for our answer
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (501, "no_websocket")
    assert answer.header("connection") == "close"
    assert await client.eof() == b""
    assert up.connections == []


async def test_another_upgrade_is_not_taken_and_the_request_answered(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    upgrade = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAoAAA")]
    answer = await client.fetch("POST", CHAT, headers=upgrade, json=CALL)
    assert answer.status == 200
    request = await up.request()
    assert request.header("upgrade") is None
    assert request.header("http2-settings") is None


async def test_tls_on_the_plain_port_is_told_apart(gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200)
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (400, "tls_on_plain_port")


# -- HTTP/1.0 -------------------------------------------------------------------------------------

OLD = b"POST /v1/chat/completions HTTP/1.0\r\nHost: 127.0.0.1\r\n"
STREAM = b'{"model":"m","messages":[],"stream":true}'


def old(body: bytes, lines: bytes = b"") -> bytes:
    return OLD + lines + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("lines", [b"", b"Connection: keep-alive\r\n"])
async def test_an_http_1_0_client_gets_a_stream_that_ends_with_the_connection(
    lines: bytes, up: Upstream, gw: Gateway
) -> None:
    events = chat_events("Hello", " world")
    up.queue(sse_answer(*events))
    client = await gw.client()
    await client.send(old(STREAM, lines))
    head = await client.read_head()
    assert head.status == 200
    assert head.header("transfer-encoding") is None
    assert head.header("content-length") is None
    assert head.header("connection") == "close"
    assert await client.read_events() == events


async def test_a_cut_of_such_a_stream_is_told_in_band(up: Upstream, gw: Gateway) -> None:
    up.queue([Headers(200, SSE_HEADERS), Chunk(b"".join(chat_events("Hello")[:2])), Close()])
    client = await gw.client()
    await client.send(old(STREAM))
    await client.read_head()
    body = await client.read_body()
    assert b'"error"' in body
    assert b"[DONE]" not in body


async def test_an_http_1_0_client_may_keep_its_connection_for_answers_of_known_length(gw: Gateway) -> None:
    client = await gw.client()
    for _ in range(2):
        await client.send(old(BODY, b"Connection: keep-alive\r\n"))
        answer = await client.read_answer()
        assert (answer.status, answer.header("connection")) == (200, "keep-alive")
    await client.send(old(BODY))
    answer = await client.read_answer()
    assert (answer.status, answer.header("connection")) == (200, "close")
    assert await client.eof() == b""


async def test_an_http_1_0_client_is_sent_no_interim_answer(gw: Gateway) -> None:
    client = await gw.client()
    await client.send(old(BODY, b"Expect: 100-continue\r\n"))
    assert (await client.read_head()).status == 200


# -- the end of a connection ----------------------------------------------------------------------


async def test_connections_leave_nothing_behind(up: Upstream, gw: Gateway) -> None:
    server = gw.app.listeners.api.server
    for raw in (POST, b"BROKEN\r\n\r\n", b"GET /v1/models HT", POST[:-5], b""):
        async with RawClient(gw.port) as client:
            await client.send(raw)
            if raw in (POST, b"BROKEN\r\n\r\n"):
                await client.read_answer()
    await until(lambda: not server.connections, "the connections to be forgotten")
    assert gw.app.serving is not None
    await until(lambda: not gw.app.serving._running, "the requests to be settled")  # type: ignore[union-attr]


async def test_a_failure_of_our_own_is_a_500_without_its_reason(up: Upstream, gw: Gateway) -> None:
    assert gw.app.gateway is not None
    gw.app.gateway._dispatch = lambda *_: 1 / 0  # type: ignore[assignment, method-assign, return-value]
    client = await gw.client()
    answer = await client.fetch("POST", CHAT, json=CALL)
    assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
    assert b"division" not in answer.body
    assert any("ZeroDivisionError" in line for line in gw.log_lines)
    assert (await gw.settled())["status"] == 500


async def test_streams_of_many_clients_do_not_mix(up: Upstream, gw: Gateway) -> None:
    up.on(lambda request: sse_answer(*chat_events(*[request.json["user"]] * 20)))

    async def one(name: str) -> None:
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL | {"stream": True, "user": name})
        await client.read_head()
        assert await client.read_events() == chat_events(*[name] * 20)

    await within(asyncio.gather(*(one(f"client-{number}") for number in range(30))), "30 streams")
