"""One connection to a provider, over a real socket where sockets matter and byte by byte where bytes do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.client.connection import READ_BUFFER, ReadBuffer, UpstreamConnection
from proxy.client.dial import Origin
from proxy.client.head import Head
from proxy.client.parser import MAX_HEAD_BYTES, MAX_HEADERS
from proxy.config.provider_schema import Tls
from proxy.errors import GatewayError, Overloaded
from proxy.net.headers import Header
from proxy.net.outbox import Outbox
from tests.support import (
    Chunk,
    Close,
    HalfClose,
    Headers,
    PauseReading,
    Reset,
    Send,
    Upstream,
    Wait,
    until,
    within,
)

GET = b"GET /v1/models HTTP/1.1\r\nHost: up\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


class RecordingSink:
    """A sink that keeps what it hears, and the connection as it was when it sink the end."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.body = b""
        self.fault: GatewayError | None = None
        self.endings = 0
        self.over = asyncio.Event()
        self.connection: UpstreamConnection | None = None  # where that is of interest

    def head(self, head: Head) -> Callable[[bytes], None]:
        assert not self.status, "two heads"
        self.status, self.headers = head.status, head.headers
        return self.take

    def take(self, data: bytes) -> None:
        assert not self.endings, "a byte after the end"
        self.body += data

    def end(self) -> None:
        self.endings += 1
        self.over.set()

    def broken(self, fault: GatewayError) -> None:
        self.fault = fault
        self.endings += 1
        self.over.set()


class RefusingSink(RecordingSink):
    """A sink that refuses the head."""

    def __init__(self, why: Exception) -> None:
        super().__init__()
        self.why = why

    def head(self, head: Head) -> Callable[[bytes], None]:
        raise self.why


class Line:
    """One connection to ``up``; it counts the calls of ``on_lost``."""

    def __init__(self, up: Upstream) -> None:
        self.lost = 0
        loop = asyncio.get_running_loop()
        origin = Origin("http", up.host, up.port, Tls())
        buffer = ReadBuffer()
        self.connection = UpstreamConnection(origin, loop, buffer, Outbox(loop), self._lost)

    def _lost(self, connection: UpstreamConnection) -> None:
        self.lost += 1

    @property
    def reusable(self) -> bool:
        transport = self.connection.transport
        return self.connection.keep_alive and transport is not None and not transport.is_closing()

    async def __aenter__(self) -> Line:
        origin = self.connection.origin
        await asyncio.get_running_loop().create_connection(lambda: self.connection, origin.host, origin.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.connection.abort()
        await until(lambda: self.lost == 1, "one call of on_lost")

    def ask(self, request: bytes = GET, *, no_body: bool = False) -> RecordingSink:
        sink = RecordingSink()
        self.connection.send((request,), sink, asyncio.get_running_loop().time(), no_body)
        return sink

    async def answer(self, request: bytes = GET, *, no_body: bool = False) -> RecordingSink:
        sink = self.ask(request, no_body=no_body)
        await within(sink.over.wait(), "the end of the answer", lambda: vars(sink))
        assert sink.endings == 1
        return sink


def length(body: bytes, *lines: bytes) -> bytes:
    return b"".join((OK, *(line + b"\r\n" for line in lines), b"Content-Length: %d\r\n\r\n" % len(body), body))


# -- one request after the other ------------------------------------------------------------------


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [length(b"answer %d" % request.number)])
        for number in range(3):
            sink = await line.answer()
            assert (sink.status, sink.body, sink.fault) == (200, b"answer %d" % number, None)
            assert line.reusable
        assert line.connection.uses == 3
        assert len(up.connections) == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (length(b"whole"), b"whole"),
        (length(b""), b""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", b"whole"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nwh\r\n3\r\nole\r\n0\r\nX-Trailer: t\r\n\r\n", b"whole"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + length(b"whole"), b"whole"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + length(b"whole"), b"whole"),
    ],
)
async def test_a_framed_response_leaves_the_connection_usable(answer: bytes, body: bytes) -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [answer])
        for _ in range(2):
            sink = await line.answer()
            assert (sink.body, sink.fault) == (body, None)
            assert all(name.lower() != b"link" for name, _ in sink.headers)
            assert line.reusable


@pytest.mark.parametrize(
    "answer",
    [
        length(b"ok", b"Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        length(b"ok") + b"surplus",
        length(b"ok") + length(b"another response without a request"),
        length(b"ok", b"Connection: close") + b"x",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
)
async def test_a_response_without_clear_end_is_kept_but_its_connection_is_not(
    answer: bytes,
) -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [answer])
        sink = await line.answer()
        assert (sink.status, sink.body, sink.fault) == (200, b"ok", None)
        assert not line.reusable


async def test_bytes_on_an_idle_connection_close_it() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [length(b"ok"), Wait(go), Send(length(b"for another request"))])
        await line.answer()
        assert line.reusable
        go.set()
        await until(lambda: line.lost, "the connection to close")
        assert not line.reusable


async def test_a_connection_that_the_provider_closed_while_idle_is_not_reusable() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [length(b"ok"), Close()])
        await line.answer()
        await until(lambda: line.lost, "the connection to close")
        assert not line.reusable


async def test_a_head_answer_has_no_body_whatever_its_length_says() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [OK + b"Content-Length: 1000000\r\n\r\n"])
        sink = await line.answer(b"HEAD /v1/models HTTP/1.1\r\nHost: up\r\n\r\n", no_body=True)
        assert (sink.status, sink.body, sink.fault) == (200, b"", None)
        assert line.reusable
        up.on(lambda request: [OK + b"Content-Length: 2\r\n\r\nok"])
        assert (await line.answer()).body == b"ok"


async def test_a_connection_whose_request_is_still_being_written_is_not_reusable() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on_head(lambda request: [length(b"early")])
        line.connection.sending = True
        sink = await line.answer(b"POST / HTTP/1.1\r\nHost: up\r\nContent-Length: 2\r\n\r\n")
        assert sink.body == b"early"
        assert not line.reusable


# -- bodies that end with the connection -----------------------------------------------------------


@pytest.mark.parametrize("last", [Close(), HalfClose()])
async def test_a_body_without_length_ends_with_the_connection(last: Close | HalfClose) -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [OK + b"\r\n", Send(b"until "), Send(b"the end"), last])
        sink = await line.answer()
        assert (sink.body, sink.fault) == (b"until the end", None)
        assert not line.reusable


@pytest.mark.parametrize(
    "begun",
    [
        [],
        [b"HTTP/1.1 200"],
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [Headers(200, [("Content-Length", "10")])],
        [Headers(200, [("Content-Length", "10")]), b"nine byte"],
        [Headers(200, [("Transfer-Encoding", "chunked")])],
        [Headers(200, [("Transfer-Encoding", "chunked")]), Chunk(b"whole")],
        [Headers(200, [("Transfer-Encoding", "chunked")]), b"5\r\nhal"],
    ],
)
@pytest.mark.parametrize("last", [Close(), Reset()])
async def test_an_answer_that_breaks_off_is_a_fault(begun: list[object], last: Close | Reset) -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [*begun, last])  # type: ignore[list-item]
        sink = await line.answer()
        assert sink.fault is not None
        assert sink.fault.code == "upstream_disconnected"
        # After a reset the kernel may keep what had come before it to itself.
        assert sink.fault.response_begun == bool(begun) or isinstance(last, Reset)  # type: ignore[attr-defined]


async def test_a_body_without_length_that_ends_in_a_reset_is_a_fault() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [OK + b"\r\n", Send(b"until "), Wait(go), Reset()])
        sink = line.ask()
        await until(lambda: sink.body, "the first bytes")
        go.set()
        await within(sink.over.wait(), "the end of the answer")
        assert sink.fault is not None
        assert sink.fault.code == "upstream_disconnected"


# -- bounds and what is no HTTP ---------------------------------------------------------------------

BROKEN = {
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "a status beyond the classes": b"HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok",
    "length and coding": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "coding and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "the same length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "a signed length": OK + b"Content-Length: +2\r\n\r\nok",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nok",
    "an empty length": OK + b"Content-Length:\r\n\r\nok",
    "an endless length": OK + b"Content-Length: 99999999999999999999\r\n\r\nok",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "the identity coding": OK + b"Transfer-Encoding: identity\r\n\r\nok",
    "two codings": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a chunk size that is none": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    "a negative chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
    "an endless chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok\r\n0\r\n\r\n",
    "a chunk longer than its size": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    "a bare LF after the status": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a bare LF after a field": OK + b"X-A: a\nX-B: b\r\nContent-Length: 2\r\n\r\nok",
    "a bare LF after a chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n",
    "a bare CR in a field": OK + b"X-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\nok",
    "a folded field": OK + b"X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "a NUL in a field": OK + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "a space before the colon": OK + b"X-A : a\r\nContent-Length: 2\r\n\r\nok",
    "a nameless field": OK + b": a\r\nContent-Length: 2\r\n\r\nok",
    "protocols switched unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nframes",
    "protocols switched without a word": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + length(b"ok"),
    "nothing but interim answers": b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + length(b"ok"),
    "too many fields": OK + b"X-A: a\r\n" * (MAX_HEADERS + 1) + b"Content-Length: 2\r\n\r\nok",
    "too large a field": OK + b"X-A: " + b"a" * (MAX_HEAD_BYTES + READ_BUFFER) + b"\r\nContent-Length: 2\r\n\r\nok",
    "a head that does not end": OK + b"X-Long: %b\r\n" % (b"a" * 8000) * 40,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
async def test_an_invalid_response_is_a_fault_and_ends_the_connection(answer: bytes) -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [answer])
        sink = await line.answer()
        assert sink.fault is not None
        assert sink.fault.code == "upstream_broken_answer"
        assert sink.fault.status == 502
        assert sink.body in (b"", b"ok")  # one byte beyond the first fault would be one too many
        assert not line.reusable
        await until(lambda: line.lost, "the connection to close")


async def test_as_many_fields_as_allowed_are_accepted() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [OK + b"X-A: a\r\n" * (MAX_HEADERS - 1) + b"Content-Length: 2\r\n\r\nok"])
        sink = await line.answer()
        assert (sink.body, len(sink.headers)) == (b"ok", MAX_HEADERS)


async def test_trailers_are_bounded_like_a_head() -> None:
    async with Upstream() as up, Line(up) as line:
        endless = [Send(b"X-Trailer: %b\r\n" % (b"t" * 60_000)) for _ in range(20)]
        up.on(lambda request: [Headers(200, [("Transfer-Encoding", "chunked")]), Chunk(b"ok"), b"0\r\n", *endless])
        sink = await line.answer()
        assert sink.fault is not None
        assert sink.fault.code == "upstream_broken_answer"


# -- sending --------------------------------------------------------------------------------------


async def test_a_large_request_is_sent_whole_and_in_order() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [length(b"ok")])
        pieces = [bytes([65 + index]) * 100_000 for index in range(8)]
        head = b"POST / HTTP/1.1\r\nHost: up\r\nContent-Length: 800000\r\n\r\n"
        sink = RecordingSink()
        line.connection.send((head, *map(memoryview, pieces)), sink, asyncio.get_running_loop().time())
        await within(sink.over.wait(), "the answer")
        assert (await up.request(0)).body == b"".join(pieces)


async def test_drain_waits_for_a_provider_that_does_not_read_and_ends_with_the_connection() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on_connect(PauseReading())
        await until(lambda: up.connections, "the connection")
        line.ask(b"POST / HTTP/1.1\r\nHost: up\r\nTransfer-Encoding: chunked\r\n\r\n")
        line.connection.write(b"1000000\r\n" + bytes(16 * 1024 * 1024))
        waiting = asyncio.ensure_future(line.connection.drain())
        await asyncio.sleep(0)
        assert not waiting.done()
        line.connection.abort()
        await within(waiting, "drain to end")
        line.connection.write(b"ignored")


async def test_a_dropped_sink_is_not_called() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [length(b"ok")])
        sink = line.ask()
        line.connection.abort()
        await until(lambda: line.lost, "the connection to close")
        assert sink.endings == 0
        assert not line.reusable


async def test_a_sink_that_refuses_the_head_gets_its_own_fault() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [length(b"ok")])
        own = Overloaded("Not now.")
        sink = RefusingSink(own)
        line.connection.send((GET,), sink, asyncio.get_running_loop().time())
        await within(sink.over.wait(), "the end")
        assert sink.fault is own
        await until(lambda: line.lost, "the connection to close")


async def test_a_defect_of_the_gateway_is_not_blamed_on_the_provider() -> None:
    async with Upstream() as up, Line(up) as line:
        up.on(lambda request: [length(b"ok")])
        sink = RefusingSink(ZeroDivisionError("a bug"))
        line.connection.send((GET,), sink, asyncio.get_running_loop().time())
        await within(sink.over.wait(), "the end")
        assert sink.fault is not None
        assert (sink.fault.status, sink.fault.code) == (500, "internal_error")
        assert sink.fault.detail == "ZeroDivisionError"


# -- any split of the bytes ---------------------------------------------------------------------------

WHOLE = {
    "length": (length(b"0123456789"), b"0123456789"),
    "chunked": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\nT: t\r\n\r\n",
        b"0123456789",
    ),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + length(b"0123456789"), b"0123456789"),
    "close": (OK + b"Content-Type: text/plain\r\n\r\n0123456789", b"0123456789"),
    "empty": (b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", b""),
}


class Framed(RecordingSink):
    """A sink that wants chunks as they came; it declines those that hold ``declined``."""

    def __init__(self, declined: bytes = b"none") -> None:
        super().__init__()
        self.declined = declined
        self.frames: list[bytes] = []

    def head(self, head: Head) -> Callable[[bytes], None]:
        assert self.connection is not None
        self.connection.on_frame = self.frame
        return super().head(head)

    def frame(self, content: bytes, framed: bytes) -> bool:
        assert framed == chunk(content)
        if self.declined in content:
            return False
        self.frames.append(framed)
        self.take(content)
        return True


def fed(pieces: list[bytes], sink: RecordingSink | None = None) -> tuple[RecordingSink, UpstreamConnection]:
    """What is sink when these reads come, and then the end of the connection."""
    loop = asyncio.new_event_loop()
    try:
        buffer = ReadBuffer()
        connection = UpstreamConnection(
            Origin("http", "up", 80, Tls()), loop, buffer, Outbox(loop), lambda connection: None
        )
        sink = sink or RecordingSink()
        sink.connection = connection
        connection.send((GET,), sink, loop.time())
        for piece in pieces:
            buffer.memory[: len(piece)] = piece
            connection.buffer_updated(len(piece))
        connection.connection_lost(None)
        return sink, connection
    finally:
        loop.close()


@given(st.sampled_from(sorted(WHOLE)), st.sets(st.integers(min_value=1, max_value=120)))
def test_an_answer_is_the_same_however_its_bytes_are_cut(kind: str, cuts: set[int]) -> None:
    answer, body = WHOLE[kind]
    marks = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    sink, _ = fed([answer[begin:end] for begin, end in pairwise(marks)])
    assert (sink.status, sink.body, sink.fault, sink.endings) == (
        204 if kind == "empty" else 200,
        body,
        None,
        1,
    )


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


# What could be taken for framing where it is content.
tricky = st.lists(
    st.sampled_from([b"1", b"a", b"\r", b"\n", b"\r\n", b"no", LAST, chunk(b"abc"), chunk(LAST)]),
    min_size=1,
    max_size=5,
).map(b"".join)


@given(st.data(), st.lists(tricky, min_size=1, max_size=6), st.sampled_from([b"none", b"no", b"a"]))
def test_only_chunks_are_forwarded_with_their_framing(
    data: st.DataObject, contents: list[bytes], declined: bytes
) -> None:
    parts = [CHUNKED, *map(chunk, contents), LAST]
    answer = b"".join(parts)
    ends = [sum(map(len, parts[: number + 1])) for number in range(len(parts))]
    anywhere = st.integers(min_value=1, max_value=len(answer) - 1)
    cuts = data.draw(st.sets(st.one_of(st.sampled_from(ends), anywhere), max_size=12))
    marks = [0, *sorted(cuts - {len(answer)}), len(answer)]
    sink, connection = fed([answer[begin:end] for begin, end in pairwise(marks)], Framed(declined))
    assert (sink.body, sink.fault, sink.endings) == (b"".join(contents), None, 1)
    assert connection.on_frame is None


@pytest.mark.parametrize("size", [1, 9, 15, 16, 17, 255, 256, 257, 300, 4080])
def test_a_chunk_that_comes_alone_is_forwarded_with_its_framing(size: int) -> None:
    content = b"x" * size
    sink = Framed()
    fed([CHUNKED + chunk(b"first"), chunk(content), chunk(content), LAST], sink)
    assert sink.frames == [chunk(content)] * 2
    assert (sink.body, sink.fault) == (b"first" + 2 * content, None)


@pytest.mark.parametrize(
    "spelling",
    [
        b"00a\r\n0123456789\r\n",
        b"A\r\n0123456789\r\n",
        b"a;x=y\r\n0123456789\r\n",
        2 * b"5\r\n01234\r\n",
        chunk(b"x" * 4090),
    ],
)
def test_a_chunk_in_another_spelling_is_parsed(spelling: bytes) -> None:
    sink = Framed()
    fed([CHUNKED + chunk(b"first"), spelling, LAST], sink)
    assert (sink.frames, sink.fault) == ([], None)
    assert len(sink.body) > len(b"first")


def test_a_read_that_only_looks_like_a_chunk_is_parsed() -> None:
    sink = Framed()
    content = b"abcd\r\n" + b"x" * 14
    assert chunk(content).startswith(b"14\r\n")
    fed([CHUNKED + chunk(b"first") + b"1", b"4\r\nabcd\r\n", b"x" * 14 + b"\r\n", LAST], sink)
    assert (sink.frames, sink.body, sink.fault) == ([], b"first" + content, None)


def test_compressed_content_is_always_parsed() -> None:
    sink = Framed()
    head = CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n"
    fed([head + chunk(b"first"), chunk(b"data: {}\n\n"), LAST], sink)
    assert (sink.frames, sink.body) == ([], b"firstdata: {}\n\n")


def test_a_read_after_the_last_chunk_is_no_chunk() -> None:
    sink = Framed()
    _, connection = fed([CHUNKED + chunk(b"first"), chunk(b"second") + LAST, chunk(b"third")], sink)
    assert (sink.body, sink.endings) == (b"firstsecond", 1)
    assert not connection.keep_alive


@given(st.sampled_from(sorted(WHOLE)), st.integers(min_value=1, max_value=200))
def test_a_truncated_response_is_never_complete(kind: str, kept: int) -> None:
    answer, body = WHOLE[kind]
    sink, _ = fed([answer[: min(kept, len(answer) - 1)]])
    assert sink.endings == 1
    assert body.startswith(sink.body)
    if kind == "close" and sink.status:
        assert sink.fault is None  # RFC 9112 8: such a body cannot show it
    else:
        assert sink.fault is not None


@given(st.binary(min_size=1, max_size=300))
def test_arbitrary_bytes_never_crash_a_connection(junk: bytes) -> None:
    sink, _ = fed([OK + junk])
    assert sink.endings == 1


@given(st.sampled_from(["length", "chunked"]), st.binary(min_size=1, max_size=100))
def test_bytes_after_a_response_do_not_change_it(kind: str, surplus: bytes) -> None:
    answer, body = WHOLE[kind]
    sink, _ = fed([answer + surplus])
    assert (sink.body, sink.fault, sink.endings) == (body, None, 1)
