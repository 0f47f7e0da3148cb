from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.writer import GeminiWriter
from proxy.errors import StreamTruncated
from proxy.server.event_array import EventArray, wants_events
from proxy.server.reply import Reply
from tests.support.gemini import WIRE, data_of, events, needs_recordings, recordings
from tests.support.pump import contents, split
from tests.support.recorded import cases

SSE = b"Content-Type: text/event-stream; charset=utf-8\r\nx-router-attempts: 1\r\n"
JSON = b"Content-Type: application/json\r\n"
WRITER = GeminiWriter()
FAULT = StreamTruncated("Cut.")
ERROR = WRITER.error_event(FAULT, -1)
FIRST, SECOND, LAST = events("a", "b", "c")


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.writes = 0
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data
        self.writes += 1

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Client:
    """The client's side of an array: what it got so far."""

    def __init__(self) -> None:
        self.socket = Socket()
        self.outlet = EventArray(Reply(self.socket, http10=False, head_only=False, keep_alive=True))

    def begin(self, first: bytes = b"") -> Client:
        self.outlet.begin(200, SSE, first)
        return self

    def write(self, *pieces: bytes) -> Client:
        for piece in pieces:
            self.outlet.write(piece)
        return self

    def end(self, last: bytes = b"") -> Client:
        self.outlet.end(last)
        return self

    @property
    def head(self) -> bytes:
        return self.socket.sent.partition(b"\r\n\r\n")[0] + b"\r\n"

    @property
    def body(self) -> bytes:
        body = self.socket.sent.partition(b"\r\n\r\n")[2]
        return b"".join(contents(body)) if b"chunked" in self.head else body

    @property
    def array(self) -> Any:
        return json.loads(self.body)


def array_of(pieces: Iterable[bytes]) -> bytes:
    first, *rest = pieces
    return Client().begin(first).write(*rest).end().body


# Streams


def test_each_event_is_an_element_as_soon_as_it_is_whole() -> None:
    client = Client().begin(FIRST)
    assert client.body == b"[" + json.dumps(data_of(FIRST)[0], separators=(",", ":")).encode() + b"\n"
    client.write(SECOND[:-2])
    assert client.body.count(b"\n") == 1
    client.write(SECOND[-2:-1])  # the LF may be lost, or come later
    assert client.body.count(b",\r\n{") == 1
    client.end(LAST)
    assert client.array == data_of(FIRST + SECOND + LAST)


def test_the_answer_is_json() -> None:
    assert Client().begin(FIRST).head == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\n"
        b"x-router-attempts: 1\r\nTransfer-Encoding: chunked\r\n"
    )


def test_an_incomplete_event_is_not_written() -> None:
    client = Client().begin(FIRST)
    writes = client.socket.writes
    client.write(SECOND[:20])
    assert client.socket.writes == writes
    assert client.end().array == data_of(FIRST)


def test_an_empty_stream_is_an_empty_array() -> None:
    assert Client().begin().end().body == b"[]"
    assert Client().begin(b"\n").write(b"\n").end().array == []


def test_pings_are_blank_lines_anywhere() -> None:
    client = Client().begin(WRITER.ping).write(WRITER.ping, FIRST, WRITER.ping, WRITER.ping, SECOND, WRITER.ping)
    assert client.body.startswith(b"\n\n[{")
    assert client.end(LAST).array == data_of(FIRST + SECOND + LAST)


def test_a_ping_after_each_write_is_sent_at_once() -> None:
    client = Client().begin(FIRST)
    before = client.body
    assert client.write(WRITER.ping).body == before + b"\n"


@pytest.mark.parametrize("before", [[], [b"\n"], [FIRST], [FIRST, SECOND, b"\n"]])
def test_an_error_is_the_last_element(before: list[bytes]) -> None:
    client = Client().begin().write(*before)
    client.outlet.break_off(FAULT, ERROR)
    *elements, error = client.array
    assert elements == data_of(b"".join(before))
    assert error["error"]["status"] == "UNAVAILABLE"
    assert client.outlet.ended


def test_a_providers_error_that_was_written_before_the_end_is_the_last_element() -> None:
    client = Client().begin(FIRST).write(ERROR)
    client.outlet.break_off(FAULT, b"")
    assert [next(iter(element)) for element in client.array] == ["candidates", "error"]


def test_an_error_without_framing_is_no_element() -> None:
    client = Client().begin(FIRST).write(ERROR)
    client.outlet.break_off(FAULT, WRITER.error_tail(FAULT))
    assert [next(iter(element)) for element in client.array] == ["candidates", "error"]


def test_an_abort_leaves_the_array_open() -> None:
    client = Client().begin(FIRST)
    client.outlet.abort()
    assert client.socket.aborted
    with pytest.raises(json.JSONDecodeError):
        json.loads(client.body)


def test_no_chunk_goes_past_the_array() -> None:
    assert Client().begin(FIRST).outlet.for_frames() is None


def test_data_over_several_lines_is_one_element() -> None:
    assert Client().begin(b'data: {"a":\r\ndata: 1}\r\n\r\n').end().array == [{"a": 1}]


# Every split


BLOCKS = [
    FIRST,
    SECOND,
    *events("d", end=b"\n"),
    *events("e", end=b"\r"),
    b"\n",
    b"\r\n",
    b": x\n\n",
    b"data: {}\n\n",
    ERROR,
]


@given(st.lists(st.sampled_from(BLOCKS), max_size=8), st.data())
def test_every_split_gives_the_same_elements(blocks: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(blocks)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    client = Client().begin()
    for piece in split(stream, cuts):
        client.write(piece)
    # Bare CR and CR LF mix, so that data_of reads the lines; Framer and payload read the events.
    assert client.end().array == data_of(stream)


@needs_recordings
@pytest.mark.parametrize("name", recordings())
def test_recorded_streams_are_the_same_documents(name: str) -> None:
    stream = recordings()[name]
    found = array_of([stream])
    assert json.loads(found) == data_of(stream)
    step = max(1, len(stream) // 500)
    for at in range(1, len(stream), step):
        assert array_of(split(stream, [at])) == found
    assert array_of(stream[at : at + 1] for at in range(len(stream))) == found


@needs_recordings
def test_the_form_is_that_of_a_recorded_array() -> None:
    (case,) = cases("gemini", "vertex-stream-jsonarray-framed")
    elements = json.loads(case.response)
    first, *rest = [b"data: " + json.dumps(element).encode() + b"\r\n\r\n" for element in elements]
    client = Client().begin(first).write(*rest).end()
    assert client.array == elements
    recorded, ours = (_without_documents(body) for body in (case.response, client.body))
    assert ours == recorded


def _without_documents(body: bytes) -> bytes:
    """What stands outside of the elements."""
    depth, outside = 0, bytearray()
    for byte in body:
        depth -= byte == ord("}")
        if depth == 0 and byte not in b"{}":
            outside.append(byte)
        depth += byte == ord("{")
    return bytes(outside)


@needs_recordings
@pytest.mark.parametrize("case", [case for case in WIRE if case.framed], ids=str)
def test_recorded_network_chunks_are_written_one_by_one(case: Any) -> None:
    client = Client().begin(case.chunks[0])
    for number, chunk in enumerate(case.chunks[1:], 2):
        client.write(chunk)
        assert client.body.count(b"\n,\r\n{") == number - 1
    assert client.end().array == data_of(case.response)


# Answers that are no streams


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"error":{}}', b'[{"error":{}}\n]'),
        (b' {"error":{}}\n', b'[{"error":{}}\n]'),
        (b"[{}]", b"[{}]"),
        (b"[]", b"[]"),
        (b"", b""),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
def test_a_json_object_becomes_an_array_of_one(status: int, body: bytes, found: bytes) -> None:
    client = Client()
    client.outlet.send(status, JSON, body)
    assert client.body == found
    assert b"Content-Length: %d\r\n" % len(found) in client.head
    assert client.outlet.ended


def test_a_whole_stream_in_one_write_becomes_an_array() -> None:
    client = Client()
    client.outlet.send(200, SSE, FIRST + LAST)
    assert client.array == data_of(FIRST + LAST)
    assert b"application/json" in client.head


@pytest.mark.parametrize("lines", [b"", b"Content-Type: text/plain\r\n", b"x-content-type: text/event-stream\r\n"])
def test_everything_else_passes(lines: bytes) -> None:
    client = Client()
    client.outlet.send(200, lines, FIRST)
    assert client.body == FIRST
    client = Client()
    client.outlet.begin(200, lines, FIRST, length=len(FIRST + SECOND))
    client.write(SECOND).end()
    assert client.body == FIRST + SECOND
    client = Client()
    client.outlet.begin(200, lines, FIRST)
    client.outlet.break_off(FAULT, SECOND)
    assert client.body == FIRST + SECOND


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("alt=sse", True), ("key=k&alt=sse", True), ("alt=sse&key=k", True), ("$alt=sse", True), ("%24alt=SSE", True), ("", False),
     ("alt=json", False), ("alt=", False), ("default=sse", False), ("alt=sse2", False), ("x=alt=sse", False)],
)  # fmt: skip
def test_the_query_says_whether_events_are_wanted(query: str, wanted: bool) -> None:
    assert wants_events(query) is wanted
