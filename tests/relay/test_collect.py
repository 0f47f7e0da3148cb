from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BrokenAnswer, Overloaded
from proxy.net.budget import Budget
from proxy.relay.collect import Collector, ErrorCollector
from tests.relay.body_owner import FAULT, Client


def collector(client: Client, *, limit: int = 10, budget: Budget | None = None) -> Collector:
    return Collector(client, client.pipe, client.length, limit, budget or Budget(1000))


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


def test_a_body_beyond_the_limit_that_is_needed_whole_is_an_error() -> None:
    client, budget = Client(), Budget(1000)
    collecting = Collector(client, client.pipe, None, 3, budget, whole=True)
    collecting.feed(b"abc")
    with pytest.raises(BrokenAnswer, match="limit 3 bytes"):
        collecting.feed(b"d")
    collecting.release()
    assert (client.writes, client.bodies, budget.used) == ([], [], 0)


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


def test_a_body_that_comes_whole_takes_nothing_of_the_budget() -> None:
    client, budget = Client(length=3), Budget(2)
    collecting = collector(client, budget=budget)
    collecting.feed(b"abc")
    assert budget.used == 0
    collecting.end()
    assert client.bodies == [b"abc"]


def test_a_break_beyond_the_limit_cuts_the_clients_connection() -> None:
    client, budget = Client(), Budget(1000)
    collecting = collector(client, limit=2, budget=budget)
    collecting.feed(b"abc")
    collecting.broken(FAULT)
    assert client.closed
    assert client.cuts == [FAULT]
    assert budget.used == 0


def test_an_error_is_handed_over_whole_at_its_end() -> None:
    client, budget = Client(), Budget(1000)
    collecting = ErrorCollector(client, None, 10, budget)
    collecting.feed(b"abc")
    collecting.feed(b"def")
    assert (client.bodies, budget.used) == ([], 6)
    collecting.end()
    assert (client.bodies, client.writes, budget.used) == ([b"abcdef"], [], 0)


def test_an_error_beyond_the_limit_is_handed_over_empty_at_once() -> None:
    client, budget = Client(), Budget(1000)
    collecting = ErrorCollector(client, None, 4, budget)
    collecting.feed(b"abc")
    collecting.feed(b"def")
    assert (client.bodies, budget.used) == ([b""], 0)
    collecting.feed(b"ghi")
    collecting.end()
    assert client.bodies == [b""]
