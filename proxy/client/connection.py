"""One HTTP/1.1 connection to a provider: requests out, answer bytes in, nothing in between.

httptools parses (RFC 9112); bounds and endings are kept here because it keeps none: header bytes, HEAD,
1xx, bodies that end with the connection, bytes after the end. One read buffer serves all connections of a
loop, since ``buffer_updated`` consumes it synchronously; a plain ``Protocol`` would cost uvloop's TLS
reader a 256 KiB allocation per token.

A read that is exactly one chunk, as most tokens are, may be passed on with its framing by whoever takes the body. The
parser never sees it: before it and after it that stands between two chunks, and so misses nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from mmap import mmap
from typing import Protocol, cast

import httptools

from proxy.client.dial import MESSAGES, Forwarding, Origin
from proxy.client.head import Head, read_head
from proxy.errors import BrokenAnswer, ConnectFailed, ConnectionBroken, GatewayError, UpstreamFault
from proxy.net.headers import Header
from proxy.net.outbox import BatchedTransport, Outbox

READ_BUFFER = 64 * 1024
SMALL = 4 * 1024  # bytes; larger reads are not copied for the parser
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
MAX_INFORMATIONAL = 8
LF = 10


class Sink(Protocol):
    """Who hears the answer. Calls come from the read callback and must not block."""

    def head(self, head: Head) -> Callable[[bytes], None]:
        """The final response head; returns what takes the body's bytes."""

    def end(self) -> None:
        """The answer is whole. The connection is not touched after this call."""

    def broken(self, fault: GatewayError) -> None:
        """The answer will not come, or not to its end; the connection is closed."""


class _SizeLines(dict[int, bytes]):
    """The line with a chunk's size, by the bytes that the chunk takes with its framing (RFC 9112 7.1).

    Some numbers are no chunk's: theirs is a line that none begins with.
    """

    def __missing__(self, framed: int) -> bytes:
        line = b"-"
        for digits in range(1, 5):
            size = framed - digits - 4
            if size > 0 and len(b"%x" % size) == digits:
                line = b"%x\r\n" % size
        self[framed] = line
        return line


_size_line = _SizeLines().__getitem__  # a subscript of a subclass takes three times as long


class ReadBuffer:
    """What all connections of a loop read into. A slice of ``memory`` is bytes, one of ``view`` is no copy."""

    __slots__ = ("lend", "memory", "view")

    def __init__(self) -> None:
        memory = self.memory = mmap(-1, READ_BUFFER)
        self.view = memoryview(memory)
        # The same whatever size the loop has in mind. Called before each read: in C, for a third of a function's cost.
        lent: defaultdict[int, mmap] = defaultdict(lambda: memory)
        self.lend = lent.__getitem__


class UpstreamConnection(asyncio.BufferedProtocol):
    """At most one request at a time; ``sink`` is set while one runs.

    ``on_frame``, set by whoever takes the body and as long as that one likes, gets the content of a chunk that came
    alone in a read, and the chunk as it came; it tells whether it took them.
    """

    __slots__ = (
        "_between",
        "_complete",
        "_consume",
        "_drained",
        "_head",
        "_head_bytes",
        "_headers",
        "_informational",
        "_loop",
        "_memory",
        "_no_body",
        "_outbox",
        "_parser",
        "_view",
        "born",
        "forwarding",
        "get_buffer",
        "keep_alive",
        "last_read",
        "on_frame",
        "on_lost",
        "origin",
        "paused",
        "sending",
        "sink",
        "transport",
        "uses",
    )

    def __init__(
        self,
        origin: Origin,
        loop: asyncio.AbstractEventLoop,
        buffer: ReadBuffer,
        outbox: Outbox,
        on_lost: Callable[[UpstreamConnection], None],
    ) -> None:
        self.origin = origin
        self.on_lost = on_lost
        self._outbox = outbox
        self._loop = loop
        self.get_buffer = buffer.lend  # type: ignore[assignment,method-assign]
        self._memory, self._view = buffer.memory, buffer.view
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.sink: Sink | None = None
        self.paused = False
        self.sending = False  # a request body is still being written by somebody
        self.forwarding: Forwarding | None = None  # where a proxy stands at its end
        self.uses = 0
        self.born = self.last_read = loop.time()
        self._drained: asyncio.Future[None] | None = None
        self._consume: Callable[[bytes], None] = _nowhere
        self.on_frame: Callable[[bytes, bytes], bool] | None = None
        self._between = False  # the parser stands between two chunks
        self._headers: list[Header] = []
        self._head: Head | None = None  # the final one, once it is there
        self._head_bytes = 0
        self._complete = False
        self.keep_alive = False  # the last request went out whole, its answer ended where it should: another may follow
        self._informational = 0
        self._no_body = False

    def __repr__(self) -> str:
        state = "closed" if self.transport is None else "busy" if self.sink else "idle"
        return f"<UpstreamConnection {self.origin.authority} {state} uses={self.uses}>"

    # -- what the attempt does ------------------------------------------------------------------

    def send(self, segments: Sequence[bytes | memoryview], sink: Sink, now: float, no_body: bool = False) -> None:
        """Start a request, at the moment ``now``. ``no_body``: the answer has none whatever its head says (HEAD)."""
        assert self.sink is None
        self.sink = sink
        self.uses += 1
        self._headers = []
        self._head = None
        self._head_bytes = self._informational = 0
        self._complete = self.keep_alive = False
        self._no_body = no_body
        self._between = False
        self.last_read = now
        transport = self.transport
        if transport is None:
            return  # closed: who asks hears of it in a moment
        if len(segments) == 1:
            transport.write(segments[0])
        else:
            transport.writelines(segments)

    def write(self, piece: bytes | memoryview) -> None:
        """More bytes of the running request; ignored once the connection is closed."""
        if self.transport is not None:
            self.transport.write(piece)

    async def drain(self) -> None:
        """Wait until the provider takes more of the request, or the connection is closed."""
        if self._drained is not None:
            await asyncio.shield(self._drained)

    def pause_reading(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()
            self.paused = True

    def resume_reading(self) -> None:
        if self.transport is not None and self.paused:
            self.transport.resume_reading()
            self.paused = False

    def abort(self) -> None:
        """Close at once and forget the sink: it is not told."""
        self._forget()
        self._close()

    def is_reusable(self, now: float, max_idle: float, max_age: float) -> bool:
        """Whether the next request may use this connection: the last one ended exactly where it should, and neither
        that nor its making is too many seconds ago."""
        transport = self.transport
        if not self.keep_alive or transport is None:
            return False
        return now - self.last_read <= max_idle and now - self.born <= max_age and not transport.is_closing()

    # -- asyncio ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = BatchedTransport(cast("asyncio.Transport", transport), self._outbox)

    def buffer_updated(self, nbytes: int) -> None:
        if self.sink is None:
            # Nobody asked: bytes on an idle connection belong to no request.
            self._close()
            return
        self.last_read = self._loop.time()
        if nbytes > SMALL:
            self._parse(self._view[:nbytes])
            return
        data, take = self._memory[:nbytes], self.on_frame
        if take is not None and self._between:
            line = _size_line(nbytes)
            size = len(line)
            if data[:size] == line and data[-2:] == b"\r\n" and take(data[size:-2], data):
                return
        self._parse(data)

    def _parse(self, data: bytes | memoryview) -> None:
        if self._head is None:
            self._head_bytes += len(data)
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._refuse(exc)
        if self._complete:
            if self.sink is not None:
                self._finish()
        elif self._head is None:
            self._bound_head()
        elif self._between and data[-1] != LF:
            self._between = False  # the next chunk's size has begun

    def eof_received(self) -> None:
        return None  # close the transport: HTTP/1.1 providers do not half-close in earnest

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._release_drain()
        if self.sink is not None:
            if exc is None and self._ends_with_connection():
                self._complete = True
                self._finish()
            else:
                detail = "closed by the provider" if exc is None else str(exc)
                self._fail(ConnectionBroken("The provider closed the connection early.", detail=detail))
        self._parser = None
        self.keep_alive = False
        self.on_lost(self)

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        self._release_drain()

    # -- httptools --------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            self.keep_alive = False  # bytes after the end

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            self._headers.append((name, value))
        else:
            self._discard_trailer(name, value)

    def on_headers_complete(self) -> None:
        parser, sink = self._parser, self.sink
        if self._complete or parser is None or sink is None:
            return
        headers, status = self._headers, parser.get_status_code()
        if len(headers) > MAX_HEADERS:
            raise _too_many()
        if not 200 <= status <= 599:
            self._skip_informational(status)
            return
        if status == 407 and self.forwarding is not None:
            raise ConnectFailed(MESSAGES["upstream_proxy"], code="upstream_proxy", detail="the proxy answers 407")
        self._head = head = read_head(status, headers)
        self._consume = sink.head(head)
        if self._no_body:
            self._complete = True

    def on_body(self, data: bytes) -> None:
        if not self._complete:
            self._consume(data)

    def on_chunk_header(self) -> None:
        self._between = False

    def on_chunk_complete(self) -> None:
        head = self._head
        self._between = head is not None and not head.coding  # compressed content is nobody's to pass on

    def on_message_complete(self) -> None:
        parser = self._parser
        if self._complete or self._head is None or parser is None:
            return
        self._complete = True
        self.keep_alive = parser.should_keep_alive() and not self.sending

    # -- bounds -----------------------------------------------------------------------------------

    def _bound_head(self) -> None:
        """A head that is not whole yet may not grow without end."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self._fail(BrokenAnswer("The provider's response head is too large."))
        elif len(self._headers) > MAX_HEADERS:
            self._fail(_too_many())

    def _discard_trailer(self, name: bytes, value: bytes) -> None:
        """RFC 9110 6.5.1 lets us."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > 2 * MAX_HEAD_BYTES:
            raise BrokenAnswer("The provider's trailers are too large.")

    def _refuse(self, exc: httptools.HttpParserError) -> None:
        """Bytes that the parser, or whoever it called, did not take."""
        cause = exc.__context__
        if isinstance(cause, GatewayError):
            self._fail(cause)
        elif isinstance(exc, httptools.HttpParserCallbackError) and cause is not None:
            # A mistake of our own (or of a hook) must not pass for one of the provider's.
            self._fail(GatewayError("The gateway failed to handle the answer.", detail=type(cause).__name__))
        elif not self._complete:
            self._fail(BrokenAnswer("The provider's answer is not valid HTTP.", detail=str(exc)))
        else:
            self.keep_alive = False  # bytes after the end

    # -- endings ----------------------------------------------------------------------------------

    def _ends_with_connection(self) -> bool:
        """Whether it does what it should by closing (RFC 9112 6.3)."""
        head = self._head
        return head is not None and not head.framed and not self._no_body and not self._complete

    def _skip_informational(self, status: int) -> None:
        if status > 599:
            raise BrokenAnswer("The provider's answer has a status that HTTP does not know.")
        self._informational += 1
        if status == 101 or self._informational > MAX_INFORMATIONAL:
            raise BrokenAnswer("The provider sent an interim response that was not asked for.")
        self._headers = []

    def _finish(self) -> None:
        sink = self.sink
        self._forget()
        if sink is not None:
            sink.end()

    def _fail(self, fault: GatewayError) -> None:
        sink = self.sink
        self._forget()
        self._close()
        if isinstance(fault, UpstreamFault):
            fault.heard = self._head_bytes > 0
        if sink is not None:
            sink.broken(fault)

    def _forget(self) -> None:
        """Whoever heard the answer hears no more of it."""
        self.sink = self.on_frame = None
        self._consume = _nowhere

    def _close(self) -> None:
        self.keep_alive = False
        if self.transport is not None:
            self.transport.abort()

    def _release_drain(self) -> None:
        waiter, self._drained = self._drained, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _too_many() -> BrokenAnswer:
    return BrokenAnswer("The provider's response head has too many fields.")


def _nowhere(data: bytes) -> None:
    """Takes the bytes of an answer that nobody waits for any more."""
