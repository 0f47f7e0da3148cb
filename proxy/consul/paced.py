"""Connections whose answers are read a few at a time, by aiohttp's client.

One change can answer 100 blocking queries at once. The loop would parse all of them in one turn, and resume all the
tasks that wait for them in the next one: 25 ms in which nothing else is done.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from functools import partial
from typing import Any, Final

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler

AT_ONCE: Final = 4  # connections that are read in each turn of the loop; each takes about 0.3 ms until its next query


class ReadPacer:
    """What connections have received and not read yet. They are read in the order in which they began to wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: OrderedDict[PacedResponses, bytearray] = OrderedDict()
        self._scheduled = False

    def put(self, connection: PacedResponses, data: bytes) -> None:
        """Read ``data`` after what waits already. The loop calls this for all its connections in one turn."""
        self._waiting.setdefault(connection, bytearray()).extend(data)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._read_some)

    def flush(self, connection: PacedResponses) -> None:
        """Read what a connection has received, now."""
        data = self._waiting.pop(connection, None)
        if data is not None:
            connection.take(bytes(data))

    def _read_some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            connection, data = self._waiting.popitem(last=False)
            connection.take(bytes(data))
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            self._loop.call_soon(self._read_some)


class PacedResponses(ResponseHandler):
    """A connection that hands what it receives to ``pacer``."""

    def __init__(self, pacer: ReadPacer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._pacer = pacer

    def data_received(self, data: bytes) -> None:
        self._pacer.put(self, data)

    def take(self, data: bytes) -> None:
        super().data_received(data)

    def eof_received(self) -> None:
        self._pacer.flush(self)
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._pacer.flush(self)
        super().connection_lost(exc)


def paced_connector(connections: int, tls: ssl.SSLContext | bool) -> TCPConnector:
    """A connector with at most so many connections. ``tls``: as aiohttp's ``ssl``. Needs a running loop."""
    connector = TCPConnector(limit=connections, ssl=tls)
    loop = asyncio.get_running_loop()
    made: Any = partial(PacedResponses, ReadPacer(loop), loop)
    connector._factory = made  # aiohttp has no parameter for it
    return connector
