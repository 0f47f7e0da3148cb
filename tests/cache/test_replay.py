"""An answer that is given again: to slow clients, to clients that leave, and beside other requests."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from proxy.cache.replay import AT_ONCE, _play
from tests.cache.flows import CHAT, STREAM, ask, cached, state
from tests.support import Upstream, chat_events, sse_answer, until
from tests.support.gateway import Gateway

LONG = chat_events(*(f"{number} " + "x" * 8000 for number in range(1000)))
SETTINGS = {"maxAnswerKb": 32_768}


class Written:
    """An outlet that keeps what is written."""

    def __init__(self) -> None:
        self.begun = False
        self.pieces: list[bytes] = []

    def begin(self, status: int, header_lines: bytes, first: bytes = b"") -> None:
        self.begun = True
        self.pieces += [first] if first else []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def end(self, last: bytes = b"") -> None:
        self.pieces.append(last)


async def test_other_requests_run_during_a_long_replay() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def flushed() -> None:
        """The client reads all at once."""

    outlet, running = Written(), asyncio.ensure_future(others())
    responder: Any = SimpleNamespace(outlet=outlet, request=SimpleNamespace(flush=flushed))
    events = [b"data: %d\n\n" % number for number in range(10 * AT_ONCE)]
    await _play(responder, b"", list(events))
    running.cancel()
    assert outlet.pieces == events
    assert turns >= 9


async def test_a_client_that_reads_slowly_gets_the_whole_stream() -> None:
    async with Upstream() as up, Gateway(cached(up, SETTINGS)) as gw:
        up.queue(sse_answer(*LONG))
        await ask(await gw.client(), STREAM)
        slow = await gw.client(receive_buffer=4096)
        await slow.request("POST", CHAT, json=STREAM)
        head = await slow.read_head()
        await until(lambda: gw.bytes_sent > 0, "the replay to begin")
        assert gw.bytes_sent < len(b"".join(LONG))  # it waits for the client
        received = bytearray()
        while chunk := await slow.read_chunk():
            received += chunk
        assert head.header("x-router-cache") == "hit"
        assert received == b"".join(LONG)


async def test_a_client_may_leave_during_a_replay() -> None:
    async with Upstream() as up, Gateway(cached(up, SETTINGS)) as gw:
        up.queue(sse_answer(*LONG))
        await ask(await gw.client(), STREAM)
        leaving = await gw.client(receive_buffer=4096)
        await leaving.request("POST", CHAT, json=STREAM)
        await leaving.read_head()
        leaving.close()
        await until(lambda: gw.app.serving.running == 0, "the replay to end")
        assert state(await ask(await gw.client(), STREAM)) == "hit"
        assert len(up.requests) == 1
