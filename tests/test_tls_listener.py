"""The gateway over TLS, as its clients see it: streams, slow clients, clients that leave, new certificates."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from tests.support import (
    Authority,
    Chunk,
    Headers,
    LastChunk,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.gateway import Gateway, Process, one_provider
from tests.support.secure import SecureClient

CHAT = "/v1/chat/completions"
HI: list[Any] = [{"role": "user", "content": "Hello there"}]
CALL = {"model": "m", "messages": HI}
STREAM = CALL | {"stream": True}
HSTS = "max-age=31536000"
MB = 1024 * 1024


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> dict[str, str]:
    chain, key = authority.server_files(tmp_path)
    return {"certFile": str(chain), "keyFile": str(key)}


@pytest.fixture
async def gw(up: Upstream, files: dict[str, str]) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, server={"tls": files, "maxBodyMb": 1})) as gw:
        yield gw
        # Whatever a test did: once its clients have left, nothing of them is left.
        for client in gw._clients:
            client.close()
        listener = gw.app.listeners.api
        await until(lambda: not listener.server.limiter.connections, f"every connection to be gone: {listener}")
        assert listener._tls_listener is not None
        assert not listener._tls_listener.handshakes
        assert not any("Traceback" in line or "exception" in line for line in gw.log_lines), gw.log_lines


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return authority.client_context()


async def connected(gw: Gateway, trusting: ssl.SSLContext, **options: Any) -> SecureClient:
    client = await SecureClient(gw.port, trusting, **options).connect()
    gw._clients.append(client)
    return client


def held_up(gw: Gateway) -> bool:
    """Whether a client reads slower than data arrives."""
    return any(connection.writing_paused for connection in gw.app.listeners.api.server.connections)


# -- streams --------------------------------------------------------------------------------------


async def test_the_openai_package_streams_over_tls(up: Upstream, gw: Gateway, trusting: ssl.SSLContext) -> None:
    up.on(lambda request: sse_answer(*chat_events("Hello", " wörld")))
    async with (
        DefaultAsyncHttpxClient(verify=trusting) as http,
        AsyncOpenAI(
            base_url=f"https://localhost:{gw.port}/v1", api_key="any", max_retries=0, timeout=10.0, http_client=http
        ) as client,
    ):
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(said) == "Hello wörld"
        up.on(lambda request: json_answer(completion("Hello")))
        plain = await client.chat.completions.create(model="m", messages=HI)
        assert plain.choices[0].message.content == "Hello"


async def test_each_event_is_sent_when_received(up: Upstream, gw: Gateway, trusting: ssl.SSLContext) -> None:
    events = chat_events("one", "two", "three")
    gates = [asyncio.Event() for _ in events]

    def script(request: Any) -> Any:
        yield Headers(200, SSE_HEADERS)
        for event, gate in zip(events, gates, strict=True):
            yield Chunk(event)
            yield Wait(gate)
        yield LastChunk()

    up.on(script)
    client = await connected(gw, trusting)
    await client.request("POST", CHAT, json=STREAM)
    gates[0].set()  # the role alone is held back until content comes
    assert (await client.read_head()).status == 200
    for event, gate in zip(events, gates, strict=True):
        assert await client.read_event() == event
        gate.set()
    assert await client.read_event() == b""


async def test_a_slow_client_pauses_the_provider_and_loses_nothing(
    up: Upstream, gw: Gateway, trusting: ssl.SSLContext
) -> None:
    event = chat_events("x" * 30_000)[1]
    count = 30 * MB // len(event)

    def script(request: Any) -> Any:
        yield Headers(200, SSE_HEADERS)
        for _ in range(count):
            yield Chunk(event)
        yield Chunk(DONE)
        yield LastChunk()

    up.on(script)
    client = await connected(gw, trusting, receive_buffer=64 * 1024)
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request(0)
    await until(lambda: held_up(gw), "the client to hold it up")
    [connection] = gw.app.listeners.api.server.connections
    assert connection.transport is not None
    assert connection.transport.get_write_buffer_size() < MB
    assert not request.answered.is_set()
    assert (await client.read_head()).status == 200
    digest, taken = hashlib.sha256(), 0
    while piece := await client.read_some():
        digest.update(piece)
        taken += len(piece)
        client.received.clear()
    assert taken == count * len(event) + len(DONE)
    assert digest.digest() == hashlib.sha256(event * count + DONE).digest()


@pytest.mark.parametrize("way", ["goodbye", "close", "reset", "half"])
@pytest.mark.parametrize("dawdles", [False, True], ids=["reading", "not reading"])
async def test_a_disconnect_cancels_the_upstream_stream(
    way: str, dawdles: bool, up: Upstream, gw: Gateway, trusting: ssl.SSLContext
) -> None:
    event = chat_events("x" * 30_000)[1]

    def script(request: Any) -> Any:
        yield Headers(200, SSE_HEADERS)
        for _ in range(1000 if dawdles else 1):
            yield Chunk(event)
        yield Stall()

    up.on(script)
    client = await connected(gw, trusting, receive_buffer=64 * 1024)
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request(0)
    if dawdles:
        await until(lambda: held_up(gw), "the client to hold it up")
    else:
        await client.read_head()
        assert await client.read_event() == event
    match way:
        case "goodbye":
            await client.say_goodbye()
        case "close":
            client.close()
        case "reset":
            client.reset()
        case "half":
            client.half_close()
    await within(request.connection.gone.wait(), "the provider to be left")
    assert (await gw.settled())["outcome"] == "client_gone"


# -- other answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_a_large_response_reaches_a_slow_client_completely(
    connection: str, up: Upstream, gw: Gateway, trusting: ssl.SSLContext
) -> None:
    text = "x" * (12 * MB)
    up.on(lambda request: json_answer(completion(text)))
    client = await connected(gw, trusting, receive_buffer=64 * 1024)
    await client.request("POST", CHAT, headers=[("Connection", connection)], json=CALL)
    await until(lambda: held_up(gw), "the client to hold it up")
    assert gw.exchanges == []  # it is not settled before it is taken
    answer = await client.read_answer()
    assert answer.json["choices"][0]["message"]["content"] == text
    assert (await gw.settled())["outcome"] == "ok"
    if connection == "close":
        assert await client.eof() == b""
        assert not client.truncated


async def test_a_stalled_client_is_disconnected(up: Upstream, files: dict[str, str], trusting: ssl.SSLContext) -> None:
    up.on(lambda request: json_answer(completion("x" * (12 * MB))))
    config = one_provider(up, server={"tls": files}, timeouts={"clientStall": 0.2})
    async with Gateway(config) as gw:
        client = await connected(gw, trusting, receive_buffer=64 * 1024)
        await client.request("POST", CHAT, json=CALL)
        line = await gw.settled()
        assert (line["outcome"], line["error"]) == ("client_gone", "timeout_clientStall")


async def test_an_oversized_body_is_rejected_and_the_response_is_readable(
    gw: Gateway, trusting: ssl.SSLContext
) -> None:
    client = await connected(gw, trusting)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {50 * MB}\r\n\r\n"
    await client.send(head.encode() + bytes(MB))
    answer = await client.read_answer()
    assert answer.status == 413
    assert await client.eof() == b""
    assert not client.truncated


async def test_expect_100_continue_is_answered(gw: Gateway, trusting: ssl.SSLContext) -> None:
    client = await connected(gw, trusting)
    body = b'{"model":"m","messages":[]}'
    await client.send(
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        % (CHAT.encode(), len(body))
    )
    assert (await client.read_head()).status == 100
    await client.send(body)
    assert (await client.read_answer()).status == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", CHAT, 200),
        ("GET", "/health", 200),
        ("GET", "/v1/nowhere", 404),
        ("GET", CHAT, 405),
        ("GET", "/v1/models", 200),
    ],
)
async def test_every_response_over_tls_has_strict_transport_security(
    method: str, target: str, status: int, gw: Gateway, trusting: ssl.SSLContext
) -> None:
    client = await connected(gw, trusting)
    answer = await client.fetch(method, target, json=CALL if method == "POST" else None)
    assert answer.status == status
    assert answer.header("strict-transport-security") == HSTS
    assert answer.header("x-content-type-options") == "nosniff"


async def test_a_stream_over_tls_has_strict_transport_security(
    up: Upstream, gw: Gateway, trusting: ssl.SSLContext
) -> None:
    up.on(lambda request: sse_answer(*chat_events("Hello")))
    client = await connected(gw, trusting)
    await client.request("POST", CHAT, json=STREAM)
    assert (await client.read_head()).header("strict-transport-security") == HSTS


async def test_responses_without_tls_have_no_strict_transport_security(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        assert answer.header("strict-transport-security") is None


async def test_a_plain_http_origin_is_rejected_over_tls(gw: Gateway, trusting: ssl.SSLContext) -> None:
    """An attacker on the network may have served it."""
    client = await connected(gw, trusting)
    host = f"localhost:{gw.port}"
    for origin, status in ((f"https://{host}", 200), (f"http://{host}", 403)):
        answer = await client.fetch("POST", CHAT, headers=[("Host", host), ("Origin", origin)], json=CALL)
        assert answer.status == status


# -- the rest of it -------------------------------------------------------------------------------


async def test_new_certificates_interrupt_no_stream(
    up: Upstream, gw: Gateway, authority: Authority, tmp_path: Path, trusting: ssl.SSLContext
) -> None:
    go = asyncio.Event()
    first, *rest = sse_answer(*chat_events("Hello", " world"))
    up.on(lambda request: [first, *rest[:2], Wait(go), *rest[2:]])
    client = await connected(gw, trusting)
    await client.request("POST", CHAT, json=STREAM)
    await client.read_head()
    events = [await client.read_event(), await client.read_event()]
    authority.server_files(tmp_path)
    gw.app.listeners.api.reload_certificates()
    fresh = await connected(gw, trusting)
    assert fresh.tls.getpeercert() != client.tls.getpeercert()
    go.set()
    assert events + await client.read_events() == chat_events("Hello", " world")


async def test_sighup_reloads_certificates(
    up: Upstream, files: dict[str, str], authority: Authority, tmp_path: Path, trusting: ssl.SSLContext
) -> None:
    async def shown() -> Any:
        async with SecureClient(gw.port, trusting) as client:
            return client.tls.getpeercert()

    path = tmp_path / "config.yaml"
    path.write_bytes(msgspec.yaml.encode(one_provider(up, server={"tls": files})))
    args = ["serve", "--config", str(path), "--port", "0"]
    async with Process(args) as gw, SecureClient(gw.port, trusting) as kept:
        assert any(f"https://127.0.0.1:{gw.port}" in line for line in gw.lines)
        first = kept.tls.getpeercert()
        authority.server_files(tmp_path)
        gw.signal(signal.SIGHUP)
        await until(lambda: any("was loaded again" in line for line in gw.lines), "it to say that it has loaded")
        second = await shown()
        assert second != first
        (tmp_path / "server.key").write_text("")
        gw.signal(signal.SIGHUP)
        await until(lambda: any("server.tls: " in line for line in gw.lines), "it to say that it cannot")
        assert await shown() == second
        up.on(lambda request: json_answer(completion("Hello")))
        assert (await kept.fetch("POST", CHAT, json=CALL)).status == 200


async def test_rejected_connections_are_counted_by_reason(
    up: Upstream, files: dict[str, str], trusting: ssl.SSLContext
) -> None:
    async with Gateway(one_provider(up, server={"tls": files, "maxConnections": 2})) as gw:
        client = await connected(gw, trusting)
        plain = await gw.client()
        await plain.request("GET", "/health")
        assert (await plain.read_answer()).status == 400
        await connected(gw, trusting)
        with pytest.raises(ConnectionError):
            await connected(gw, trusting)
        page = await client.fetch("GET", "/metrics")
        assert b'{reason="plain_on_tls_port"} 1' in page.body
        assert b'{reason="too_many_connections"} 1' in page.body


async def test_streams_of_many_clients_do_not_mix(up: Upstream, gw: Gateway, trusting: ssl.SSLContext) -> None:
    """They share one buffer to read into."""
    up.on(lambda request: sse_answer(*chat_events(*[request.json["user"]] * 20)))

    async def one(name: str) -> None:
        client = await connected(gw, trusting)
        for _ in range(3):
            await client.request("POST", CHAT, json=STREAM | {"user": name, "padding": name * 5000})
            await client.read_head()
            assert await client.read_events() == chat_events(*[name] * 20)

    await within(asyncio.gather(*(one(f"client-{number}") for number in range(20))), "60 streams")
