"""Flow control of answers that no provider feeds."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from proxy.errors import ClientGone, ShuttingDown
from proxy.net.budget import Budget
from proxy.net.clocks import Ticker
from proxy.server.flush import PIECE, Flush, Flushing, send
from proxy.server.reply import Reply
from proxy.server.request import Request
from tests.support import until, within


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class SlowRequest:
    """A request whose client has not read ``unsent`` bytes."""

    def __init__(self, method: str = "GET") -> None:
        self.method = method
        self.wire = Wire()
        self.reply = Reply(self.wire, http10=False, head_only=method == "HEAD", keep_alive=True)
        self.flow: Flush | None = None
        self.unsent = 100
        self.flushes = 0

    async def flush(self) -> None:
        self.flushes += 1


def as_request(request: SlowRequest) -> Request:
    return cast("Request", request)


async def flushing(request: SlowRequest, budget: Budget, seconds: float = 60.0) -> tuple[Flushing, asyncio.Task[None]]:
    loop = asyncio.get_running_loop()
    waiting = Flushing(loop, Ticker(loop), budget, seconds)
    task = asyncio.ensure_future(waiting.wait(as_request(request)))
    await until(lambda: request.flow is not None, "the flow to be set")
    return waiting, task


async def test_it_waits_until_the_client_reads_and_counts_what_is_unsent() -> None:
    request, budget = SlowRequest(), Budget(1000)
    _, task = await flushing(request, budget)
    assert budget.used == 100
    assert request.flow is not None
    request.flow.pause()  # which changes nothing
    request.flow.resume()
    await within(task, "the client to have read")
    assert (budget.used, request.flow) == (0, None)


async def test_it_ends_when_the_client_leaves() -> None:
    request, budget = SlowRequest(), Budget(1000)
    _, task = await flushing(request, budget)
    assert request.flow is not None
    request.flow.client_gone()
    request.flow.client_gone()
    with pytest.raises(ClientGone):
        await task
    assert (budget.used, request.flow) == (0, None)


async def test_an_interruption_cuts_the_connection() -> None:
    request = SlowRequest()
    _, task = await flushing(request, Budget(1000))
    assert request.flow is not None
    request.flow.interrupt(ShuttingDown("Stop."))
    with pytest.raises(ShuttingDown):
        await task
    assert request.wire.aborted


async def test_a_client_that_reads_nothing_is_disconnected() -> None:
    request = SlowRequest()
    _, task = await flushing(request, Budget(1000), seconds=0.01)
    flow = request.flow
    with pytest.raises(ClientGone):
        await within(task, "the clock to run out")
    assert request.wire.aborted
    assert flow is not None
    assert flow.stalled


@pytest.mark.parametrize("size", [0, 5, PIECE])
async def test_a_small_answer_is_one_write(size: int) -> None:
    request = SlowRequest()
    await send(as_request(request), request.reply, 200, b"", b"x" * size)
    assert (len(request.wire.writes), request.flushes) == (1, 0)


async def test_a_large_answer_goes_out_piece_by_piece() -> None:
    request, body = SlowRequest(), bytes(range(256)) * 1000
    await send(as_request(request), request.reply, 200, b"", body)
    head, sent = b"".join(request.wire.writes).split(b"\r\n\r\n", 1)
    assert sent == body
    assert b"Content-Length: 256000" in head
    assert (request.flushes, max(map(len, request.wire.writes)) <= PIECE + 200) == (3, True)
    assert request.reply.ended


async def test_the_answer_to_head_has_no_body_however_large() -> None:
    request = SlowRequest("HEAD")
    await send(as_request(request), request.reply, 200, b"", b"x" * 10 * PIECE)
    assert len(request.wire.writes) == 1
    assert request.wire.writes[0].endswith(b"Content-Length: 655360\r\n\r\n")
