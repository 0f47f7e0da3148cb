"""One attempt of a request at one address: what is read from the service is written to the client.

The usual attempt takes no coroutine: the request is sent on an idle connection, and the callbacks of the connection
write the answer. A task dials where no connection is idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec import Struct

from proxy.client.connection import UpstreamConnection
from proxy.client.head import Head, read_head
from proxy.client.parser import discard
from proxy.errors import ConnectionBroken, GatewayError
from proxy.net.clocks import NEVER, Watch
from proxy.net.headers import Header
from proxy.relay.connect import connect
from proxy.services.live_service import ServiceTarget
from proxy.services.relay.address_use import AddressUse
from proxy.services.relay.bodiless import send_without_body
from proxy.services.relay.call_watch import watch_service
from proxy.services.relay.faults import AnswerRefused
from proxy.services.relay.header_tables import answer_lines, answer_mark, trailer_lines
from proxy.services.relay.request_head import BODILESS, EMPTY_BODY, start_of

if TYPE_CHECKING:
    from proxy.services.relay.relayed import RelayedRequest

_CONTINUE: Final = 100
_BODILESS: Final = frozenset((204, 304))  # RFC 9110 15.3.5 and 15.4.5


class ServiceCall(Struct, eq=False):
    """The sink of its connection. ``stop`` ends it from outside."""

    due: ClassVar[float] = 0.0  # for the ticker, which checks the call until it has a watch

    relayed: RelayedRequest
    use: AddressUse
    target: ServiceTarget
    connection: UpstreamConnection | None = None  # from sending the request to the end of the answer
    sent_at: float | None = None
    seen: Head | None = None
    ended: bool = False
    _watch: Watch | None = None
    _connecting: asyncio.Task[None] | None = None
    _repeated: bool = False  # after a kept-alive connection died
    _write: Callable[[bytes], None] | None = None  # takes whole chunks of the answer
    _trailers: bytes = b""

    def __repr__(self) -> str:
        return f"<ServiceCall {self.target.authority} {self.seen!r} {self.connection!r}>"

    def start(self, now: float) -> None:
        transport = self.relayed.relay.transport
        connection = transport.pool.take(self.target.origin, now)
        if connection is None:
            self._connecting = transport.loop.create_task(self._connect())
        else:
            self._send(connection, now)

    def stop(self) -> None:
        """End what runs. The connection is closed, as its answer will not be complete."""
        self.ended = True
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        connection = self.connection
        if connection is not None:
            self.connection = None
            connection.abort()
            self._unwatch()

    async def _connect(self) -> None:
        """Send on a new connection. Runs as a task, so that it can be canceled without the request."""
        relayed = self.relayed
        transport = relayed.relay.transport
        try:
            connection = await connect(transport.pool, self.target.origin, relayed.service.clocks, NEVER)
        except asyncio.CancelledError:
            return  # not raised again: nothing awaits this task, and the error with its frames would form a cycle
        except Exception as fault:
            self._connecting = None
            self.fail(fault)
            return
        self._connecting = None
        if self.ended:
            transport.pool.release(connection)
        else:
            self._send(connection, transport.loop.time())

    def _send(self, connection: UpstreamConnection, now: float) -> None:
        relayed, target = self.relayed, self.target
        request, body = relayed.request, relayed.body
        host = relayed.host if relayed.service.settings.preserve_host and relayed.host else target.authority
        method = request.method
        start = start_of(method, target, relayed.path, request.query, host)
        if body is None:
            data = b"".join((start, relayed.lines, b"\r\n" if method in BODILESS else EMPTY_BODY))
        else:
            data = b"".join((start, relayed.lines, body.framing(), b"\r\n", *body.kept()))
        if connection.forwarding is not None:
            data = connection.forwarding.apply(data)
        self.connection, self.sent_at = connection, now
        connection.send((data,), self, now, method == "HEAD", self)
        relayed.relay.transport.ticker.add(self)
        if body is not None:
            body.attach(connection)

    def _repeat(self, fault: GatewayError, connection: UpstreamConnection) -> bool:
        """Send again, once, on a new connection if a kept-alive one died before any answer. Returns whether it does."""
        if not (
            isinstance(fault, ConnectionBroken)
            and not fault.response_begun
            and connection.uses > 1
            and not self._repeated
            and self.relayed.repeatable(sent=True)
        ):
            return False
        self._repeated = True
        relayed = self.relayed
        if relayed.body is not None:
            relayed.body.detach()
        self._connecting = relayed.relay.transport.loop.create_task(self._connect())
        return True

    def fail(self, fault: Exception) -> None:
        """End without a whole answer."""
        self.stop()
        self.relayed.failed(self, fault)

    # -- the service's side (Sink, WholeSink) -----------------------------------------------------

    def read_head(self, status: int, headers: list[Header]) -> Head:
        return read_head(status, headers, answer_mark, answer_lines)

    def interim(self, status: int, headers: list[Header]) -> None:
        """Early hints, for example. The gateway expects no 100, and has sent its own (RFC 9110 15.2)."""
        if status != _CONTINUE:
            self.relayed.request.reply.interim(status, answer_lines(headers))

    def head(self, head: Head) -> Callable[[bytes], None]:
        relayed, connection, status = self.relayed, self.connection, head.status
        assert connection is not None
        self.seen = head
        self.use.headed(status, connection.last_read)
        if self._watch is not None:
            self._watch.head_seen()
        if status in relayed.rules.statuses and relayed.has_another(self):
            raise AnswerRefused(status)
        if head.length == 0 or status in _BODILESS or relayed.request.reply.head_only:
            return discard  # it ends in this read
        connection.on_pause = self._begin
        return self._take

    def _take(self, piece: bytes) -> None:
        """Bytes of the body. All of it in one read, with its head, is one write."""
        reply, head = self.relayed.request.reply, self.seen
        if reply.begun:
            reply.write(piece)
            return
        assert head is not None
        if len(piece) == head.length:
            reply.send(head.status, self.relayed.answer_lines(head), piece)
        else:
            self._begin(piece)

    def _begin(self, first: bytes = b"") -> None:
        """Send the head, with what there is of the body."""
        reply, head, connection = self.relayed.request.reply, self.seen, self.connection
        if head is None or connection is None:
            return
        connection.on_pause = None
        reply.begin(head.status, self.relayed.answer_lines(head), first, length=head.length)
        self._write = reply.for_frames()
        if self._write is not None:
            connection.on_frame = self._frame

    def _frame(self, content: bytes, chunk: bytes) -> bool:
        """The fast lane of ``client/connection.py``: a chunk goes on with the framing that it came in."""
        assert self._write is not None
        self._write(chunk)
        self.relayed.request.reply.bytes_out += len(content)
        return True

    def trailer(self, name: bytes, value: bytes) -> None:
        self._trailers += trailer_lines(((name, value),))

    def end(self) -> None:
        relayed, connection, head = self.relayed, self.connection, self.seen
        assert connection is not None
        assert head is not None
        # Before the release: the connection may then serve another call, and no clock of this one may fire.
        self.connection = None
        self.ended = True
        relayed.relay.transport.ticker.discard(self)
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        reply = relayed.request.reply
        if reply.begun:
            if not reply.ended:
                reply.end(b"", self._trailers)
        else:
            send_without_body(reply, head, relayed.answer_lines(head), self._trailers)
        if connection.paused:
            connection.resume_reading()
        relayed.relay.transport.pool.release(connection)
        relayed.succeeded(self, connection.last_read)

    def broken(self, fault: GatewayError) -> None:
        connection = self.connection
        self.connection = None
        self._unwatch()
        if connection is None or not self._repeat(fault, connection):
            self.fail(fault)

    # -- clocks and backpressure ------------------------------------------------------------------

    def look(self, now: float) -> None:
        """The first tick of the ticker: from now on a watch replaces the call there."""
        watch = self.watch
        if watch is not None:
            watch.look(now)

    @property
    def watch(self) -> Watch | None:
        """The clocks of the running attempt, made when they are first needed; ``None`` while nothing was sent."""
        watch, connection, sent_at = self._watch, self.connection, self.sent_at
        if watch is None and connection is not None and sent_at is not None:
            self.relayed.relay.transport.ticker.discard(self)
            self._watch = watch = watch_service(self, connection, sent_at)
        return watch

    def renew_watch(self) -> None:
        """Other clocks run from now on: the client has sent all of its body."""
        if self.connection is not None:
            self._unwatch()
            self.relayed.relay.transport.ticker.add(self)

    def _unwatch(self) -> None:
        self.relayed.relay.transport.ticker.discard(self)
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
