from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dispatch.race import Lost
from proxy.errors import BrokenAnswer
from proxy.relay.pipe import ErrorPipe
from tests.relay.body_owner import FAULT, Client


@given(st.lists(st.binary(min_size=1)))
def test_a_pipe_forwards_every_byte_as_it_comes(chunks: list[bytes]) -> None:
    client = Client(length=sum(map(len, chunks)))
    for number, chunk in enumerate(chunks):
        client.pipe.feed(chunk)
        assert client.body == b"".join(chunks[: number + 1])
    client.pipe.end()
    assert client.body == b"".join(chunks)
    assert (client.commits, client.deliveries, client.closed, client.reply.ended) == (1, 1, False, True)
    assert client.sent.startswith(b"HTTP/1.1 206 Partial Content\r\nContent-Type: audio/mpeg\r\nContent-Length: ")


def test_a_pipe_of_unknown_length_is_chunked() -> None:
    client = Client()
    client.pipe.feed(b"abc")
    client.pipe.feed(b"d")
    client.pipe.end()
    assert client.body == b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"


def test_an_empty_body_has_a_head_all_the_same() -> None:
    client = Client(length=0)
    client.pipe.end()
    assert client.sent.endswith(b"Content-Length: 0\r\n\r\n")
    assert client.deliveries == 1


@pytest.mark.parametrize("length", [None, 10])
def test_a_pipe_that_breaks_cuts_the_clients_connection(length: int | None) -> None:
    client = Client(length=length)
    client.pipe.feed(b"abc")
    client.pipe.broken(FAULT)
    assert client.closed
    assert b"0\r\n\r\n" not in client.body
    assert (client.cuts, client.deliveries) == ([FAULT], 0)


def test_an_answer_shorter_than_its_head_said_is_cut() -> None:
    client = Client(length=10)
    client.pipe.feed(b"abc")
    client.pipe.end()
    assert client.closed


def test_a_pipe_that_may_not_begin_cuts_nothing() -> None:
    client = Client()
    client.commit = raise_lost  # type: ignore[method-assign]
    with pytest.raises(Lost):
        client.pipe.feed(b"abc")
    assert not client.pipe.committed
    assert client.sent == b""


def raise_lost() -> bytes:
    raise Lost


def test_only_an_event_stream_can_follow_a_ping() -> None:
    client = Client()
    client.reply.begin(200, b"", b": ping\n\n")
    before = client.sent
    with pytest.raises(BrokenAnswer):
        client.pipe.feed(b"abc")
    assert client.sent == before
    assert not client.pipe.committed


def test_credentials_are_removed_from_the_beginning_of_an_error() -> None:
    client = Client(length=9)
    pipe = ErrorPipe(client, client.reply, 404, 9, 100, lambda body: body.replace(b"sk-1", b"..."))
    pipe.feed(b"no ")
    pipe.feed(b"sk-1 :")
    assert client.writes == []
    pipe.end()
    assert b"Content-Length: 8" in client.sent
    assert client.body == b"no ... :"


def test_an_error_beyond_the_limit_is_sent_as_it_comes() -> None:
    client = Client()
    pipe = ErrorPipe(client, client.reply, 404, None, 3, lambda body: body.replace(b"a", b"."))
    pipe.feed(b"abcd")
    pipe.feed(b"a")
    pipe.end()
    assert client.body == b"4\r\n.bcd\r\n1\r\na\r\n0\r\n\r\n"
