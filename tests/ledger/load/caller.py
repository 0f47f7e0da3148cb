"""Callers: each sends one request after the other on a connection of its own, and reads just enough of the answers."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence

from tests.ledger.load.requests import LEAVES_AFTER, LoadRequest, Requests

_LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.I)
RETRY_SECS = 0.05  # before a gateway that is down is tried again


class Load:
    """``ports``: of the gateways, a list that may change. ``endings`` counts statuses, ``cut`` and ``left``."""

    def __init__(self, requests: Requests, ports: Sequence[int], callers: int) -> None:
        self._ports = ports
        self.endings: Counter[str] = Counter()
        self._requests = requests
        self._callers = callers
        self._enough: Callable[[], object] = bool

    async def send(self, enough: Callable[[], object]) -> None:
        """Send requests until there are ``enough``, and return when all have ended."""
        self._enough = enough
        async with asyncio.TaskGroup() as group:
            for number in range(self._callers):
                group.create_task(self._call(number))

    def take(self) -> LoadRequest | None:
        """The next request; ``None``: there were enough."""
        return None if self._enough() else self._requests.take()

    async def _call(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        while not self._enough():
            port = self._ports[number % len(self._ports)]
            try:
                transport, wire = await loop.create_connection(lambda: _Wire(self), "127.0.0.1", port)
            except OSError:
                await asyncio.sleep(RETRY_SECS)
                continue
            try:
                await wire.ended
            finally:
                transport.abort()


class _Wire(asyncio.Protocol):
    """A connection: sends the next request when an answer has ended, until it breaks or there is none."""

    def __init__(self, load: Load) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._load = load
        self._busy = False
        self._leaves = False
        self._timer: asyncio.TimerHandle | None = None
        self._reset()

    def _reset(self) -> None:
        self._buffer = b""
        self._status = b""
        self._missing = 0  # bytes of the body
        self._chunked = False
        self._closes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        # Not now: uvloop closes the socket of a transport twice that is aborted in here.
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        if self.ended.done():
            return
        request = self._load.take()
        if request is None:
            self._end()
            return
        self._reset()
        self._busy, self._leaves = True, request.leaves
        if request.leaves:
            self._timer = asyncio.get_running_loop().call_later(LEAVES_AFTER, self._leave)
        self._transport.write(request.data)

    def data_received(self, data: bytes) -> None:
        if self._leaves:
            self._leave()
            return
        if not self._status:
            head, mark, data = (self._buffer + data).partition(b"\r\n\r\n")
            if not mark:
                self._buffer = head
                return
            self._read_head(head)
        if self._chunked:
            tail = self._buffer = (self._buffer + data)[-7:]
            if tail.endswith(b"\r\n0\r\n\r\n"):
                self._done()
        else:
            self._missing -= len(data)
            if self._missing <= 0:
                self._done()

    def _read_head(self, head: bytes) -> None:
        self._status, self._buffer = head[9:12], b""
        lower = head.lower()
        self._chunked = b"\ntransfer-encoding: chunked" in lower
        self._closes = b"\nconnection: close" in lower
        length = _LENGTH.search(head)
        self._missing = int(length[1]) if length else 0

    def _done(self) -> None:
        self._busy = False
        self._load.endings[self._status.decode()] += 1
        if self._closes:
            self._end()
        else:
            self._next()

    def _leave(self) -> None:
        if self._busy and self._leaves:
            self._busy = False
            self._load.endings["left"] += 1
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._busy:
            self._busy = False
            self._load.endings["cut"] += 1
        self._end()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        if not self.ended.done():
            self.ended.set_result(None)
