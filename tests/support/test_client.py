from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support import Close, RawClient, Send, Stall, Upstream, json_answer, patience, sse, within


async def answered(up: Upstream, client: RawClient, *script: object) -> None:
    up.queue(list(script))
    await client.request("GET", "/")


async def test_a_body_ends_with_its_length() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(
            up,
            client,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        )
        assert (await client.read_answer()).body == b"ab"
        assert await client.read_head() == (404, "No", [("content-length", "0")])


async def test_a_body_without_framing_ends_with_the_connection() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(up, client, b"HTTP/1.0 200 OK\r\n\r\nabc", Close())
        assert (await client.read_answer()).body == b"abc"


async def test_a_response_to_head_has_no_body_despite_its_length() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.on(lambda request: [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"])
        assert (await client.fetch("HEAD", "/")).body == b""


async def test_interim_responses_are_returned_as_heads_only() -> None:
    both = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n"
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(up, client, both)
        assert (await client.read_head()).status == 100
        assert (await client.read_head()).status == 204
        await answered(up, client, both)
        assert (await client.read_answer()).status == 204


async def test_events_are_split_across_chunks_with_any_line_end() -> None:
    chunks = [b"data: a\r\n", b"\r\ndata: b\n\n: c", b"omment\n\ndata: rest"]
    script = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        *(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks),
    ]
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(up, client, *script, b"0\r\n\r\n")
        await client.read_head()
        assert await client.read_event() == b"data: a\r\n\r\n"
        assert await client.read_events() == [b"data: b\n\n", b": comment\n\n", b"data: rest"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-L",
        b"",
    ],
)
async def test_a_truncated_response_fails_with_the_received_bytes(answer: bytes) -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(up, client, answer, Close())
        with pytest.raises(AssertionError) as failure:
            await client.read_answer()
        assert f"received so far: {answer!r}" in str(failure.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    ],
)
async def test_invalid_framing_is_a_failure(answer: bytes) -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(up, client, answer, Close())
        with pytest.raises(AssertionError):
            await client.read_answer()


async def test_a_timeout_fails_with_the_received_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(up, client, Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"), Stall())
        await client.read_head()
        monkeypatch.setattr(patience, "PATIENCE", 0.05)
        with pytest.raises(AssertionError, match=r"waited 0\.05 s for the body.*abc"):
            await client.read_body()


async def test_read_to_eof_returns_the_raw_rest() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        await answered(up, client, sse("x"), Close())
        assert await client.eof() == b"data: x\n\n"


async def test_nothing_is_read_ahead() -> None:
    async with Upstream() as up, RawClient(up.port, receive_buffer=4096) as client:
        await answered(up, client, b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 20_000_000, Close())
        await client.read_head()
        read = len(client.received)
        await within(up.head(0), "the request")
        assert len(client.received) == read < 70_000


async def test_a_unix_socket_path_is_an_address(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)
        await writer.drain()
        writer.close()

    path = str(tmp_path / "s")
    server = await asyncio.start_unix_server(answer, path)
    async with server, RawClient(path) as client:
        assert (await client.fetch("GET", "/")).body == b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_headers_of_the_test_replace_the_defaults() -> None:
    async with Upstream() as up, RawClient(up.port) as client:
        up.on(lambda request: json_answer({}))
        await client.request("POST", "/", [("HOST", "other"), ("content-length", "1")], b"a")
        assert (await up.request()).headers == [("HOST", "other"), ("content-length", "1")]
