from __future__ import annotations

from collections.abc import Callable

import httptools
import pytest

from proxy.client.head import Head, read_head
from proxy.client.parser import MAX_HEAD_BYTES, MAX_HEADERS, MAX_INFORMATIONAL, ResponseParser, discard
from proxy.errors import BrokenAnswer, ConnectFailed, GatewayError
from proxy.net.headers import Header

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"


class Body:
    """A sink that keeps the heads and the body."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.statuses: list[int] = []
        self.body = b""
        self._refusal = refusal

    def head(self, head: Head) -> Callable[[bytes], None]:
        if self._refusal is not None:
            raise self._refusal
        self.statuses.append(head.status)
        return self.take

    def take(self, data: bytes) -> None:
        self.body += data

    def end(self) -> None: ...
    def broken(self, fault: GatewayError) -> None: ...


def parser(sink: Body, *, no_body: bool = False, proxied: bool = False) -> ResponseParser:
    made = ResponseParser()
    made.begin(sink, no_body, proxied)
    return made


def fault_of(data: bytes, sink: Body | None = None, *, proxied: bool = False) -> GatewayError | None:
    """The fault that these bytes are, if they are one."""
    made = parser(sink or Body(), proxied=proxied)
    try:
        made.feed(data)
    except httptools.HttpParserError as error:
        return made.fault_of(error)
    return None


def test_one_parser_reads_one_response_after_the_other() -> None:
    made = ResponseParser()
    for text in (b"one", b"two"):
        sink = Body()
        made.begin(sink, False, False)
        made.feed(OK + b"Content-Length: 3\r\n\r\n" + text)
        assert (sink.statuses, sink.body, made.complete, made.keep_alive) == ([200], text, True, True)


def test_interim_responses_are_skipped_up_to_a_bound() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    sink = Body()
    parser(sink).feed(interim * MAX_INFORMATIONAL + EMPTY)
    assert sink.statuses == [200]
    assert isinstance(fault_of(interim * (MAX_INFORMATIONAL + 1) + EMPTY), BrokenAnswer)


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"600 Unknown", b"099 Unknown", b"000"])
def test_statuses_that_no_request_asked_for_are_faults(status: bytes) -> None:
    assert isinstance(fault_of(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"), BrokenAnswer)


def test_a_407_is_the_proxys_only_if_there_is_a_proxy() -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    assert isinstance(fault_of(answer, proxied=True), ConnectFailed)
    assert fault_of(answer) is None


def test_a_response_to_head_is_complete_with_its_head() -> None:
    made = parser(Body(), no_body=True)
    made.feed(OK + b"Content-Length: 3\r\n\r\n")
    assert (made.complete, made.keep_alive) == (True, True)
    body = Body()
    made.begin(body, no_body=False, proxied=False)
    made.feed(OK + b"Content-Length: 3\r\n\r\nabc")
    assert (made.complete, made.keep_alive, body.body) == (True, True, b"abc")


@pytest.mark.parametrize("rest", [b"abc", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_body_after_a_response_to_head_ends_the_connection(rest: bytes) -> None:
    body = Body()
    made = parser(body, no_body=True)
    made.feed(OK + b"Content-Length: 30\r\n\r\n" + rest)
    assert (made.complete, made.keep_alive, body.body) == (True, False, b"")


class Whole(Body):
    """A sink that takes what answers of models never need."""

    def __init__(self) -> None:
        super().__init__()
        self.more: list[object] = []

    def read_head(self, status: int, headers: list[Header]) -> Head:
        self.more.append((status, headers))
        return read_head(status, headers)

    def interim(self, status: int, headers: list[Header]) -> None:
        self.more.append((status, headers))

    def trailer(self, name: bytes, value: bytes) -> None:
        self.more.append((name, value))


def test_a_whole_sink_gets_all_heads_and_the_trailers() -> None:
    whole = Whole()
    made = parser(whole)
    made.begin(whole, no_body=False, proxied=False, whole=whole)
    made.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n")
    made.feed(CHUNKED + b"Set-Cookie: x\r\n\r\n2\r\nab\r\n0\r\nDigest: y\r\n\r\n")
    assert whole.more == [
        (100, []),
        (103, [(b"A", b"b")]),
        (200, [(b"Transfer-Encoding", b"chunked"), (b"Set-Cookie", b"x")]),
        (b"Digest", b"y"),
    ]
    assert (whole.body, made.complete) == (b"ab", True)


def test_bytes_after_the_end_that_begin_a_response_spoil_the_connection() -> None:
    made = parser(Body())
    made.feed(EMPTY + b"HTTP/1.")
    assert (made.complete, made.keep_alive) == (True, False)


def test_bytes_after_the_end_that_are_no_response_do_not_spoil_the_one_before() -> None:
    made = parser(Body())
    with pytest.raises(httptools.HttpParserError) as caught:
        made.feed(EMPTY + b"x")
    assert made.fault_of(caught.value) is None
    assert (made.complete, made.keep_alive) == (True, False)


def test_without_a_length_the_end_of_the_connection_ends_the_body() -> None:
    made = parser(Body())
    assert not made.ends_with_connection
    made.feed(OK + b"\r\nbody")
    assert made.ends_with_connection


def test_only_between_two_chunks_of_plain_content_is_the_parser_between_chunks() -> None:
    made = parser(Body())
    made.feed(CHUNKED + b"\r\n3\r\none")
    assert not made.between_chunks
    made.feed(b"\r\n")
    assert made.between_chunks
    made.feed(b"5\r\n")
    assert not made.between_chunks
    packed = parser(Body())
    packed.feed(CHUNKED + b"Content-Encoding: gzip\r\n\r\n3\r\none\r\n")
    assert not packed.between_chunks


def test_heads_and_trailers_are_bounded() -> None:
    made = parser(Body())
    made.feed(OK + b"X: 1\r\n" * MAX_HEADERS)
    assert made.oversized() is None
    made.feed(b"X: 1\r\nY: 1\r\n")
    assert made.oversized() is not None
    made.begin(Body(), False, False)
    made.head_bytes = MAX_HEAD_BYTES + 1
    assert made.oversized() is not None
    trailer = b"X: " + b"x" * 1000 + b"\r\n"
    assert isinstance(fault_of(CHUNKED + b"\r\n0\r\n" + trailer * 140 + b"\r\n"), BrokenAnswer)


def test_a_fault_of_the_sink_stays_what_it_is_and_a_defect_is_ours() -> None:
    refusal = BrokenAnswer("The provider's answer is no event stream.")
    assert fault_of(EMPTY, Body(refusal)) is refusal
    defect = fault_of(EMPTY, Body(KeyError("a defect")))
    assert defect is not None
    assert (type(defect), defect.detail) == (GatewayError, "KeyError")


def test_a_forgotten_sink_gets_no_more_bytes() -> None:
    sink, made = Body(), ResponseParser()
    made.begin(sink, False, False)
    made.feed(OK + b"Content-Length: 6\r\n\r\none")
    made.sink, made.consume = None, discard
    made.feed(b"two")
    assert sink.body == b"one"
