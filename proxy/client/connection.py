"""One HTTP/1.1 connection to a provider: requests out, the bytes of responses in, nothing in between.

All connections of a loop read into one buffer, since ``buffer_updated`` consumes it before it returns. A plain
``Protocol`` would cost uvloop's TLS reader an allocation of 256 KiB per token.

The fast lane of tokens
-----------------------
Most tokens come alone: one read is one chunk of a chunked body (RFC 9112 7.1), and the chunk is one event. Such a read
is written to the client with the framing that it came in. Three objects agree on it, by bound methods alone:

- ``buffer_updated``, here, recognizes the chunk: the parser stands between two chunks, and the read begins with the
  line of its own size. It calls ``on_frame(content, chunk)``.
- ``EventRelay.frame`` (relay/events.py) takes it if the dialect's reader calls the event plain, and nothing is held
  back. It sets ``on_frame`` only while both hold, and notes what the event says.
- ``Outlet.for_frames`` (server/outlet.py) is the function that writes it. ``None`` where the client's body is not
  chunked, or where something wants to see each event.

httptools never sees the chunk: it stands between two chunks before and after it. Whatever is cut otherwise, spelled
otherwise, or not plain is parsed. This saves a tenth of a token's cost.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from mmap import mmap
from typing import Final, cast

import httptools

from proxy.client.dial import Forwarding, Origin
from proxy.client.parser import ResponseParser, Sink, WholeSink, discard
from proxy.errors import ConnectionBroken, GatewayError, UpstreamFault
from proxy.net.outbox import BatchedTransport, Outbox

READ_BUFFER: Final = 64 * 1024
SMALL: Final = 4 * 1024  # bytes; larger reads are not copied for the parser
LF: Final = 10


class _SizeLines(dict[int, bytes]):
    """The line with a chunk's size, by the number of bytes of the whole chunk (RFC 9112 7.1).

    No chunk has some of these numbers: their line is one that no chunk begins with.
    """

    def __missing__(self, framed: int) -> bytes:
        line = b"-"
        for digits in range(1, 5):
            size = framed - digits - 4
            if size > 0 and len(b"%x" % size) == digits:
                line = b"%x\r\n" % size
        self[framed] = line
        return line


_size_line: Final = _SizeLines().__getitem__  # a subscript of a subclass takes three times as long


class ReadBuffer:
    """What all connections of a loop read into. A slice of ``memory`` is bytes, a slice of ``view`` copies nothing."""

    __slots__ = ("lend", "memory", "view")

    def __init__(self) -> None:
        memory = self.memory = mmap(-1, READ_BUFFER)
        self.view = memoryview(memory)
        # ``get_buffer`` of all connections, called before each read: the same for every size, and a function of C.
        lent: defaultdict[int, mmap] = defaultdict(lambda: memory)
        self.lend = lent.__getitem__


class UpstreamConnection(asyncio.BufferedProtocol):
    """At most one request at a time.

    ``on_frame`` takes chunks that come alone in a read, and returns whether it did: see the fast lane above.
    ``on_pause`` is called after each read that neither ends an answer nor a chunk of it: what it brought may be all for
    a while.
    """

    __slots__ = (
        "_drained",
        "_memory",
        "_outbox",
        "_parser",
        "_time",
        "_view",
        "born",
        "forwarding",
        "get_buffer",
        "keep_alive",
        "last_read",
        "on_frame",
        "on_lost",
        "on_pause",
        "origin",
        "paused",
        "sending",
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
        self._time = loop.time
        self.get_buffer = buffer.lend  # type: ignore[assignment,method-assign]
        self._memory, self._view = buffer.memory, buffer.view
        self._parser = ResponseParser()
        self.transport: asyncio.Transport | None = None
        self.on_frame: Callable[[bytes, bytes], bool] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.paused = False
        self.sending = False  # a request body is still being written
        self.keep_alive = False  # the last response ended where it should: another request may follow
        self.forwarding: Forwarding | None = None  # set where the connection leads to a forward proxy
        self.uses = 0
        self.born = self.last_read = loop.time()
        self._drained: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self.transport is None else "busy" if self.sink else "idle"
        return f"<UpstreamConnection {self.origin.authority} {state} uses={self.uses}>"

    @property
    def sink(self) -> Sink | None:
        """What takes the response to the running request; ``None``: no request runs."""
        return self._parser.sink

    # -- once per request -------------------------------------------------------------------------

    def send(
        self,
        segments: Sequence[bytes | memoryview],
        sink: Sink,
        now: float,
        no_body: bool = False,
        whole: WholeSink | None = None,
    ) -> None:
        """Start a request at the moment ``now``. ``no_body``: its response has none whatever the head says (HEAD).

        ``whole`` takes what a sink for answers of models never sees.
        """
        assert self._parser.sink is None
        self.uses += 1
        self.keep_alive = False
        self.last_read = now
        self._parser.begin(sink, no_body, self.forwarding is not None, whole)
        transport = self.transport
        if transport is None:
            return  # closed: the loop calls ``connection_lost`` next
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
        """Close at once. The sink is dropped, and not called."""
        self._forget()
        self.keep_alive = False
        if self.transport is not None:
            self.transport.abort()

    # -- asyncio ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = BatchedTransport(cast("asyncio.Transport", transport), self._outbox)

    def buffer_updated(self, nbytes: int) -> None:
        parser = self._parser
        sink = parser.sink
        if sink is None:
            self.abort()  # bytes on an idle connection belong to no request
            return
        self.last_read = self._time()
        data: bytes | memoryview
        if nbytes > SMALL:
            data = self._view[:nbytes]
        else:
            data, take = self._memory[:nbytes], self.on_frame
            if take is not None and parser.between_chunks:
                line = _size_line(nbytes)
                size = len(line)
                if data[:size] == line and data[-2:] == b"\r\n" and take(data[size:-2], data):
                    return
        if parser.head is None:
            parser.head_bytes += nbytes
        try:
            parser.feed(data)
        except httptools.HttpParserError as error:
            self._fail(parser.fault_of(error))
        if parser.complete:
            if parser.sink is not None:  # else it was dropped within ``feed``
                self.keep_alive = parser.keep_alive and not self.sending
                parser.sink = parser.whole = self.on_frame = self.on_pause = None
                parser.consume = discard
                sink.end()
        elif parser.head is None:
            self._fail(parser.oversized())
        elif parser.between_chunks:
            if data[-1] != LF:
                parser.between_chunks = False  # the next chunk's size has begun
        elif self.on_pause is not None:
            self.on_pause()

    def eof_received(self) -> None:
        return None  # close the transport: HTTP/1.1 providers do not half-close in earnest

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.resume_writing()
        sink = self.sink
        if sink is not None:
            if exc is None and self._parser.ends_with_connection:
                self._forget()
                sink.end()
            else:
                detail = "closed by the provider" if exc is None else str(exc)
                self._fail(ConnectionBroken("The provider closed the connection early.", detail=detail))
        self._parser.close()
        self.keep_alive = False
        self.on_lost(self)

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        waiter, self._drained = self._drained, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, fault: GatewayError | None) -> None:
        sink = self.sink
        if fault is None or sink is None:
            return
        self.abort()
        if isinstance(fault, UpstreamFault):
            fault.response_begun = self._parser.head_bytes > 0
        sink.broken(fault)

    def _forget(self) -> None:
        self._parser.sink = self._parser.whole = self.on_frame = self.on_pause = None
        self._parser.consume = discard
