from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from tests.support import (
    Authority,
    Chunk,
    Close,
    HalfClose,
    Headers,
    LastChunk,
    PauseReading,
    RawClient,
    Reset,
    ResumeReading,
    Send,
    Signal,
    Stall,
    Tunnel,
    Upstream,
    Wait,
    chat_events,
    completion,
    json_answer,
    sse_answer,
    until,
    within,
)


async def test_a_request_is_recorded_completely() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.on(lambda request: json_answer(completion()))
        await client.request("POST", "/v1/x?q=1", [("X-One", "a"), ("x-one", "b")], json={"model": "m"})
        request = await up.request()
        assert (request.method, request.target, request.json) == ("POST", "/v1/x?q=1", {"model": "m"})
        assert request.header_values("X-ONE") == ["a", "b"]
        assert request.connection.received == request.raw_head + request.body
        assert (await client.read_answer()).json == completion()


async def test_chunks_of_a_request_body_are_recorded_separately() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.on(lambda request: json_answer({}))
        await client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")
        assert (await up.request()).chunks == [b"abc", b"d"]


async def test_requests_of_one_connection_are_answered_in_order() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.queue(json_answer(1), json_answer(2))
        assert (await client.fetch("GET", "/a")).json == 1
        assert (await client.fetch("GET", "/b")).json == 2
        assert [request.connection.number for request in up] == [0, 0]
        assert [request.target for request in up] == ["/a", "/b"]


async def test_a_script_can_wait_between_two_writes() -> None:
    go = asyncio.Event()
    async with Upstream() as up, RawClient(up.port) as client:
        up.queue(
            [
                Headers(200, [("Transfer-Encoding", "chunked")]),
                Chunk(b"one"),
                Wait(go),
                Chunk(b"two"),
                LastChunk(),
            ]
        )
        await client.request("GET", "/")
        await client.read_head()
        assert await client.read_chunk() == b"one"
        assert client.received.endswith(b"one\r\n")
        go.set()
        assert await client.read_chunk() == b"two"
        assert await client.read_chunk() == b""


async def test_each_event_is_sent_in_its_own_chunk() -> None:
    events = chat_events("Hello", " world")
    async with Upstream() as up, RawClient(up.port) as client:
        up.queue(sse_answer(*events))
        await client.request("GET", "/")
        await client.read_head()
        assert [await client.read_chunk() for _ in range(len(events) + 1)] == [*events, b""]


async def test_close_delivers_what_was_written_before() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.queue([Headers(200), b"x" * 300_000, Close()])
        assert len((await client.fetch("GET", "/")).body) == 300_000


async def test_half_close_ends_the_response_and_keeps_the_connection_open() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.queue([Headers(200), b"end", HalfClose(), Stall()])
        assert (await client.fetch("GET", "/")).body == b"end"
        assert not up.requests[0].gone.is_set()
        client.close()
        await within(up.requests[0].gone.wait(), "the client's close to be seen")


async def test_reset_is_seen_as_a_reset() -> None:
    async with Upstream() as up:
        up.queue([Reset()])
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await within(reader.read(), "the reset")
        writer.close()


@pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset, RawClient.half_close])
async def test_a_disconnect_is_noticed_within_a_stalled_script(leave) -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.queue([Headers(200), Stall()])
        await client.request("GET", "/")
        await client.read_head()
        request = up.requests[0]
        assert not request.gone.is_set()
        leave(client)
        await within(request.gone.wait(), "the leave to be noticed")


async def test_a_half_closed_peer_can_still_get_a_response() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        go = asyncio.Event()
        up.queue([Wait(go), *json_answer("late")])
        await client.request("GET", "/")
        client.half_close()
        await within((await up.request()).gone.wait(), "the half close")
        go.set()
        assert (await client.read_answer()).json == "late"


async def test_a_peer_that_does_not_read_pauses_the_script() -> None:
    later = asyncio.Event()
    async with Upstream() as up, RawClient(up.port, receive_buffer=4096) as client:
        up.queue([Headers(200, [("Content-Length", "20000000")]), b"x" * 20_000_000, Signal(later)])
        await client.request("GET", "/")
        await client.read_head()
        assert up.connections[0].unsent > 0
        assert not later.is_set()
        assert len(await client.read_body()) == 20_000_000
        await within(later.wait(), "the script to go on")


async def test_an_early_script_runs_during_the_upload() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.on_head(lambda request: json_answer({"early": True}, 413))
        await client.send(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
        assert (await client.read_answer()).status == 413
        request = await up.head(0)
        assert not request.complete.is_set()
        await client.send(b"cde")
        await within(request.complete.wait(), "the rest of the body")
        assert request.body == b"abcde"


async def test_a_script_can_stop_reading_an_upload() -> None:
    more, paused = asyncio.Event(), asyncio.Event()
    async with Upstream() as up, RawClient(up.port) as client:
        up.on_head(lambda request: [PauseReading(), Signal(paused), Wait(more), ResumeReading(), *json_answer({})])
        await client.send(b"POST / HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n")
        await within(paused.wait(), "the pause")
        upload = asyncio.ensure_future(client.send(b"x" * 20_000_000))
        done, _ = await asyncio.wait([upload], timeout=0.2)
        assert not done
        more.set()
        await upload
        assert (await client.read_answer()).status == 200


async def test_a_greeting_can_close_every_connection_at_once() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.on_connect(Close())
        assert await client.eof() == b""


async def test_the_same_port_serves_again_after_a_stop() -> None:
    async with Upstream() as up:
        port = up.port
        await up.stop()
        with pytest.raises(ConnectionRefusedError):
            await RawClient(port).connect()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))  # nor does the kernel give it to whoever asks for a free one
        await up.start()
        up.queue(json_answer(1))
        async with RawClient(port) as client:
            assert (await client.fetch("GET", "/")).json == 1


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (b"GET / HTTP/1.1\nHost: x\r\n\r\n", "bare LF"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "ambiguous framing"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n", "ambiguous framing"),
        (b"GET / HTTP/1.1\r\nX : 1\r\n\r\n", "no header"),
        (b"GET / HTTP/1.0\r\n\r\n", "not HTTP/1.1"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "no CRLF"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "invalid literal"),
    ],
)
async def test_a_malformed_request_fails_the_test(sent: bytes, complaint: str) -> None:
    up = await Upstream().__aenter__()
    up.on(lambda request: json_answer({}))
    async with RawClient(up.port) as client:
        await client.send(sent)
        await client.eof()
    with pytest.raises(AssertionError, match=complaint):
        await up.__aexit__(None, None, None)


async def test_a_request_without_a_script_fails_the_test() -> None:
    up = await Upstream().__aenter__()
    async with RawClient(up.port) as client:
        await client.request("GET", "/")
        await client.eof()
    with pytest.raises(AssertionError, match="no script for"):
        await up.__aexit__(None, None, None)


async def test_the_upstream_supports_tls(authority: Authority) -> None:
    async with Upstream(tls=authority.server_context()) as up:
        up.queue([*json_answer("safe"), Close()])
        assert up.url.startswith("https://127.0.0.1:")
        reader, writer = await asyncio.open_connection("127.0.0.1", up.port, ssl=authority.client_context())
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await within(reader.read(), "the answer")).endswith(b'"safe"')
        writer.close()


async def test_its_certificate_is_untrusted_by_default(authority: Authority) -> None:
    async with Upstream(tls=authority.server_context()) as up:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", up.port, ssl=ssl.create_default_context())


async def test_a_tunnel_forwards_both_directions() -> None:
    async with Upstream() as up, Upstream() as proxy, RawClient(proxy.port) as client:
        up.queue(json_answer("through"))
        proxy.queue([Send(b"HTTP/1.1 200 OK\r\n\r\n"), Tunnel("127.0.0.1", up.port)])
        await client.send(b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n")
        await until(lambda: proxy.requests, "the CONNECT")
        await client.send(b"GET / HTTP/1.1\r\n\r\n")
        await within(up.request(), "the request behind the tunnel")
        client.half_close()
        assert (await client.eof()).endswith(b'"through"')
