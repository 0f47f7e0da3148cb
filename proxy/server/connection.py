"""The client's socket: aiohttp's parser below, the request loop above.

``Connection`` replaces the parts of aiohttp's ``RequestHandler`` that a gateway cannot use. There, protocol errors
echo the offending bytes, a partial head never times out, a client that leaves while reading is paused goes unnoticed,
and every request costs a task, a ``StreamWriter`` and a ``BaseRequest``. Here a request costs one wake-up of the
connection's own task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from proxy.config.schema import ServerSettings as Settings
from proxy.errors import ClientFault, GatewayError
from proxy.net.outbox import BatchedTransport
from proxy.server.aiohttp_internals import ErrInfo
from proxy.server.connection_limit import address_of
from proxy.server.departure import DepartureWatch
from proxy.server.reply import Reply
from proxy.server.request_loop import run_requests
from proxy.server.security import SecureReply

if TYPE_CHECKING:
    from proxy.server.request import Request
    from proxy.server.server import Server

MAX_LINE = 16 * 1024
MAX_FIELD = 32 * 1024
MAX_FIELDS = 200

_parse = RequestHandler.data_received  # `super()` makes an object for every read


class Connection(RequestHandler):
    """One client connection. Its requests are answered one after the other.

    ``remote``: the client's address, if the peer is a proxy that named it. ``certificate_name``: the name in the
    certificate that the client has proved to own. ``secure``: over TLS; the TLS layer has admitted it, and will note
    its end. ``request`` is the one that runs.
    """

    __slots__ = (
        "_closing",
        "_departure",
        "_head_timeout",
        "certificate_name",
        "head_clock",
        "remote",
        "reply_type",
        "request",
        "secure",
    )

    def __init__(
        self,
        server: Server,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        remote: str = "",
        certificate_name: str = "",
        *,
        secure: bool,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=settings.keep_alive_secs,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for "no access log"
            max_line_size=MAX_LINE,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
            auto_decompress=False,
        )
        self._head_timeout = settings.header_timeout_secs
        self.head_clock: asyncio.TimerHandle | None = None
        self._departure = DepartureWatch(loop)
        self._closing: asyncio.TimerHandle | None = None
        self.request: Request | None = None
        self.remote = remote
        self.certificate_name = certificate_name
        self.secure = secure
        self.reply_type: type[Reply] = SecureReply if secure else Reply

    # -- callbacks of asyncio and aiohttp ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.remote:  # else a proxy has named it
            self.remote = address_of(transport)  # now; the peer's name is gone after a disconnect
        if not self.secure:
            server = cast("Server", self._manager)
            refusal = server.limiter.admit(self.remote)
            if refusal is not None:
                self._parser = None  # parser and connection refer to each other
                server.limiter.turn_away(cast("asyncio.Transport", transport), refusal)
                return
            transport = BatchedTransport(cast("asyncio.Transport", transport), server.outbox)
        super().connection_made(transport)

    def start(self) -> Coroutine[Any, Any, None]:
        """The connection's task."""
        return run_requests(self)

    def data_received(self, data: bytes) -> None:
        try:
            _parse(self, data)
        except HttpProcessingError:  # from bytes behind an upgrade that was declined
            self.force_close()
            return
        messages = self._messages
        if messages:
            if isinstance(messages[-1][0], ErrInfo):
                self._break_body()
            return
        if self.request is not None or self.head_clock is not None or self._close or not self._head_timeout:
            return
        self.head_clock = self._loop.call_later(self._head_timeout, self._head_late)
        # A head that has begun in time is not cut off by the clock of idle connections.
        self._next_keepalive_close_time = self._loop.time() + self._head_timeout + 1.0

    def eof_received(self) -> None:
        # A plain close would first wait until the client, which has left, takes what is buffered for it.
        if self.request is not None and self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._manager is not None and not self.secure:
            cast("Server", self._manager).limiter.release(self.remote)
        self._departure.stop()
        self.stop_head_clock()
        super().connection_lost(exc)
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self.request is not None:
            self.request.lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        request = self.request
        if request is not None:
            request.writing_paused = True
            if request.flow is not None:
                request.flow.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        request = self.request
        if request is not None:
            request.writing_paused = False
            if request.flow is not None:
                request.flow.resume()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls this for every body that was read, and each time runs the parser over nothing.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _pause_transport_reading(self) -> None:
        super()._pause_transport_reading()
        if self.transport is not None:
            self._departure.start(self.transport)

    def _resume_transport_reading(self) -> None:
        self._departure.stop()
        super()._resume_transport_reading()

    def force_close(self) -> None:
        transport = self.transport
        super().force_close()
        if transport is not None and self._manager is not None:
            self.close_in_time(transport)

    # -- for the request loop ---------------------------------------------------------------------

    def refuse(self, fault: GatewayError) -> None:
        """Answer bytes that are no request."""
        if self.transport is not None:
            reply = self.reply_type(self.transport, http10=False, head_only=False, keep_alive=False)
            cast("Server", self._manager).on_fault(reply, fault)

    def close_in_time(self, transport: asyncio.Transport) -> None:
        """Close once what is unsent was taken, or after ``clientStall``: the client may never take it."""
        transport.close()
        seconds = cast("Server", self._manager).flushing.client_stall if self._manager is not None else 0.0
        if seconds and self._closing is None:
            self._closing = self._loop.call_later(seconds, transport.abort)

    def stop_head_clock(self) -> None:
        if self.head_clock is not None:
            self.head_clock.cancel()
            self.head_clock = None

    # -- faults below the request -----------------------------------------------------------------

    def _break_body(self) -> None:
        """The bytes of a body are no HTTP. Its reader would wait for an end that never comes."""
        fault = web.RequestPayloadError()
        if len(self._messages) > 1:  # the body of a request that has not begun yet
            payload = self._messages[-2][1]
            if not payload.is_eof():
                payload.set_exception(fault)
        elif self.request is not None:
            self.request.cut_body(fault)

    def _head_late(self) -> None:
        self.head_clock = None
        if self._waiter is None or self._waiter.done():
            return
        self.refuse(ClientFault("The request head did not arrive in time.", status=408, code="head_timeout"))
        self.force_close()
