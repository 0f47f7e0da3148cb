"""Responses of aiohttp and aiohttp-sse on our connections.

They write to an ``AbstractStreamWriter``. Ours writes to the ``Reply`` of the request, which handles framing, TLS,
HTTP/1.0 and disconnects as for every other response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage
from multidict import CIMultiDict
from yarl import URL

from proxy.net.clocks import Watch
from proxy.server.request import Request

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler

# Headers that the reply sets itself; Date and Server are not sent.
_SKIPPED: Final = frozenset(("transfer-encoding", "content-length", "connection", "date", "server"))


class ReplyWriter(AbstractStreamWriter):
    """Writes to the client of ``request``; assign it to ``request.flow``.

    ``gone`` is called when the client has disconnected or is being disconnected. A client that reads nothing for
    ``clientStall`` is disconnected.
    """

    last_read = 0.0  # as a Flow: no upstream clock runs

    def __init__(self, request: Request, gone: Callable[[], None]) -> None:
        self._request = request
        self._reply = request.reply
        self._gone = gone
        self._stall: Watch | None = None  # while writing is paused
        self._flowing = asyncio.Event()
        if not request.writing_paused:
            self._flowing.set()

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        status = int(status_line.split(" ", 2)[1])
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _SKIPPED)
        self._reply.begin(status, lines.encode("latin-1"))

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Raises ConnectionResetError after a disconnect, like aiohttp's own writer."""
        self._check()
        if len(chunk):
            self._reply.write(bytes(chunk))
        if not self._flowing.is_set():
            await self.drain()

    async def drain(self) -> None:
        await self._flowing.wait()
        self._check()

    async def write_eof(self, chunk: bytes = b"") -> None:
        if not self._request.gone and not self._reply.ended and not self._reply.aborted:
            self._reply.end(bytes(chunk))

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        raise NotImplementedError

    def enable_chunking(self) -> None:
        """Nothing to do: the reply frames the body."""

    def _check(self) -> None:
        if self._request.gone or self._reply.aborted:
            raise ConnectionResetError("The client disconnected.")

    # -- as a Flow --------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        return self._request.unsent

    def pause(self) -> None:
        self._flowing.clear()
        if not self._request.gone:
            self._stall = self._request.flushing.watch(self, lambda clock, seconds: self.drop())

    def resume(self) -> None:
        if self._stall is not None:
            self._stall.stop()
        self._flowing.set()

    def client_gone(self) -> None:
        self._gone()
        self.resume()

    def interrupt(self, reason: BaseException | None) -> None:
        self._gone()
        self.resume()

    def drop(self) -> None:
        """Abort the connection of a client that does not read, so that its buffers are freed."""
        self._reply.abort()
        self.resume()


class _Protocol:
    """The attributes that aiohttp's request reads from its protocol when it is made."""

    ssl_context = None
    peername = None
    sockname = None
    transport = None


def aiohttp_request(request: Request, writer: ReplyWriter) -> web.BaseRequest:
    """``request`` as aiohttp's type, for a handler that responds with an aiohttp response through ``writer``."""
    message = RawRequestMessage(
        request.method,
        f"{request.path}?{request.query}" if request.query else request.path,
        HttpVersion11 if request.http11 else HttpVersion10,
        request.headers,
        request.raw_headers,
        not request.reply.keep_alive,
        None,
        False,
        False,
        URL.build(path=request.path, query_string=request.query, encoded=True),
    )
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    return web.BaseRequest(message, request.payload, cast("RequestHandler", _Protocol()), writer, task, loop)
