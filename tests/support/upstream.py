"""A scripted provider on a real socket.

    async with Upstream() as up:
        up.on(lambda request: sse_answer(*chat_events("Hello")))
        ...
        request = await up.request(0)
        await within(request.gone.wait(), "the gateway to close")

Requests are recorded and strictly parsed: malformed HTTP fails the test at the end of the block.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

from tests.support.patience import within
from tests.support.steps import (
    Chunk,
    Close,
    HalfClose,
    Headers,
    LastChunk,
    PauseReading,
    Reset,
    ResumeReading,
    Script,
    Send,
    Signal,
    Stall,
    Step,
    Tunnel,
    Wait,
)

Answerer = Callable[["Request"], Script]


@dataclass(eq=False)
class Request:
    """One request as it came over the wire. ``body`` is without chunk framing and grows until ``complete``."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]  # in order, names as they were written
    connection: Connection
    number: int  # in order of arrival, over all connections, from 0
    raw_head: bytes
    body: bytearray = field(default_factory=bytearray)
    chunks: list[bytes] = field(default_factory=list)  # of a chunked body
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)  # its script has run to the end

    def __repr__(self) -> str:
        return f"<Request {self.number} on connection {self.connection.number}: {self.method} {self.target}>"

    @property
    def gone(self) -> asyncio.Event:
        """Set once the peer has closed, half-closed or reset the connection of this request."""
        return self.connection.gone

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The header's value; ``None`` if absent, an AssertionError if repeated."""
        values = self.header_values(name)
        assert len(values) < 2, f"{name} stands {len(values)} times in {self.headers}"
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Connection(asyncio.Protocol):
    """One accepted connection: reads always (unless paused by a step), writes the steps of its scripts."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.number = -1
        self.requests: list[Request] = []
        self.received = bytearray()
        self.sent = 0  # bytes handed to the transport
        self.gone = asyncio.Event()  # the peer sent FIN or RST
        self.lost = asyncio.Event()  # no socket any more
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._unparsed = bytearray()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "lost" if self.lost.is_set() else "gone" if self.gone.is_set() else "open"
        return f"<Connection {self.number} {state}, {len(self.requests)} requests>"

    @property
    def unsent(self) -> int:
        """Bytes buffered because the peer does not read."""
        return self._transport.get_write_buffer_size()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by isinstance
        # So that "flushed" means: handed to the kernel. Not 0: over TLS uvloop then pauses and never resumes.
        self._transport.set_write_buffer_limits(high=1, low=0)
        self.upstream._accepted(self)
        self._task = asyncio.ensure_future(self._serve())

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._unparsed += data
        self._more.set()

    def eof_received(self) -> bool:
        self.gone.set()
        self._more.set()
        # Stay half open, so that a script can write to a half-closed peer; TLS cannot.
        return self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self.lost.set()
        self._flushed.set()
        self._more.set()

    def pause_writing(self) -> None:
        self._flushed.clear()

    def resume_writing(self) -> None:
        self._flushed.set()

    # requests

    async def _serve(self) -> None:
        try:
            if await self._play(self.upstream._greeting):
                while (request := await self._read_head()) is not None:
                    await self._answer(request)
                    if not request.complete.is_set():
                        break  # the peer left within the body
            self._transport.close()
        except Exception as mistake:  # of the peer or of a script: both fail the test
            self.upstream._mistaken(f"{self!r}: {mistake!r}")
            self._transport.abort()

    async def _answer(self, request: Request) -> None:
        early = self.upstream._early_script(request)
        if early is None:
            await self._read_body(request)
            if request.complete.is_set():
                await self._play(self.upstream._script(request))
        else:
            # The body is read beside the script, as a server that answers early does.
            reading = asyncio.ensure_future(self._read_body(request))
            await self._play(early)
            await reading
        request.answered.set()

    async def _read_head(self) -> Request | None:
        head = await self._take_until(b"\r\n\r\n")
        if head is None:
            assert not self._unparsed, f"the peer left within a head: {bytes(self._unparsed)!r}"
            return None
        request = _parse_head(head, self, len(self.upstream.requests))
        self.requests.append(request)
        self.upstream._heard(request)
        return request

    async def _read_body(self, request: Request) -> None:
        lengths = request.header_values("content-length")
        encodings = request.header_values("transfer-encoding")
        assert len(lengths) + len(encodings) <= 1, f"ambiguous framing: {request.headers}"
        if encodings:
            assert encodings == ["chunked"], f"unknown framing: {encodings}"
            whole = await self._read_chunks(request)
        else:
            whole = await self._read_length(request, int(lengths[0]) if lengths else 0)
        if whole:
            request.complete.set()

    async def _read_length(self, request: Request, length: int) -> bool:
        while (missing := length - len(request.body)) > 0:
            piece = await self._take_some(missing)
            if not piece:
                return False
            request.body += piece
        return True

    async def _read_chunks(self, request: Request) -> bool:
        while (line := await self._take_until(b"\r\n")) is not None:
            size = int(line, 16)
            chunk = await self._take_exactly(size + 2)
            if chunk is None:
                return False
            assert chunk.endswith(b"\r\n"), f"no CRLF after a chunk: {chunk[-20:]!r}"
            if size == 0:
                return True
            request.chunks.append(chunk[:-2])
            request.body += chunk[:-2]
        return False

    async def _take_until(self, mark: bytes) -> bytes | None:
        while (end := self._unparsed.find(mark)) < 0:
            if not await self._wait_for_more():
                return None
        return self._take(end + len(mark))

    async def _take_exactly(self, length: int) -> bytes | None:
        while len(self._unparsed) < length:
            if not await self._wait_for_more():
                return None
        return self._take(length)

    async def _take_some(self, most: int) -> bytes:
        while not self._unparsed:
            if not await self._wait_for_more():
                return b""
        return self._take(min(most, len(self._unparsed)))

    def _take(self, length: int) -> bytes:
        taken = bytes(self._unparsed[:length])
        del self._unparsed[:length]
        return taken

    async def _wait_for_more(self) -> bool:
        """Whether more bytes can arrive."""
        if self.gone.is_set():
            return False
        self._more.clear()
        await self._more.wait()
        return True

    # scripts

    async def _play(self, script: Script) -> bool:
        """Run a script; False if the connection is closed after it."""
        for step in script:
            await self._do(Send(step) if isinstance(step, bytes) else step)
            if self._transport.is_closing():
                return False
        return True

    async def _do(self, step: Step) -> None:
        match step:
            case Send() | Headers() | Chunk() | LastChunk():
                self._transport.write(step.data)
                self.sent += len(step.data)
                await self._flushed.wait()
            case Wait(event):
                await event.wait()
            case Signal(event):
                event.set()
            case Stall():
                await self.gone.wait()
            case Close():
                self._transport.close()
            case Reset():
                self._reset()
            case HalfClose():
                self._half_close()
            case PauseReading():
                self._transport.pause_reading()
            case ResumeReading():
                self._transport.resume_reading()
            case Tunnel(host, port):
                await self._tunnel(host, port)

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def _half_close(self) -> None:
        # On a duplicate of the descriptor, below any TLS: transports refuse this over TLS.
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_WR)

    async def _tunnel(self, host: str, port: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        upward = asyncio.ensure_future(self._carry_up(writer))
        try:
            while data := await reader.read(65536):
                await self._do(Send(data))
        except ConnectionError:
            pass
        finally:
            upward.cancel()
            writer.close()
        self._transport.close()

    async def _carry_up(self, writer: asyncio.StreamWriter) -> None:
        while data := await self._take_some(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def end(self) -> None:
        assert self._task is not None
        self._transport.abort()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await within(self.lost.wait(), f"{self!r} to end")


def _parse_head(head: bytes, connection: Connection, number: int) -> Request:
    assert b"\n" not in head.replace(b"\r\n", b""), f"a bare LF in {head!r}"
    assert b"\r" not in head.replace(b"\r\n", b""), f"a bare CR in {head!r}"
    start, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, version = start.split(" ")
    assert version == "HTTP/1.1", f"not HTTP/1.1: {start!r}"
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon, f"no header: {line!r}"
        assert name == name.strip() != "", f"no header name: {line!r}"
        headers.append((name, value.strip(" \t")))
    return Request(method, target, version, headers, connection, number, head)


class Upstream:
    """Listen on a free port of ``host``, with TLS if ``tls``."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.tls = tls
        self.host = host
        self.port = 0
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.mistakes: list[str] = []
        self._greeting: list[Step | bytes] = []
        self._queue: deque[Script] = deque()
        self._answerer: Answerer | None = None
        self._early: Callable[[Request], Script | None] = lambda request: None
        self._turn = 0
        self._changed = asyncio.Event()
        self._place: socket.socket | None = None  # keeps the port while nothing listens there

    # scripting

    def on(self, answerer: Answerer) -> None:
        """Answer every request that finds no queued script with ``answerer(request)``, once its body is whole."""
        self._answerer = answerer

    def queue(self, *scripts: Script) -> None:
        """One script for each of the next requests, in order of their completion."""
        self._queue.extend(scripts)

    def on_head(self, answerer: Callable[[Request], Script | None]) -> None:
        """Call this with each request head; a returned script runs at once, during the upload."""
        self._early = answerer

    def on_connect(self, *steps: Step | bytes) -> None:
        """Run this script on every connection before reading requests."""
        self._greeting = list(steps)

    # looking

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The ``baseUrl`` for a provider."""
        return self.origin + "/v1"

    @property
    def open_connections(self) -> list[Connection]:
        return [connection for connection in self.connections if not connection.gone.is_set()]

    async def request(self, number: int | None = None) -> Request:
        """Wait for the complete request of that number; ``None``: the next one."""
        request = await self.head(number)
        await within(request.complete.wait(), f"the body of {request!r}", lambda: bytes(request.body))
        return request

    async def head(self, number: int | None = None) -> Request:
        """The same as soon as its head arrived; the body may be incomplete."""
        wanted = self._turn if number is None else number
        await within(self._arrival(wanted), f"request {wanted}", lambda: self)
        assert not self.mistakes, self.mistakes
        self._turn = wanted + 1
        return self.requests[wanted]

    async def _arrival(self, number: int) -> None:
        while len(self.requests) <= number and not self.mistakes:
            self._changed.clear()
            await self._changed.wait()

    def __repr__(self) -> str:
        return f"<Upstream {self.origin}: {self.connections}, {self.requests}, {self.mistakes}>"

    # running

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._leave_place()
        self._server = await loop.create_server(lambda: Connection(self), self.host, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and reset open connections. ``start`` may follow, on the same port, which stays ours."""
        self._server.close()
        self._keep_place()
        await self._end_all()

    async def _end_all(self) -> None:
        self._server.close()
        for connection in self.connections:
            await connection.end()
        await within(self._server.wait_closed(), f"{self!r} to close")

    def _keep_place(self) -> None:
        """Bind the port, which then refuses connections: nobody else who asks for a free one gets it."""
        self._leave_place()
        self._place = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((self.host, self.port))

    def _leave_place(self) -> None:
        if self._place is not None:
            self._place.close()
            self._place = None

    async def __aenter__(self) -> Upstream:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave_place()
        await self._end_all()
        if error is None:
            assert not self.mistakes, self.mistakes

    # called by connections

    def _accepted(self, connection: Connection) -> None:
        connection.number = len(self.connections)
        self.connections.append(connection)

    def _heard(self, request: Request) -> None:
        self.requests.append(request)
        self._changed.set()

    def _mistaken(self, mistake: str) -> None:
        self.mistakes.append(mistake)
        self._changed.set()

    def _early_script(self, request: Request) -> Script | None:
        return self._early(request)

    def _script(self, request: Request) -> Script:
        if self._queue:
            return self._queue.popleft()
        assert self._answerer is not None, f"no script for {request!r}"
        return self._answerer(request)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)
