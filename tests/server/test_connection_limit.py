"""How many connections there may be, in all and from one address: the count itself."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.schema import ServerSettings as Settings
from proxy.server.connection import Connection
from proxy.server.connection_limit import MAX_LINGERING, ConnectionLimiter
from tests.support import until
from tests.support.front import Front, ended


def limiter(**settings: object) -> ConnectionLimiter:
    return ConnectionLimiter(Settings(**settings), lambda reply, fault: None, lambda reason: None)  # type: ignore[arg-type]


def code(door: ConnectionLimiter, address: str) -> str:
    refusal = door.admit(address)
    return "" if refusal is None else str(refusal.code)


ADDRESSES = st.sampled_from(["127.0.0.1", "127.0.0.2", "10.0.0.1", "2001:db8::1", "2001:db8:0:1::1", ""])


@given(
    st.lists(st.tuples(st.booleans(), ADDRESSES), max_size=60),
    st.integers(1, 8),
    st.integers(0, 4),
)
def test_the_bounds_hold_whoever_comes_and_goes(events: list[tuple[bool, str]], most: int, most_of_one: int) -> None:
    door = limiter(max_connections=most, max_connections_per_address=most_of_one)
    inside: Counter[str] = Counter()
    for comes, address in events:
        if comes:
            full = inside.total() >= most
            full_of_one = bool(most_of_one and address and inside[address] >= most_of_one)
            refusal = door.admit(address)
            assert (refusal is not None) == (full or full_of_one)
            inside[address] += refusal is None
        elif inside[address]:
            door.release(address)
            inside[address] -= 1
        assert door.connections == inside.total()
    for address in inside.elements():
        door.release(address)
    assert door.connections == 0
    assert door._of_address == {}


def test_a_refusal_says_which_bound_it_was_and_counts_nothing() -> None:
    door = limiter(max_connections=2, max_connections_per_address=1)
    assert [code(door, "10.0.0.1"), code(door, "10.0.0.1")] == ["", "too_many_connections_of_address"]
    assert [code(door, "10.0.0.2"), code(door, "10.0.0.3")] == ["", "too_many_connections"]
    assert door.connections == 2


def test_addresses_of_one_ipv6_network_of_64_bits_count_as_one() -> None:
    door = limiter(max_connections_per_address=1)
    assert code(door, "2001:db8::1") == ""
    assert code(door, "2001:db8::ffff:2") == "too_many_connections_of_address"
    assert code(door, "2001:db8:0:1::1") == ""
    door.release("2001:db8::1")
    assert code(door, "2001:db8::3") == ""


def test_a_zone_is_no_part_of_the_address() -> None:
    door = limiter(max_connections_per_address=1)
    assert [code(door, "fe80::1%eth0"), code(door, "fe80::1%eth1")] == ["", "too_many_connections_of_address"]


@pytest.mark.parametrize("network", ["10.1.0.0/16", "10.1.2.3", "10.1.9.9/16"])
def test_a_trusted_proxy_speaks_for_many(network: str) -> None:
    door = limiter(max_connections_per_address=1, trusted_proxies=[network])
    assert [code(door, "10.1.2.3") for _ in range(3)] == ["", "", ""]
    assert [code(door, "10.2.0.1"), code(door, "10.2.0.1")] == ["", "too_many_connections_of_address"]
    for _ in range(3):
        door.release("10.1.2.3")
    assert door.connections == 1


def test_neighbours_on_a_link_are_told_apart() -> None:
    door = limiter(max_connections_per_address=1)
    assert [code(door, "fe80::1"), code(door, "fe80::2"), code(door, "::1"), code(door, "::2")] == [""] * 4


def test_ipv4_within_ipv6_is_ipv4() -> None:
    door = limiter(max_connections_per_address=1, trusted_proxies=["unix", "10.1.0.0/16"])
    assert [code(door, "10.0.0.1"), code(door, "::ffff:10.0.0.1")] == ["", "too_many_connections_of_address"]
    assert [code(door, "::ffff:10.1.0.1"), code(door, "10.1.0.1")] == ["", ""]


def test_the_peers_of_a_unix_socket_have_no_address_to_count() -> None:
    door = limiter(max_connections=3, max_connections_per_address=1)
    assert [code(door, "") for _ in range(4)] == ["", "", "", "too_many_connections"]


# -- who is turned away ---------------------------------------------------------------------------


async def test_who_is_turned_away_is_told_why_although_its_request_is_never_read() -> None:
    async with Front(max_connections=1) as front:
        first = await front.client()
        assert (await first.fetch("GET", "/first")).status == 200
        second = await front.client()
        await second.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + bytes(300_000))
        answer = await second.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (503, "too_many_connections")
        assert answer.json["error"]["type"] == "overloaded_error"
        assert answer.header("retry-after") == "1"
        assert answer.header("connection") == "close"
        assert await second.eof() == b""
        assert front.rejected == ["too_many_connections"]
        assert (await first.fetch("GET", "/again")).body == b"/again"


async def test_a_place_is_free_again_once_somebody_has_left() -> None:
    async with Front(max_connections=2) as front:
        first, second = await front.client(), await front.client()
        assert (await first.fetch("GET", "/")).status == (await second.fetch("GET", "/")).status == 200
        first.close()
        await until(lambda: front.limiter.connections == 1, "the first to be gone")
        assert (await (await front.client()).fetch("GET", "/third")).body == b"/third"


async def test_one_address_may_not_take_all_places() -> None:
    async with Front(max_connections_per_address=2) as front:
        for _ in range(2):
            front.silent("127.0.0.2")
        await until(lambda: front.limiter.connections == 2, "both to be in")
        assert b'"too_many_connections_of_address"' in await ended(front.silent("127.0.0.2"))
        assert (await (await front.client()).fetch("GET", "/")).status == 200


async def test_who_does_not_take_his_leave_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.server.connection_limit.LINGER_SECS", 0.1)
    async with Front(max_connections=1) as front:
        front.silent()
        await until(lambda: front.limiter.connections == 1, "the first to be in")
        front.silent()
        await until(lambda: front.limiter._lingering, "the second to be turned away")
        await until(lambda: not front.limiter._lingering, "its time to be over")


async def test_of_a_flood_only_some_are_told_and_all_are_counted() -> None:
    async with Front(max_connections=1) as front:
        front.silent()
        await until(lambda: front.limiter.connections == 1, "the first to be in")
        flood = [front.silent() for _ in range(MAX_LINGERING + 20)]
        await until(lambda: len(front.rejected) == MAX_LINGERING + 20, "all of them to be turned away")
        answers = await asyncio.gather(*map(ended, flood))
        told = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
        assert MAX_LINGERING <= len(told) < len(flood)
        assert set(answers) - set(told) == {b""}
        assert front.limiter.connections == 1


def alive() -> int:
    return sum(isinstance(each, Connection) for each in gc.get_objects())


async def test_who_was_turned_away_leaves_no_object_behind() -> None:
    async with Front(max_connections=1) as front:
        front.silent()
        await until(lambda: front.limiter.connections == 1, "the first to be in")
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for _ in range(20):
                await ended(front.silent())
            await until(lambda: alive() <= before, "all of them to be forgotten")
        finally:
            gc.enable()


async def test_a_stop_does_not_wait_for_those_on_their_way_out() -> None:
    async with Front(max_connections=1) as front:
        front.silent()
        await until(lambda: front.limiter.connections == 1, "the first to be in")
        second = front.silent()
        await until(lambda: front.limiter._lingering, "the second to be turned away")
        await front.listener.stop()
        assert (await ended(second)).startswith(b"HTTP/1.1 503 ")
        await until(lambda: not front.limiter._lingering, "it to be cut off")
