"""The client's socket: aiohttp's parser and server below, our own request loop above.

``Connection`` replaces the parts of aiohttp's ``RequestHandler`` that a gateway cannot live with: protocol
errors echo the offending bytes, a partial head never times out, a client that leaves while reading is
paused goes unnoticed, and every request costs a task, a ``StreamWriter`` and a ``BaseRequest``. Here a
request costs one wake-up of the connection's own task.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo
from multidict import CIMultiDictProxy

from proxy.config.schema import ServerSettings as Settings
from proxy.errors import ClientFault, ClientGone, GatewayError
from proxy.net.outbox import BatchedTransport, Outbox
from proxy.server.connection_limit import ConnectionLimiter, address_of
from proxy.server.flush import Flushing
from proxy.server.rare import has_rare
from proxy.server.reply import Reply
from proxy.server.security import SecureReply
from proxy.server.target import origin_form

DEPARTURE_CHECK_SECS = 2.0  # how often a paused socket is asked whether its peer still lives
LINGER_SECS = 5.0  # how long we take in what nobody wants, so that the client reads our answer
MAX_LINE = 16 * 1024
MAX_FIELD = 32 * 1024
MAX_FIELDS = 200
PIPELINED_AT_ONCE = 16  # answered in a row without a wait; then other connections have their turn

_TRANSFER_ENCODING = hdrs.TRANSFER_ENCODING
_VERSIONS = (HttpVersion11, HttpVersion10)  # what else llhttp takes (0.9, 2.0) is no request of HTTP/1.1

_parse = RequestHandler.data_received  # `super()` makes an object for every read


class Flow(Protocol):
    """Whoever feeds a reply: it is told when the client takes no more, and when it left."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_gone(self) -> None: ...
    def interrupt(self, reason: BaseException | None) -> None: ...


class Request:
    """One request as the client sent it; ``reply`` is where its answer goes.

    ``remote`` is the peer's address, ``""`` on a unix socket.
    """

    __slots__ = (
        "_connection",
        "_continued",
        "_task",
        "ended_by",
        "flow",
        "gone",
        "headers",
        "http11",
        "method",
        "path",
        "payload",
        "query",
        "rare",
        "raw_headers",
        "remote",
        "reply",
        "response_lines",
        "upgrade",
    )

    def __init__(self, connection: Connection, message: RawRequestMessage, payload: StreamReader) -> None:
        self._connection = connection
        self.remote = connection.remote
        self.method: str = message.method
        target = message.path
        self.headers: CIMultiDictProxy[str] = message.headers
        if target[:1] != "/":
            target, self.headers = origin_form(target, message.headers)
        self.path, _, self.query = target.partition("?")
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = message.raw_headers
        self.rare = has_rare(message.raw_headers)  # if not, none of the headers in rare.py is there
        self.http11 = message.version is HttpVersion11 or message.version == HttpVersion11  # the parser's own, mostly
        self.payload = payload
        self.upgrade: bool = message.upgrade
        self._continued = False
        self._task = connection._task_handler
        self.gone = False
        self.ended_by: BaseException | None = None  # why the handler was cancelled, if we did it
        self.flow: Flow | None = None
        self.response_lines = b""  # header lines that every answer carries, those of CORS for example
        transport = connection.transport
        assert transport is not None
        # By position: a call of a class by names costs as much again.
        self.reply = connection.reply_type(
            transport, not self.http11, self.method == "HEAD", not message.should_close and not self.upgrade
        )

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"

    @property
    def secure(self) -> bool:
        """Whether it came to us over TLS; of a proxy before us it tells nothing."""
        return self._connection.secure

    @property
    def writing_paused(self) -> bool:
        return self._connection.writing_paused

    @property
    def unsent(self) -> int:
        """Bytes of the reply that the kernel did not take yet."""
        transport = self._connection.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    async def flush(self) -> None:
        """Wait until what is unsent is no more than any connection may hold. Raises ClientGone."""
        flushing = self.flushing
        if self._connection.writing_paused:
            await flushing.wait(self)

    @property
    def flushing(self) -> Flushing:
        """What waits for clients of this listener. Raises ClientGone."""
        server = self._connection._manager
        if self.gone or server is None:
            raise ClientGone
        return cast("Server", server).flushing

    def send_continue(self) -> None:
        """RFC 9110 10.1.1: the client waits for this before it sends its body."""
        self._continued = True
        transport = self._connection.transport
        if transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def body_taken(self) -> bool:
        """Whether the whole body has come."""
        return self.payload.is_eof() and self.payload.exception() is None

    @property
    def body_withheld(self) -> bool:
        """Whether the rest of the body may never come, so that what follows could be taken for it."""
        if self.payload.exception() is not None:
            return True
        return not self.payload.is_eof() and "Expect" in self.headers and not self._continued

    def cut_body(self, reason: BaseException) -> None:
        """Whoever reads the body gets ``reason``, unless all of it has come."""
        payload = self.payload
        if not payload.is_eof():
            payload.set_exception(reason)
            # aiohttp's reader looks for an exception before it waits, not after: only the end surely wakes it.
            payload.feed_eof()

    def lost(self) -> None:
        """The connection is gone (or half of it is, which counts as gone)."""
        self.gone = True
        if self.flow is not None:
            self.cut_body(ClientGone())
            self.flow.client_gone()
        elif not (self.reply.ended and self.body_taken):  # it may well leave once it has its answer
            self._end(ClientGone())

    def interrupt(self, reason: GatewayError) -> None:
        """End whatever is being done for this request; ``reason`` is told to the client."""
        if self.flow is not None:
            self.cut_body(reason)
            self.flow.interrupt(reason)
        else:
            self._end(reason)

    def _end(self, reason: BaseException) -> None:
        """The handler waits for the body, or for something that knows no flow (a hook): there only this helps."""
        if not self.body_taken:
            self.cut_body(reason)
        elif self._task is not None:
            self.ended_by = reason
            self._task.cancel()


class Connection(RequestHandler):
    """One client connection; requests on it are answered one after the other.

    ``secure``: over TLS; then whoever made it has let it in, and will note that it left.
    """

    __slots__ = (
        "_closing",
        "_departure",
        "_head_clock",
        "_head_timeout",
        "_on_fault",
        "_request",
        "remote",
        "reply_type",
        "secure",
    )

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop, settings: Settings, *, secure: bool) -> None:
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
        self._on_fault = server.on_fault
        self._request: Request | None = None
        self._head_clock: asyncio.TimerHandle | None = None
        self._departure: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self.remote = ""
        self.secure = secure
        self.reply_type: type[Reply] = SecureReply if secure else Reply

    # -- asyncio ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.remote = address_of(transport)  # noted now: of a client that has left, nobody can tell it
        if not self.secure:
            doorman = cast("Server", self._manager).doorman
            refusal = doorman.enter(self.remote)
            if refusal is not None:  # of this object nothing more is heard
                self._parser = None  # they hold each other
                doorman.turn_away(cast("asyncio.Transport", transport), refusal)
                return
            transport = BatchedTransport(cast("asyncio.Transport", transport), cast("Server", self._manager).outbox)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        try:
            _parse(self, data)
        except HttpProcessingError:  # from bytes behind an upgrade that we declined
            self.force_close()
            return
        messages = self._messages
        if messages:
            if isinstance(messages[-1][0], _ErrInfo):
                self._break_body()
            return
        if self._request is not None or self._head_clock is not None or self._close or not self._head_timeout:
            return
        self._head_clock = self._loop.call_later(self._head_timeout, self._head_late)
        # A head that has begun in time is not cut off by the clock of idle connections.
        self._next_keepalive_close_time = self._loop.time() + self._head_timeout + 1.0

    def eof_received(self) -> None:
        # Closing alone would first wait until a client that has left takes what is buffered for it.
        if self._request is not None and self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._manager is not None and not self.secure:
            cast("Server", self._manager).doorman.leave(self.remote)
        self._stop_watching()
        self._stop_head_clock()
        super().connection_lost(exc)
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._request is not None:
            self._request.lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._request is not None and self._request.flow is not None:
            self._request.flow.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._request is not None and self._request.flow is not None:
            self._request.flow.resume()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp calls this for every body that was read, and each time runs the parser over nothing.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _pause_transport_reading(self) -> None:
        super()._pause_transport_reading()
        if self._departure is None and self.transport is not None:
            self._departure = self._loop.call_later(DEPARTURE_CHECK_SECS, self._look_for_departure)

    def _resume_transport_reading(self) -> None:
        self._stop_watching()
        super()._resume_transport_reading()

    # -- the request loop -------------------------------------------------------------------------

    async def start(self) -> None:
        """Take requests off the queue until the connection ends (aiohttp runs this as a task)."""
        server = cast("Server", self._manager)
        in_a_row = 0
        try:
            while not self._force_close:
                if not self._messages:
                    in_a_row = 0
                    self._waiter = self._loop.create_future()
                    try:
                        await self._waiter
                    finally:
                        self._waiter = None
                elif in_a_row >= PIPELINED_AT_ONCE:
                    in_a_row = 0
                    await asyncio.sleep(0)
                    continue
                in_a_row += 1
                if self._head_clock is not None:
                    self._stop_head_clock()
                message, payload = self._messages.popleft()
                if self._parser is not None:
                    self._parser.message_consumed()
                if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                    self._resume_reading_if_drained()
                if self.transport is None:
                    break
                if (
                    isinstance(message, _ErrInfo)
                    or (message.version is not HttpVersion11 and message.version not in _VERSIONS)
                    or (_TRANSFER_ENCODING in message.headers and not _plainly_chunked(message))
                ):
                    self._tell(_fault_of(message))
                    await self._linger()
                    break
                server.requests_count += 1
                self._request = request = Request(self, message, payload)
                try:
                    await server.request_handler(request)  # type: ignore[arg-type]  # ours, not BaseRequest
                    if self._paused and request.reply.ended:
                        await self._flush(request)  # before the next one: its answer would be held as well
                finally:
                    self._request = None
                taken = request.body_taken
                if not taken:
                    await self._clear_away(request)
                    taken = request.body_taken
                if not (self._serves_on(request) and taken):
                    break
                del request  # it would live on as long as the client has no other
                self._await_next()
        finally:  # whatever failed: no client is left waiting
            if self.transport is not None:
                self._close_in_time(self.transport)

    async def _flush(self, request: Request) -> None:
        """Wait until the client took most of an answer that is written; what becomes of it stands in the reply."""
        try:
            await request.flush()
        except ClientGone:
            pass
        except GatewayError:  # it was interrupted: the connection is cut
            pass

    def _serves_on(self, request: Request) -> bool:
        """Whether another request may follow on this connection, once all of this one has been read."""
        reply = request.reply
        if not reply.ended and not request.gone:
            reply.abort()
        if self.transport is None or self._force_close or reply.aborted:
            return False
        return reply.keep_alive and not self._close and not self._upgraded

    async def _clear_away(self, request: Request) -> None:
        """The request was answered before all of its body came."""
        reply = request.reply
        if self.transport is None or self._force_close or reply.aborted or not reply.ended:
            return
        if reply.keep_alive:
            await self._swallow(request.payload)
        else:
            await self._linger()

    async def _swallow(self, payload: StreamReader) -> None:
        """Read a body that nobody wants, for the sake of the request behind it."""
        try:
            async with asyncio.timeout(LINGER_SECS):
                while not payload.is_eof():
                    await payload.readany()
        except (TimeoutError, ClientGone, OSError, web.RequestPayloadError):
            pass

    async def _linger(self) -> None:
        """Close in stages (RFC 9112 9.6): closing with unread bytes in the socket makes the kernel send a reset,
        which can overtake our answer on its way to the client."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._close = True  # whatever still comes is forgotten unread
        transport.write_eof()
        self._resume_transport_reading()
        self._waiter = self._loop.create_future()  # cancelled when the client closes
        try:
            async with asyncio.timeout(LINGER_SECS):
                await self._waiter
        except TimeoutError:
            pass
        finally:
            self._waiter = None

    def force_close(self) -> None:
        transport = self.transport
        super().force_close()
        if transport is not None and self._manager is not None:
            self._close_in_time(transport)

    def _close_in_time(self, transport: asyncio.Transport) -> None:
        """Close once what is unsent was taken; a client that takes nothing would keep the socket open for ever."""
        transport.close()
        seconds = cast("Server", self._manager).flushing.client_stall if self._manager is not None else 0.0
        if seconds and self._closing is None:
            self._closing = self._loop.call_later(seconds, transport.abort)

    def _await_next(self) -> None:
        timeout = self._keepalive_timeout
        if not timeout:
            return
        self._next_keepalive_close_time = self._loop.time() + timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    # -- what goes wrong below the request --------------------------------------------------------

    def _break_body(self) -> None:
        """The bytes of a body are no HTTP: whoever reads it would wait for an end that never comes."""
        fault = web.RequestPayloadError()
        if len(self._messages) > 1:  # its request has not been begun yet
            payload = self._messages[-2][1]
            if not payload.is_eof():
                payload.set_exception(fault)
        elif self._request is not None:
            self._request.cut_body(fault)

    def _head_late(self) -> None:
        self._head_clock = None
        if self._waiter is None or self._waiter.done():
            return
        self._tell(ClientFault("The request head did not arrive in time.", status=408, code="head_timeout"))
        self.force_close()

    def _tell(self, fault: GatewayError) -> None:
        if self.transport is not None:
            reply = self.reply_type(self.transport, http10=False, head_only=False, keep_alive=False)
            self._on_fault(reply, fault)

    def _stop_head_clock(self) -> None:
        if self._head_clock is not None:
            self._head_clock.cancel()
            self._head_clock = None

    # -- a client that leaves while we do not read ------------------------------------------------

    def _look_for_departure(self) -> None:
        """Nobody reads a paused socket, so nobody sees its end: ask the kernel."""
        self._departure = None
        if self.transport is None:
            return
        if _peer_left(self.transport):
            self.transport.abort()
        else:
            self._departure = self._loop.call_later(DEPARTURE_CHECK_SECS, self._look_for_departure)

    def _stop_watching(self) -> None:
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None


def _fault_of(message: _ErrInfo | RawRequestMessage) -> ClientFault:
    """Bytes that are no request: what we say of them repeats none."""
    if not isinstance(message, _ErrInfo):
        if message.version not in _VERSIONS:
            return ClientFault("The request line names another version than HTTP/1.1.", status=505, code="http_version")
        return ClientFault("The request has a transfer coding that we do not read.", status=501, code="transfer_coding")
    cause = message.exc
    if isinstance(cause, LineTooLong):
        return ClientFault("The request line or a header field is too long.", status=431, code="headers_too_large")
    if isinstance(cause, BadHttpMethod) and "HTTPS" in cause.message:
        return ClientFault("This port speaks plain HTTP, not TLS.", code="tls_on_plain_port")
    return ClientFault("The request is not valid HTTP/1.1.", code="malformed_request")


def _plainly_chunked(message: RawRequestMessage) -> bool:
    """Whether the body is framed as every server reads it.

    RFC 9112 6.1: aiohttp removes the chunks of ``gzip, chunked`` and leaves the rest, takes an empty coding for none,
    and an HTTP/1.0 request must not be chunked at all.
    """
    codings = [each.strip().lower() for each in message.headers.getall(_TRANSFER_ENCODING)]
    return message.chunked and message.version == HttpVersion11 and codings == ["chunked"]


def _peer_left(transport: asyncio.Transport) -> bool:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    # POLLRDHUP is Linux's; elsewhere only a reset is seen while reading is paused.
    poll.register(sock.fileno(), getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


class Server(web.Server):
    """Makes a ``Connection`` for every client.

    ``on_fault`` writes an error for what never became a request, and counts it; ``rejected`` only counts, by the
    reason, those whom nothing is told. What its clients are sent goes through ``outbox``, and ``flushing`` waits for
    those that are slow to take it.
    """

    def __init__(
        self,
        handler: Callable[[Request], Awaitable[None]],
        settings: Settings,
        on_fault: Callable[[Reply, GatewayError], None],
        rejected: Callable[[str], None],
        outbox: Outbox,
        flushing: Flushing,
    ) -> None:
        super().__init__(handler)  # type: ignore[arg-type]  # our handler takes our Request
        self._settings = settings
        self.on_fault = on_fault
        self.outbox = outbox
        self.flushing = flushing
        self.doorman = ConnectionLimiter(settings, on_fault, rejected)

    def __call__(self) -> Connection:
        return Connection(self, self._loop, self._settings, secure=False)

    def secured(self) -> Connection:
        """The same over TLS, for a client that was let in."""
        return Connection(self, self._loop, self._settings, secure=True)
