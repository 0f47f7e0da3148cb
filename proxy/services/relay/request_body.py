"""A request's body on its way to a service, at one address after the other as long as it can be sent again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from multidict import istr

from proxy.errors import Overloaded
from proxy.server.body import BodyReader

if TYPE_CHECKING:
    from proxy.client.connection import UpstreamConnection
    from proxy.net.budget import Budget
    from proxy.server.request import Request

MOST_KEPT: Final = 64 * 1024  # bytes that are held for another attempt
MEGABYTE: Final = 1024 * 1024

_EXPECT: Final = istr("Expect")
CHUNKED_LINE: Final = b"Transfer-Encoding: chunked\r\n"
CHUNKED_END: Final = b"0\r\n\r\n"


class RequestBody:
    """One task reads the client's body for all attempts. It waits while no connection is attached.

    ``keeps``: the request may be sent again after it was sent. What was read is kept then, up to ``MOST_KEPT`` bytes.
    ``failed`` gets what ends the body early: ClientFault, ClientGone. ``ended`` is called when all of it was read.
    """

    __slots__ = (
        "_attached",
        "_chunked",
        "_connection",
        "_ended",
        "_failed",
        "_keeps",
        "_kept",
        "_kept_size",
        "_loop",
        "_reader",
        "_task",
        "awaits_service",
        "begun",
        "complete",
        "lost",
    )

    def __init__(
        self,
        request: Request,
        max_body_mb: float,
        timeout: float,
        budget: Budget,
        *,
        keeps: bool,
        failed: Callable[[Exception], None],
        ended: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """``max_body_mb``: 0: no bound. Raises ClientFault (413) for a body that says that it is larger, Overloaded."""
        limit = int(max_body_mb * MEGABYTE) or sys.maxsize
        self._reader = BodyReader(request, limit, timeout, budget)
        self._chunked = self._reader.declared is None
        self._keeps = keeps
        self._failed = failed
        self._ended = ended
        self._loop = loop
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._connection: UpstreamConnection | None = None
        self._attached: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.begun = False  # a part of it was read
        self.lost = False  # it cannot be sent again
        self.complete = False  # all of it was read
        self.awaits_service = False  # and not the client
        if not self._chunked and (self._reader.declared or 0) > limit:
            raise self._reader.too_large()
        if request.body_received:
            whole = self._reader.take()
            self._kept.append(whole)
            self._kept_size = len(whole)
            self.begun = self.complete = True

    def __repr__(self) -> str:
        state = "complete" if self.complete else "begun" if self.begun else "fresh"
        return f"<RequestBody {state} {self.received} bytes{' lost' if self.lost else ''}>"

    @property
    def received(self) -> int:
        """Bytes that came from the client."""
        return self._reader.received

    @property
    def size(self) -> int:
        """Bytes of a complete body."""
        return self._kept_size

    def framing(self) -> bytes:
        """The header line for the next attempt."""
        if self.complete:
            return b"Content-Length: %d\r\n" % self._kept_size
        return CHUNKED_LINE if self._chunked else b"Content-Length: %d\r\n" % (self._reader.declared or 0)

    def kept(self) -> list[bytes]:
        """What is sent right behind the head, framed."""
        if self._chunked and not self.complete:
            return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in self._kept]
        return self._kept

    def attach(self, connection: UpstreamConnection) -> None:
        """The request was sent on ``connection`` with all that is kept: send the rest there."""
        if self.complete:
            return
        connection.sending = True
        self._connection = connection
        if self._task is None:
            self._continue()
            self._task = self._loop.create_task(self._pump())
        elif self._attached is not None and not self._attached.done():
            self._attached.set_result(None)

    def detach(self) -> None:
        """The attempt has ended: what comes is kept for the next one."""
        self._connection = None

    def stop(self) -> None:
        """No attempt follows."""
        self._connection = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._kept = []
        self._reader.release()

    def _continue(self) -> None:
        """RFC 9110 10.1.1: the client may wait for this before it sends its body."""
        request = self._reader.request
        if request.http11 and request.headers.get(_EXPECT, "").lower() == "100-continue":
            request.send_continue()

    async def _pump(self) -> None:
        """Read the body to its end."""
        try:
            async for piece in self._reader.untouched():
                self.begun = True
                self._keep(piece)
                connection = self._connection
                if connection is not None:
                    connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
                    self.awaits_service = True
                    await connection.drain()
                    self.awaits_service = False
                    connection.last_read = self._loop.time()
                if self._connection is None:
                    await self._next_connection()
        except Exception as fault:
            self._failed(fault)
            return
        self.complete = True
        connection = self._connection
        if connection is not None:
            if self._chunked:
                connection.write(CHUNKED_END)
            connection.sending = False
        self._ended()

    async def _next_connection(self) -> None:
        self._attached = self._loop.create_future()
        try:
            await self._attached
        finally:
            self._attached = None

    def _keep(self, piece: bytes) -> None:
        """Keep what was read, if it may be sent again and is small."""
        if self.lost:
            return
        if self._keeps and self._kept_size + len(piece) <= MOST_KEPT:
            try:
                self._reader.hold(len(piece))
            except Overloaded:
                pass  # only another attempt needs it
            else:
                self._kept.append(piece)
                self._kept_size += len(piece)
                return
        self.lost = True
        self._kept = []
        self._reader.release()
