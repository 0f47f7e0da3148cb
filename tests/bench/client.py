"""HTTP/1.1 clients as raw protocols: cheap enough to share a core with the upstream."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from time import monotonic_ns
from typing import Final

from tests.bench.traffic import Traffic
from tests.bench.verify import Broken, Stream

LEAST: Final = 0.7  # of a large request's size: it must arrive at the provider with all its turns
_received: Final = re.compile(rb'"(?:prompt_tokens|input_tokens|promptTokenCount)": ?(\d+)').search


def read_head(data: bytes) -> tuple[int, int | None, int]:
    """(status, body length or ``None`` for chunked, size of the head); raises Broken for any other framing."""
    end = data.index(b"\r\n\r\n") + 4
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        return int(head[9:12]), int(head[at + 17 : head.index(b"\r", at + 17)]), end
    if head.find(b"\r\ntransfer-encoding: chunked\r\n") < 0:
        raise Broken(f"neither length nor chunked: {data[:300]!r}")
    return int(head[9:12]), None, end


class Chunks:
    """Decoder of chunked framing. ``ended`` after the last chunk."""

    __slots__ = ("ended", "rest")

    def __init__(self) -> None:
        self.rest = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        if self.rest:
            data = self.rest + data
        body = []
        at = 0
        while True:
            line = data.find(b"\r\n", at)
            if line < 0:
                break
            try:
                size = int(data[at:line], 16)
            except ValueError:
                raise Broken(f"bad chunk size {data[at : at + 20]!r}") from None
            end = line + 2 + size
            if len(data) < end + 2:
                break
            if data[end : end + 2] != b"\r\n":
                raise Broken("a chunk does not end where it said")
            if not size:
                self.ended = True
                if len(data) > end + 2:
                    raise Broken(f"bytes after the last chunk: {data[end + 2 : end + 40]!r}")
                at = end + 2
                break
            body.append(data[line + 2 : end])
            at = end + 2
        self.rest = data[at:]
        return body[0] if len(body) == 1 else b"".join(body)


class StreamClient(asyncio.Protocol):
    """One keep-alive connection that requests one event stream at a time.

    ``done(client, error)`` is called at the end of each: ``None`` if the stream was whole.
    """

    def __init__(self, done: Callable[[StreamClient, str | None], None]) -> None:
        self.done = done
        self.stream: Stream | None = None
        self.chunks: Chunks | None = None
        self.head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def ask(self, request: bytes, stream: Stream) -> None:
        self.stream = stream
        self.chunks = None
        self.head = b""
        stream.requested_at = monotonic_ns()
        if self.transport.is_closing():
            self._end("connection lost before the request")
        else:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns()
        stream = self.stream
        if stream is None:
            return
        try:
            chunks = self.chunks
            if chunks is None:
                self.head += data
                if b"\r\n\r\n" not in self.head:
                    return
                status, length, end = read_head(self.head)
                if status != 200 or length is not None:
                    raise Broken(f"status {status}: {self.head[:600]!r}")
                chunks = self.chunks = Chunks()
                data = self.head[end:]
            body = chunks.feed(data)
            if body:
                stream.feed(body, now)
            if chunks.ended:
                stream.end()
                self._end(None)
        except Broken as broken:
            self._end(str(broken))
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.stream is not None:
            self._end(f"connection lost after {self.stream.sequence} tokens: {exc}")

    def _end(self, error: str | None) -> None:
        self.stream = None
        self.done(self, error)


class Caller(asyncio.Protocol):
    """Request JSON responses in a closed loop until stopped, and count them. ``size``: see ``plain_request``."""

    def __init__(self, traffic: Traffic, path: str, model: str, failed: Callable[[str], None], size: int = 0) -> None:
        self.request = traffic.plain_request(path, model, 0, size)
        self.at = self.request.index(b"bench|n|") + 8
        self.least = LEAST * size  # bytes that arrive at the provider
        self.failed = failed
        self.number = 0
        self.answers = 0
        self.buffer = b""
        self.need = 0
        self.chunks: Chunks | None = None
        self.stopping = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.number += 1
        self.mark = b"@%08d;" % self.number
        self.transport.write(b"%s%08d%s" % (self.request[: self.at], self.number, self.request[self.at + 8 :]))

    def data_received(self, data: bytes) -> None:
        self.buffer = buffer = self.buffer + data if self.buffer else data
        try:
            if not self.need and self.chunks is None:
                if b"\r\n\r\n" not in buffer:
                    return
                status, length, end = read_head(buffer)
                if status != 200:
                    raise Broken(f"status {status}: {buffer[:600]!r}")
                if length is None:
                    self.chunks = Chunks()
                    self.chunks.feed(buffer[end:])
                else:
                    self.need = end + length
            elif self.chunks is not None:
                self.chunks.feed(data)
            if self.chunks is not None:
                if not self.chunks.ended:
                    return
            elif len(buffer) != self.need:
                if len(buffer) > self.need:
                    raise Broken("bytes after the answer")
                return
            if self.mark not in buffer:
                raise Broken(f"the answer of another request: {buffer[:900]!r}")
            if self.least and ((received := _received(buffer)) is None or int(received[1]) < self.least):
                raise Broken(f"less than {self.least:.0f} bytes arrived: {buffer[:900]!r}")
        except Broken as broken:
            self.failed(str(broken))
            self.stopping = True
            self.transport.abort()
            return
        self.buffer = b""
        self.need = 0
        self.chunks = None
        self.answers += 1
        if self.stopping:
            self.transport.close()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopping:
            self.failed(f"connection lost: {exc}")
        if not self.over.done():
            self.over.set_result(None)
