from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BrokenAnswer, ConnectionBroken, GatewayError, Overloaded
from proxy.net.budget import Budget
from proxy.relay.collect import Collector, Pipe
from proxy.server.reply import Reply
from tests.support.pump import Outlet

FAULT = ConnectionBroken("The provider closed the connection early.")


class Client(Outlet):
    """The client's end, with the owner that would stand behind it."""

    def __init__(self, *, length: int | None = None, http10: bool = False) -> None:
        super().__init__()
        self.closed = False
        self.bodies: list[bytes] = []
        self.commits = self.deliveries = 0
        self.cuts: list[GatewayError] = []
        self.reply = Reply(self, http10=http10, head_only=False, keep_alive=True)
        self.length = length
        self.pipe = Pipe(self, self.reply, 206, length)

    def abort(self) -> None:
        self.closed = True

    def commit(self) -> bytes:
        self.commits += 1
        return b"Content-Type: audio/mpeg\r\n"

    def collected(self, body: bytes) -> None:
        self.bodies.append(body)

    def delivered(self) -> None:
        self.deliveries += 1

    def cut(self, fault: GatewayError) -> None:
        self.cuts.append(fault)

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    @property
    def body(self) -> bytes:
        return self.sent.partition(b"\r\n\r\n")[2]


def collector(client: Client, *, limit: int = 10, budget: Budget | None = None) -> Collector:
    return Collector(client, client.reply, 206, client.length, limit, budget or Budget(1000))


# The pipe


@given(st.lists(st.binary(min_size=1)))
def test_a_pipe_passes_every_byte_on_as_it_comes(chunks: list[bytes]) -> None:
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


def test_what_is_no_event_stream_cannot_follow_a_ping() -> None:
    client = Client()
    client.reply.begin(200, b"", b": ping\n\n")
    before = client.sent
    with pytest.raises(BrokenAnswer):
        client.pipe.feed(b"abc")
    assert client.sent == before
    assert not client.pipe.committed


# The collector


@given(st.lists(st.binary(max_size=4)))
def test_a_collected_body_is_handed_over_whole_and_nothing_is_sent(chunks: list[bytes]) -> None:
    client, budget = Client(), Budget(1000)
    collecting = collector(client, limit=1000, budget=budget)
    for chunk in chunks:
        collecting.feed(chunk)
    assert budget.used == sum(map(len, chunks))
    collecting.end()
    assert client.bodies == [b"".join(chunks)]
    assert (client.writes, client.commits, budget.used) == ([], 0, 0)
    assert not collecting.committed


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=2))
def test_a_body_beyond_the_limit_is_piped_from_its_first_byte(chunks: list[bytes]) -> None:
    whole, budget = b"".join(chunks), Budget(1000)
    client = Client(length=len(whole))
    collecting = collector(client, limit=len(whole) - 1, budget=budget)
    for chunk in chunks:
        collecting.feed(chunk)
    assert collecting.committed
    assert budget.used == 0
    collecting.end()
    assert client.body == whole
    assert (client.bodies, client.deliveries) == ([], 1)


def test_a_body_of_exactly_the_limit_is_collected() -> None:
    client = Client()
    collecting = collector(client, limit=3)
    collecting.feed(b"abc")
    collecting.end()
    assert client.bodies == [b"abc"]


def test_the_budget_of_the_process_bounds_what_is_held() -> None:
    client, budget = Client(), Budget(5)
    collecting = collector(client, limit=1000, budget=budget)
    collecting.feed(b"abc")
    with pytest.raises(Overloaded):
        collecting.feed(b"def")
    collecting.release()
    assert budget.used == 0


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 20))
def test_a_body_that_comes_whole_is_treated_like_one_that_comes_in_pieces(size: int, limit: int, cut: int) -> None:
    body, budget = bytes(range(size)), Budget(1000)
    whole, parted = Client(length=size), Client(length=size)
    for client, pieces in ((whole, [body]), (parted, [body[:cut], body[cut:]])):
        collecting = collector(client, limit=limit, budget=budget)
        for piece in filter(None, pieces):
            collecting.feed(piece)
        collecting.end()
        assert budget.used == 0
    assert (whole.bodies, whole.body, whole.commits, whole.deliveries) == (
        parted.bodies,
        parted.body,
        parted.commits,
        parted.deliveries,
    )


def test_a_body_that_comes_whole_takes_nothing_from_others() -> None:
    client, budget = Client(length=3), Budget(2)
    collecting = collector(client, budget=budget)
    collecting.feed(b"abc")
    assert budget.used == 0
    collecting.end()
    assert client.bodies == [b"abc"]


def test_what_breaks_beyond_the_limit_cuts_the_clients_connection() -> None:
    client, budget = Client(), Budget(1000)
    collecting = collector(client, limit=2, budget=budget)
    collecting.feed(b"abc")
    collecting.broken(FAULT)
    assert client.closed
    assert client.cuts == [FAULT]
    assert budget.used == 0
