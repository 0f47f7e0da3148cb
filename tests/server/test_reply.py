"""The client's side of one answer, byte for byte as it leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.server.reply import Reply
from tests.support import Chunk, Close, Headers, LastChunk, Upstream, Wait, within
from tests.support.answers import SSE_HEADERS, chat_events
from tests.support.gateway import Gateway, one_provider

LINES = b"Content-Type: text/plain\r\n"


class Wire(asyncio.Transport):
    """Takes what a transport takes and keeps it, one entry per write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        assert data
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    @property
    def all(self) -> bytes:
        return b"".join(self.writes)


def reply(**options: bool) -> tuple[Wire, Reply]:
    wire = Wire()
    return wire, Reply(wire, **({"http10": False, "head_only": False, "keep_alive": True} | options))


# -- whole answers --------------------------------------------------------------------------------


def test_a_whole_answer_is_one_write() -> None:
    wire, answer = reply()
    answer.send(200, LINES, b"hello")
    assert wire.writes == [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"]
    assert (answer.status, answer.bytes_out, answer.begun, answer.ended) == (200, 5, True, True)


def test_an_empty_answer_says_so() -> None:
    wire, answer = reply()
    answer.send(200, LINES)
    assert wire.all.endswith(b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_no_length(status: int) -> None:
    for streams in (False, True):
        wire, answer = reply()
        if streams:
            answer.begin(status, LINES, b"never")
            answer.write(b"never")
            answer.end(b"never")
        else:
            answer.send(status, LINES)
        assert b"Content-Length" not in wire.all
        assert b"Transfer-Encoding" not in wire.all
        assert wire.all.endswith(b"\r\n\r\n")
        assert answer.ended
        assert not answer.aborted


@pytest.mark.parametrize("status", [200, 299, 404, 418, 431, 499, 520, 599])
def test_every_status_has_a_status_line(status: int) -> None:
    wire, answer = reply()
    answer.send(status, b"")
    assert wire.all.startswith(b"HTTP/1.1 %d " % status)


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_is_chunked_and_its_head_leaves_with_its_first_bytes() -> None:
    wire, answer = reply()
    answer.begin(200, LINES, b"first")
    answer.write(b"0123456789abcdef")
    answer.end()
    assert wire.writes == [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        b"10\r\n0123456789abcdef\r\n",
        b"0\r\n\r\n",
    ]
    assert answer.bytes_out == 21


def test_the_last_bytes_leave_with_the_terminator() -> None:
    wire, answer = reply()
    answer.begin(200, LINES)
    answer.end(b"last")
    assert wire.writes[-1] == b"4\r\nlast\r\n0\r\n\r\n"


def test_an_answer_of_known_length_is_not_chunked() -> None:
    wire, answer = reply()
    answer.begin(200, LINES, b"he", length=5)
    answer.write(b"llo")
    answer.end()
    assert wire.all.endswith(b"\r\nContent-Length: 5\r\n\r\nhello")
    assert not answer.aborted


def test_an_answer_that_falls_short_of_its_length_is_cut() -> None:
    wire, answer = reply()
    answer.begin(200, LINES, b"he", length=5)
    answer.end()
    assert wire.aborted
    assert answer.aborted
    assert not answer.keep_alive


def test_a_cut_stream_has_no_terminator() -> None:
    wire, answer = reply()
    answer.begin(200, LINES, b"first")
    answer.abort()
    assert wire.aborted
    assert not wire.all.endswith(b"0\r\n\r\n")


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8))
@settings(deadline=None)
def test_the_chunks_of_a_stream_hold_exactly_its_bytes(pieces: list[bytes]) -> None:
    wire, answer = reply()
    answer.begin(200, b"")
    for piece in pieces:
        answer.write(piece)
    answer.end()
    body, chunks = wire.all.partition(b"\r\n\r\n")[2], []
    while body:
        size, _, rest = body.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        assert rest[int(size, 16) :].startswith(b"\r\n")
        body = rest[int(size, 16) + 2 :]
    assert chunks == [*pieces, b""]
    assert answer.bytes_out == sum(map(len, pieces))


# -- HEAD, HTTP/1.0, leaving ----------------------------------------------------------------------


def test_head_gets_the_same_head_and_no_body() -> None:
    for length in (None, 5):
        bare_wire, bare = reply(head_only=True)
        wire, answer = reply()
        for each in (bare, answer):
            each.begin(200, LINES, b"he", length=length)
            each.write(b"llo")
            each.end()
        assert bare_wire.all == wire.all.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert bare.bytes_out == 0
        assert not bare.aborted
    wire, answer = reply(head_only=True)
    answer.send(200, LINES, b"hello")
    assert wire.all.endswith(b"Content-Length: 5\r\n\r\n")


def test_http_1_0_gets_a_stream_without_framing_until_the_end_of_the_connection() -> None:
    wire, answer = reply(http10=True)
    answer.begin(200, LINES, b"first")
    answer.write(b"second")
    answer.end(b"last")
    assert wire.writes[1:] == [b"second", b"last"]
    assert wire.writes[0].endswith(b"Connection: close\r\n\r\nfirst")
    assert b"Transfer-Encoding" not in wire.all
    assert not answer.keep_alive


@pytest.mark.parametrize(
    ("http10", "keep_alive", "line"),
    [(False, True, None), (False, False, b"close"), (True, True, b"keep-alive"), (True, False, b"close")],
)
def test_what_becomes_of_the_connection_is_said_where_it_is_not_the_rule(
    http10: bool, keep_alive: bool, line: bytes | None
) -> None:
    wire, answer = reply(http10=http10, keep_alive=keep_alive)
    answer.send(200, LINES, b"hello")
    assert (b"Connection: " in wire.all) == (line is not None)
    if line is not None:
        assert b"\r\nConnection: %b\r\n" % line in wire.all


def test_after_the_client_left_nothing_is_written() -> None:
    wire, answer = reply()
    answer.begin(200, LINES, b"first")
    before = wire.all
    answer.detach()
    answer.write(b"second")
    answer.end()
    assert wire.all == before


# -- over a socket --------------------------------------------------------------------------------


async def test_a_stream_to_http_1_0_that_is_cut_does_not_look_whole() -> None:
    """Its end is the connection's end: only a reset tells a cut apart. Binary answers have no other way."""
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["GET /files"]})) as gw:
        head = Headers(200, [("Content-Type", "audio/mpeg"), ("Transfer-Encoding", "chunked")])
        go_on = asyncio.Event()
        up.on(lambda request: [head, Chunk(b"sound"), Wait(go_on), Close()])
        client = await gw.client()
        await client.send(b"GET /proxy/up/files HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        await client.read_head()
        assert await client.read_some() == b"sound"
        go_on.set()
        with pytest.raises(ConnectionResetError):
            await within(asyncio.get_running_loop().sock_recv(client._socket, 1000), "the reset")
        assert (await gw.settled())["outcome"] == "broken"


async def test_a_chunked_answer_that_is_cut_has_no_end() -> None:
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["GET /files"]})) as gw:
        head = Headers(200, [("Content-Type", "audio/mpeg"), ("Transfer-Encoding", "chunked")])
        up.on(lambda request: [head, Chunk(b"sound"), Close()])
        client = await gw.client()
        await client.request("GET", "/proxy/up/files")
        await client.eof()
        assert not client.received.endswith(b"0\r\n\r\n")
        assert (await gw.settled())["outcome"] == "broken"


async def test_a_stream_is_counted_in_bytes_without_framing() -> None:
    events = chat_events("Hello", " world")
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on(lambda request: [Headers(200, SSE_HEADERS), *map(Chunk, events), LastChunk()])
        client = await gw.client()
        await client.request("POST", "/v1/chat/completions", json={"model": "m", "stream": True})
        await client.read_head()
        assert await client.read_events() == events
        line = await gw.settled()
        assert line["bytes_out"] == sum(map(len, events))
