"""The head of an answer, read in one pass: it must say what the readers of a single thing say."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.client.head import read_head
from proxy.errors import BrokenAnswer
from proxy.net.headers import to_client

names = st.sampled_from(
    [b"Content-Type", b"content-type", b"Content-Length", b"Content-Encoding", b"Transfer-Encoding", b"Connection",
     b"Cache-Control", b"Set-Cookie", b"Retry-After", b"X-New", b"x-request-id", b"bad name"]
) | st.binary(max_size=12)  # fmt: skip
values = st.sampled_from(
    [b"text/event-stream", b"Application/JSON; charset=utf-8", b"12", b"chunked", b"identity", b"gzip", b"keep-alive",
     b"x-new, cache-control", b"no-store", b"a\r\nX-Evil: 1", b"a\n", b"\0"]
) | st.binary(max_size=12)  # fmt: skip


@given(st.lists(st.tuples(names, values), max_size=8))
@example([(b"Content-Type", b"text/event-stream"), (b"Cache-Control", b"no-cache")])
@example([(b"Connection", b"x-new"), (b"X-New", b"1"), (b"Retry-After", b"2")])
@example([(b"Connection", b"keep-alive"), (b"Content-Type", b"a\r\nX-Evil: 1"), (b"X-New", b"1")])
def test_the_lines_for_the_client_are_those_of_the_header_policy(raw: list[tuple[bytes, bytes]]) -> None:
    try:
        head = read_head(200, raw)
    except BrokenAnswer:
        return
    assert head.lines == to_client(raw)


def test_framing_headers_are_read_and_not_forwarded() -> None:
    raw = [(b"Content-Type", b"Application/JSON ; charset=utf-8"), (b"Content-Length", b"12"), (b"X-New", b"1")]
    head = read_head(200, raw)
    assert (head.kind, head.coding, head.length, head.framed) == (b"application/json", "", 12, True)
    assert head.lines == b"Content-Type: Application/JSON ; charset=utf-8\r\nX-New: 1\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        [(b"Content-Length", b"1"), (b"content-length", b"1")],
        [(b"Content-Length", b"-1")],
        [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
    ],
)
def test_heads_that_two_readers_could_read_differently_are_refused(raw: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BrokenAnswer):
        read_head(200, raw)


def test_the_coding_of_a_decoded_answer_is_not_forwarded() -> None:
    head = read_head(200, [(b"Content-Encoding", b" GZIP ")])
    assert (head.coding, head.lines, head.framed) == ("gzip", b"", False)


@pytest.mark.parametrize(
    ("status", "kind", "other", "expected"),
    [
        (200, b"application/json; charset=utf-8", (b"Content-Length", b"10"), 10),
        (200, b"application/json", (b"Content-Length", b"0"), 0),
        (200, b"application/json", (b"Transfer-Encoding", b"chunked"), 0),
        (204, b"application/json", (b"Content-Length", b"10"), 0),
        (500, b"application/json", (b"Content-Length", b"10"), 0),
        (200, b"text/event-stream", (b"Content-Length", b"10"), 0),
    ],
)
def test_the_length_of_plain_json_is_read(status: int, kind: bytes, other: tuple[bytes, bytes], expected: int) -> None:
    assert read_head(status, [(b"Content-Type", kind), other]).json_length == expected


def test_compressed_json_is_not_plain() -> None:
    lines = [(b"Content-Type", b"application/json"), (b"Content-Length", b"10"), (b"Content-Encoding", b"gzip")]
    assert read_head(200, lines).json_length == 0
