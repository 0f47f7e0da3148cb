"""A compressed answer is decoded a piece in a turn of the loop, and only while somebody takes it."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from proxy.errors import BrokenAnswer, GatewayError
from proxy.net.inflate import PIECE
from proxy.net.inflating import Inflating


class Owner:
    def __init__(self, fails: Exception | None = None) -> None:
        self.heard: list[str] = []
        self.taken: list[int] = []
        self.fault: GatewayError | None = None
        self._fails = fails
        self.decoder = Inflating("gzip", self.take, self, asyncio.get_running_loop())

    def take(self, piece: bytes) -> None:
        self.taken.append(len(piece))
        if self._fails is not None and len(self.taken) > 1:
            raise self._fails

    def inflating(self) -> None:
        self.heard.append("inflating")

    def inflated(self) -> None:
        self.heard.append("inflated")

    def undecodable(self, fault: GatewayError) -> None:
        self.fault = fault
        self.decoder.stop()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_fits_into_one_turn_is_passed_on_at_once() -> None:
    owner = Owner()
    owner.decoder.feed(gzip.compress(bytes(PIECE // 2)))
    assert (sum(owner.taken), owner.heard) == (PIECE // 2, [])
    assert not owner.decoder.busy


async def test_one_read_is_decoded_over_many_turns() -> None:
    owner = Owner()
    owner.decoder.feed(gzip.compress(bytes(20 * PIECE)))
    assert (sum(owner.taken), owner.heard) == (PIECE, ["inflating"])
    seen = []
    while owner.decoder.busy:
        await turns(1)
        seen.append(sum(owner.taken))
    assert seen[:3] == [2 * PIECE, 3 * PIECE, 4 * PIECE]
    assert seen[-1] == 20 * PIECE
    assert owner.heard == ["inflating", "inflated"]
    assert not owner.decoder.cut


async def test_what_is_read_meanwhile_waits_its_turn() -> None:
    owner = Owner()
    packed = gzip.compress(bytes(5 * PIECE) + b"end")
    owner.decoder.feed(packed[:100])
    owner.decoder.feed(packed[100:])
    await turns(20)
    assert sum(owner.taken) == 5 * PIECE + 3
    assert owner.heard == ["inflating", "inflated"]


async def test_nothing_is_decoded_while_it_is_paused() -> None:
    owner = Owner()
    owner.decoder.feed(gzip.compress(bytes(5 * PIECE)))
    owner.decoder.pause()
    await turns(20)
    assert sum(owner.taken) == PIECE
    owner.decoder.feed(b"")
    owner.decoder.resume()
    await turns(20)
    assert sum(owner.taken) == 5 * PIECE
    assert owner.heard == ["inflating", "inflated"]


async def test_nothing_is_decoded_after_a_stop() -> None:
    owner = Owner()
    owner.decoder.feed(gzip.compress(bytes(5 * PIECE)))
    owner.decoder.stop()
    await turns(20)
    assert (sum(owner.taken), owner.heard) == (PIECE, ["inflating"])
    assert not owner.decoder.busy


async def test_damage_in_a_later_turn_is_told_to_the_owner() -> None:
    owner = Owner()
    owner.decoder.feed(gzip.compress(bytes(5 * PIECE))[:-8] + bytes(8))
    await turns(20)
    assert isinstance(owner.fault, BrokenAnswer)
    assert "inflated" not in owner.heard


async def test_a_mistake_in_a_later_turn_is_not_blamed_on_the_provider() -> None:
    owner = Owner(fails=RuntimeError("of a hook"))
    owner.decoder.feed(gzip.compress(bytes(5 * PIECE)))
    await turns(20)
    assert type(owner.fault) is GatewayError
    assert owner.fault.detail == "RuntimeError"


async def test_damage_in_the_first_turn_is_raised() -> None:
    with pytest.raises(BrokenAnswer):
        Owner().decoder.feed(b"this is not gzip")
