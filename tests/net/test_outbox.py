"""The outbox, with a transport that records its calls and with real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from proxy.net.outbox import MOST, SMALL, BatchedTransport, Outbox
from tests.support import within


class Wire(asyncio.Transport):
    """Records its calls."""

    def __init__(self, calls: list[object], *, closed: bool = False) -> None:
        super().__init__()
        self.calls = calls
        self.closed = closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")
        self.calls.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.calls.append("lines")

    def write_eof(self) -> None:
        self.calls.append("eof")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")

    def get_write_buffer_size(self) -> int:
        self.calls.append("size")
        return 7


@pytest.fixture
def calls() -> list[object]:
    return []


async def turns() -> None:
    """Let the loop turn as often as small writes wait."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_small_writes_wait_for_two_turns_and_keep_their_order(calls: list[object]) -> None:
    outbox = Outbox(asyncio.get_running_loop())
    one, other = BatchedTransport(Wire(calls), outbox), BatchedTransport(Wire(calls), outbox)
    one.write(b"1")
    other.write(b"2")
    await asyncio.sleep(0)
    one.write(b"3")
    assert calls == []
    await turns()
    assert calls == [b"1", b"2", b"3"]
    one.write(b"4")
    await turns()
    assert calls == [b"1", b"2", b"3", b"4"]


async def test_the_number_of_waiting_writes_is_bounded(calls: list[object]) -> None:
    wire = BatchedTransport(Wire(calls), Outbox(asyncio.get_running_loop()))
    for number in range(MOST + 1):
        wire.write(b"%d" % number)
    assert calls == [b"%d" % number for number in range(MOST)]
    await turns()
    assert len(calls) == MOST + 1


async def test_a_large_write_does_not_wait_and_comes_after_those_that_did(calls: list[object]) -> None:
    large = b"x" * (SMALL + 1)
    wire = BatchedTransport(Wire(calls), Outbox(asyncio.get_running_loop()))
    wire.write(b"first")
    wire.write(large)
    assert calls == [b"first", large]


@pytest.mark.parametrize(
    ("act", "call"),
    [
        (BatchedTransport.close, "close"),
        (BatchedTransport.abort, "abort"),
        (BatchedTransport.write_eof, "eof"),
        (lambda wire: wire.writelines([b"1", b"2"]), "lines"),
        (BatchedTransport.get_write_buffer_size, "size"),
    ],
)
async def test_every_other_call_comes_after_the_writes(
    act: Callable[[BatchedTransport], object], call: str, calls: list[object]
) -> None:
    wire = BatchedTransport(Wire(calls), Outbox(asyncio.get_running_loop()))
    wire.write(b"last")
    act(wire)
    assert calls == [b"last", call]
    await turns()
    assert calls == [b"last", call]


async def test_a_closed_transport_does_not_lose_the_writes_of_others(calls: list[object]) -> None:
    outbox = Outbox(asyncio.get_running_loop())
    BatchedTransport(Wire(calls, closed=True), outbox).write(b"lost")
    BatchedTransport(Wire(calls), outbox).write(b"kept")
    await turns()
    assert calls == [b"kept"]


async def test_a_write_within_a_write_waits_for_its_own_turn(calls: list[object]) -> None:
    outbox = Outbox(asyncio.get_running_loop())
    inner = BatchedTransport(Wire(calls), outbox)
    outbox.post(lambda data: inner.write(data), b"from within")
    await turns()
    await turns()
    assert calls == [b"from within"]


async def test_what_precedes_is_called_before_all_that_waits(calls: list[object]) -> None:
    outbox = Outbox(asyncio.get_running_loop())
    wire = BatchedTransport(Wire(calls), outbox)
    wire.write(b"1")
    outbox.precede(lambda: calls.append("first"))
    wire.write(b"2")
    assert calls == []
    await turns()
    assert calls == ["first", b"1", b"2"]
    await turns()
    assert len(calls) == 3


async def test_what_precedes_is_called_if_nothing_is_written(calls: list[object]) -> None:
    outbox = Outbox(asyncio.get_running_loop())
    outbox.precede(lambda: calls.append("first"))
    assert calls == []
    await turns()
    assert calls == ["first"]


@pytest.mark.parametrize(
    ("send", "sent"),
    [
        (lambda wire: wire.write(b"x" * (SMALL + 1)), b"x" * (SMALL + 1)),
        (lambda wire: wire.writelines([b"1", b"2"]), "lines"),
        (BatchedTransport.write_eof, "eof"),
        (BatchedTransport.close, "close"),
    ],
)
async def test_what_precedes_is_called_before_what_does_not_wait(
    send: Callable[[BatchedTransport], object], sent: object, calls: list[object]
) -> None:
    outbox = Outbox(asyncio.get_running_loop())
    outbox.precede(lambda: calls.append("first"))
    send(BatchedTransport(Wire(calls), outbox))
    assert calls == ["first", sent]


async def test_close_after_the_last_write_loses_nothing_on_a_real_socket() -> None:
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    wire = BatchedTransport(transport, Outbox(loop))
    assert wire.get_extra_info("socket") is not None
    wire.write(b"the ")
    wire.write(b"end")
    wire.close()
    assert await within(reader.read(), "the end") == b"the end"
    writer.close()
    assert wire.is_closing()
