"""Answers that come at once are read a few in each turn of the loop."""

from __future__ import annotations

import asyncio
from typing import Any

from proxy.consul.paced import AT_ONCE, PacedResponses, ReadPacer, paced_connector


class Recorded(PacedResponses):
    """What aiohttp would read, with the number of the connection."""

    def __init__(self, pacer: ReadPacer, number: int, read: list[tuple[int, bytes]]) -> None:
        super().__init__(pacer, asyncio.get_running_loop())
        self._number = number
        self._taken = read

    def take(self, data: bytes) -> None:
        self._taken.append((self._number, data))


async def turns(read: list[Any]) -> list[int]:
    """How many answers were read after each turn of the loop, until nothing is read any more."""
    counts = [0]
    while True:
        await asyncio.sleep(0)
        if counts[-1] == len(read):
            return counts[1:]
        counts.append(len(read))


def connections(count: int) -> tuple[list[Recorded], list[tuple[int, bytes]]]:
    pacer, read = ReadPacer(asyncio.get_running_loop()), list[tuple[int, bytes]]()
    return [Recorded(pacer, number, read) for number in range(count)], read


async def test_answers_that_come_at_once_are_read_in_order_and_a_few_in_each_turn() -> None:
    made, read = connections(2 * AT_ONCE + 1)
    for each in made:
        each.data_received(b"answer")
    assert read == []
    assert await turns(read) == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1]
    assert read == [(number, b"answer") for number in range(len(made))]


async def test_pieces_of_one_answer_are_read_together() -> None:
    [one, other], read = connections(2)
    one.data_received(b"an")
    other.data_received(b"x")
    one.data_received(b"swer")
    await turns(read)
    assert read == [(0, b"answer"), (1, b"x")]


async def test_what_came_before_the_end_of_a_connection_is_read_first() -> None:
    [one, other], read = connections(2)
    one.data_received(b"answer")
    other.data_received(b"x")
    other.eof_received()
    assert read == [(1, b"x")]
    one.connection_lost(None)
    assert read == [(1, b"x"), (0, b"answer")]
    await turns(read)
    assert len(read) == 2


async def test_connections_of_aiohttp_are_paced() -> None:
    connector = paced_connector(8, True)
    assert isinstance(connector._factory(), PacedResponses)
    assert connector.limit == 8
    await connector.close()
