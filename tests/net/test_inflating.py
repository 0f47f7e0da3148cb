"""A compressed answer is decoded one piece per turn of the loop, and only while its consumer takes it."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from proxy.errors import BrokenAnswer, GatewayError
from proxy.net.inflate import PIECE
from proxy.net.inflating import Inflating


class Stage:
    """Both neighbors of an inflater: the connection that it reads from, and the consumer of the body."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.taken: list[int] = []
        self.fault: GatewayError | None = None
        self._fails = fails
        self.inflater = Inflating("gzip", self.take, self, self, asyncio.get_running_loop())

    def take(self, piece: bytes) -> None:
        self.taken.append(len(piece))
        if self._fails is not None and len(self.taken) > 1:
            raise self._fails

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def abort(self) -> None:
        self.calls.append("abort")

    def end(self) -> None:
        self.calls.append("end")

    def broken(self, fault: GatewayError) -> None:
        self.fault = fault
        self.inflater.stop()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_small_read_is_decoded_at_once() -> None:
    stage = Stage()
    stage.inflater.feed(gzip.compress(bytes(PIECE // 2)))
    assert (sum(stage.taken), stage.calls) == (PIECE // 2, [])
    assert not stage.inflater.busy


async def test_one_read_is_decoded_over_many_turns() -> None:
    stage = Stage()
    stage.inflater.feed(gzip.compress(bytes(20 * PIECE)))
    assert (sum(stage.taken), stage.calls) == (PIECE, ["pause"])
    seen = []
    while stage.inflater.busy:
        await turns(1)
        seen.append(sum(stage.taken))
    assert seen[:3] == [2 * PIECE, 3 * PIECE, 4 * PIECE]
    assert seen[-1] == 20 * PIECE
    assert stage.calls == ["pause", "resume"]
    assert not stage.inflater.cut


async def test_reads_while_decoding_wait_their_turn() -> None:
    stage = Stage()
    packed = gzip.compress(bytes(5 * PIECE) + b"end")
    stage.inflater.feed(packed[:100])
    stage.inflater.feed(packed[100:])
    await turns(20)
    assert sum(stage.taken) == 5 * PIECE + 3
    assert stage.calls == ["pause", "resume"]


async def test_nothing_is_decoded_while_it_is_paused() -> None:
    stage = Stage()
    stage.inflater.feed(gzip.compress(bytes(5 * PIECE)))
    stage.inflater.pause()
    await turns(20)
    assert sum(stage.taken) == PIECE
    stage.inflater.feed(b"")
    stage.inflater.resume()
    await turns(20)
    assert sum(stage.taken) == 5 * PIECE
    assert stage.calls == ["pause", "resume"]


async def test_nothing_is_decoded_after_a_stop() -> None:
    stage = Stage()
    stage.inflater.feed(gzip.compress(bytes(5 * PIECE)))
    stage.inflater.stop()
    await turns(20)
    assert (sum(stage.taken), stage.calls) == (PIECE, ["pause"])
    assert not stage.inflater.busy


async def test_damage_in_a_later_turn_closes_the_connection() -> None:
    stage = Stage()
    stage.inflater.feed(gzip.compress(bytes(5 * PIECE))[:-8] + bytes(8))
    await turns(20)
    assert isinstance(stage.fault, BrokenAnswer)
    assert stage.calls == ["pause", "abort"]


async def test_a_defect_in_a_later_turn_is_not_blamed_on_the_provider() -> None:
    stage = Stage(fails=RuntimeError("of a hook"))
    stage.inflater.feed(gzip.compress(bytes(5 * PIECE)))
    await turns(20)
    assert type(stage.fault) is GatewayError
    assert stage.fault.detail == "RuntimeError"


async def test_damage_in_the_first_turn_is_raised() -> None:
    with pytest.raises(BrokenAnswer):
        Stage().inflater.feed(b"this is not gzip")


async def test_the_end_is_passed_on_once_all_is_decoded() -> None:
    stage = Stage()
    stage.inflater.feed(gzip.compress(bytes(5 * PIECE)))
    stage.inflater.at_end = True
    await turns(20)
    assert (sum(stage.taken), stage.calls) == (5 * PIECE, ["pause", "end"])
