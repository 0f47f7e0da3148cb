from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from multidict import CIMultiDict

from proxy.errors import ClientFault, ClientGone, GatewayError, Overloaded
from proxy.net.budget import Budget
from proxy.services.relay.request_body import MOST_KEPT, RequestBody
from tests.support import until


class ToService:
    """The part of a connection that a body uses. It takes nothing while ``full``."""

    def __init__(self) -> None:
        self.sent = b""
        self.sending = False
        self.last_read = 0.0
        self._free = asyncio.Event()
        self._free.set()

    def write(self, piece: bytes) -> None:
        self.sent += piece

    async def drain(self) -> None:
        await self._free.wait()

    def block(self) -> None:
        self._free.clear()

    def unblock(self) -> None:
        self._free.set()


class Rig:
    def __init__(
        self, *headers: tuple[str, str], keeps: bool = True, max_body_mb: float = 0.0, arrived: bytes | None = None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        protocol = BaseProtocol(self.loop)
        protocol.connection_made(asyncio.Transport())
        self.payload = StreamReader(protocol, 2**22, loop=self.loop)
        self.budget = Budget(10**6)
        self.continued = self.ended = 0
        self.failures: list[Exception] = []
        if arrived is not None:
            self.payload.feed_data(arrived)
            self.payload.feed_eof()
        request = SimpleNamespace(
            payload=self.payload,
            headers=CIMultiDict(headers),
            http11=True,
            body_received=arrived is not None,
            send_continue=self._continue,
        )
        self.body = RequestBody(
            cast(Any, request),
            max_body_mb,
            60.0,
            self.budget,
            keeps=keeps,
            failed=self.failures.append,
            ended=self._end,
            loop=self.loop,
        )

    def _continue(self) -> None:
        self.continued += 1

    def _end(self) -> None:
        self.ended += 1

    def attach(self, to: ToService) -> None:
        """As an attempt does: what is kept goes with the head."""
        to.sent += self.body.framing() + b"".join(self.body.kept())
        self.body.attach(cast(Any, to))

    async def feed(self, piece: bytes) -> None:
        received = self.body.received
        self.payload.feed_data(piece)
        await until(lambda: self.body.received == received + len(piece), "the body to be read")


async def test_a_body_that_came_whole_goes_with_the_head() -> None:
    rig = Rig(("Transfer-Encoding", "chunked"), keeps=False, arrived=b"hello")
    first, second = ToService(), ToService()
    rig.attach(first)
    rig.body.detach()
    rig.attach(second)
    assert first.sent == second.sent == b"Content-Length: 5\r\nhello"
    assert (first.sending, rig.body.complete, rig.body.received, rig.budget.used) == (False, True, 5, 5)
    rig.body.stop()
    assert rig.budget.used == 0


async def test_a_body_is_sent_as_it_comes() -> None:
    rig, to = Rig(("Content-Length", "6")), ToService()
    rig.attach(to)
    assert (to.sent, to.sending) == (b"Content-Length: 6\r\n", True)
    await rig.feed(b"abc")
    await until(lambda: to.sent.endswith(b"abc"), "the first part")
    await rig.feed(b"def")
    rig.payload.feed_eof()
    await until(lambda: rig.ended, "the end")
    assert (to.sent, to.sending, rig.continued) == (b"Content-Length: 6\r\nabcdef", False, 0)
    rig.body.stop()


async def test_a_body_without_a_length_is_chunked() -> None:
    rig, to = Rig(("Transfer-Encoding", "chunked")), ToService()
    rig.attach(to)
    await rig.feed(b"abc")
    rig.payload.feed_eof()
    await until(lambda: rig.ended, "the end")
    assert to.sent == b"Transfer-Encoding: chunked\r\n3\r\nabc\r\n0\r\n\r\n"
    rig.body.stop()


async def test_the_client_is_told_to_go_on_once_there_is_a_connection() -> None:
    rig = Rig(("Content-Length", "3"), ("Expect", "100-Continue"))
    assert rig.continued == 0
    rig.attach(ToService())
    assert rig.continued == 1
    rig.body.detach()
    rig.attach(ToService())
    assert rig.continued == 1
    rig.body.stop()


@pytest.mark.parametrize("chunked", [False, True])
async def test_another_attempt_gets_what_was_sent_and_the_rest(chunked: bool) -> None:
    header = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "9")
    rig, first, second, third = Rig(header), ToService(), ToService(), ToService()
    rig.attach(first)
    await rig.feed(b"abc")
    rig.body.detach()
    await rig.feed(b"def")  # between two attempts
    rig.attach(second)
    await rig.feed(b"ghi")
    rig.payload.feed_eof()
    await until(lambda: rig.ended, "the end")
    if chunked:
        assert second.sent == b"Transfer-Encoding: chunked\r\n3\r\nabc\r\n3\r\ndef\r\n3\r\nghi\r\n0\r\n\r\n"
    else:
        assert second.sent == b"Content-Length: 9\r\nabcdefghi"
    rig.attach(third)
    assert third.sent == b"Content-Length: 9\r\nabcdefghi"
    assert rig.budget.used == 9
    rig.body.stop()
    assert rig.budget.used == 0


async def test_an_attempt_may_begin_while_the_one_before_still_blocks() -> None:
    rig, first, second = Rig(("Content-Length", "6")), ToService(), ToService()
    rig.attach(first)
    first.block()
    await rig.feed(b"abc")
    await until(lambda: rig.body.awaits_service, "the service to block")
    rig.body.detach()
    rig.attach(second)
    first.unblock()
    await rig.feed(b"def")
    rig.payload.feed_eof()
    await until(lambda: rig.ended, "the end")
    assert second.sent == b"Content-Length: 6\r\nabcdef"
    rig.body.stop()


async def test_while_no_attempt_runs_one_part_is_read_and_no_more() -> None:
    rig, to = Rig(("Content-Length", "6")), ToService()
    rig.attach(to)
    rig.body.detach()
    await rig.feed(b"abc")
    rig.payload.feed_data(b"def")
    for _ in range(5):
        await asyncio.sleep(0)
    assert rig.body.received == 3
    rig.body.stop()


async def test_a_large_body_cannot_be_sent_again() -> None:
    rig, to = Rig(("Content-Length", str(MOST_KEPT + 1))), ToService()
    rig.attach(to)
    await rig.feed(b"x" * MOST_KEPT)
    assert (rig.body.lost, rig.budget.used) == (False, MOST_KEPT)
    await rig.feed(b"x")
    assert (rig.body.lost, rig.budget.used) == (True, 0)
    rig.body.stop()


async def test_nothing_is_kept_of_a_body_that_is_sent_once() -> None:
    rig = Rig(("Content-Length", "6"), keeps=False)
    assert not rig.body.lost
    rig.attach(ToService())
    await rig.feed(b"abc")
    assert (rig.body.lost, rig.budget.used) == (True, 0)
    rig.body.stop()


async def test_a_full_gateway_keeps_nothing() -> None:
    rig, to = Rig(("Content-Length", "6")), ToService()
    rig.budget.limit = 2
    rig.attach(to)
    await rig.feed(b"abc")
    await until(lambda: to.sent.endswith(b"abc"), "the first part")
    assert (rig.body.lost, rig.failures) == (True, [])
    rig.body.stop()
    rig = Rig()
    rig.budget.limit = 2
    with pytest.raises(Overloaded):
        Rig.__init__(rig, arrived=b"x" * 2_000_000)


@pytest.mark.parametrize("headers", [[("Content-Length", "2000000")], [("Transfer-Encoding", "chunked")]])
async def test_a_body_beyond_the_bound_of_its_route_is_refused(headers: list[tuple[str, str]]) -> None:
    if headers[0][0] == "Content-Length":
        with pytest.raises(ClientFault) as found:
            Rig(*headers, max_body_mb=1.0)
        fault: Exception = found.value
    else:
        rig = Rig(*headers, max_body_mb=1.0)
        rig.attach(ToService())
        rig.payload.feed_data(b"x" * 2_000_000)
        await until(lambda: rig.failures, "the refusal")
        fault = rig.failures[0]
        rig.body.stop()
    assert isinstance(fault, GatewayError)
    assert (fault.status, fault.code) == (413, "request_too_large")


async def test_a_client_that_leaves_within_its_body_is_gone() -> None:
    rig = Rig(("Content-Length", "6"))
    rig.attach(ToService())
    await rig.feed(b"abc")
    rig.payload.set_exception(ClientGone())
    await until(lambda: rig.failures, "the end of the body")
    assert isinstance(rig.failures[0], ClientGone)
    assert not rig.body.complete
    rig.body.stop()
