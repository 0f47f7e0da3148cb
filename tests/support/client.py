"""A client over a plain socket that sends given bytes and reads only on demand.

Nothing is taken from the socket between two reads, so a test that does not read is a client that does not read.
Framing is parsed strictly (RFC 9112): errors that a lenient client accepts fail here.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from tests.support.patience import within

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) ([^\r\n]*)")
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Head(NamedTuple):
    """A response head; header names in lower case, in order."""

    status: int
    reason: str
    headers: list[tuple[str, str]]

    def header(self, name: str) -> str | None:
        """The header's value; ``None`` if absent, an AssertionError if repeated."""
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) < 2, f"{name} stands {len(values)} times in {self.headers}"
        return values[0] if values else None


@dataclass
class Answer:
    """A whole response."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return self.head.header(name)


class RawClient:
    """``address`` is a port of 127.0.0.1, a (host, port) pair or the path of a Unix socket. ``source``: its own address."""

    def __init__(
        self, address: int | tuple[str, int] | str, *, receive_buffer: int = 0, source: str | None = None
    ) -> None:
        self.address = ("127.0.0.1", address) if isinstance(address, int) else address
        self.received = bytearray()  # all bytes read from the socket
        self._source = source
        self._receive_buffer = receive_buffer  # bytes of SO_RCVBUF; 0: the system's choice
        self._unread = bytearray()
        self._decoded = bytearray()  # body bytes without framing that read_event has not given out
        self._methods: list[str] = []
        self._ended = False
        self._framing = "none"  # of the current body: "length", "chunked", "close" or "none" (no body left)
        self._left = 0

    # connecting

    async def connect(self) -> RawClient:
        if isinstance(self.address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        if self._receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        if family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._source is not None:
            self._socket.bind((self._source, 0))
        loop = asyncio.get_running_loop()
        try:
            await within(loop.sock_connect(self._socket, self.address), f"a connection to {self.address}")
        except BaseException:
            self._socket.close()
            raise
        return self

    async def __aenter__(self) -> RawClient:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Close with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def half_close(self) -> None:
        """Send FIN; reading goes on."""
        self._socket.shutdown(socket.SHUT_WR)

    # sending

    async def send(self, data: bytes) -> None:
        """Send exactly these bytes. The method of raw bytes is unknown: HEAD needs ``request``."""
        await within(
            asyncio.get_running_loop().sock_sendall(self._socket, data),
            f"{len(data)} bytes to be taken",
            lambda: bytes(self.received),
        )

    async def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        json: Any = None,
    ) -> None:
        """Send a complete request, with Host and Content-Length unless in ``headers``."""
        self._methods.append(method)
        await self.send(self.encode(method, target, headers, body, json))

    def encode(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        value: Any = None,
    ) -> bytes:
        """The bytes of that request, for a test that sends them in pieces."""
        lines = list(headers)
        named = {name.lower() for name, _ in lines}
        if value is not None:
            body = json.dumps(value).encode()
            if "content-type" not in named:
                lines.append(("Content-Type", "application/json"))
        if "host" not in named:
            lines.insert(0, ("Host", self.host))
        if body is not None and not named & {"content-length", "transfer-encoding"}:
            lines.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {text}\r\n" for name, text in lines)
        return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")

    @property
    def host(self) -> str:
        return "localhost" if isinstance(self.address, str) else f"{self.address[0]}:{self.address[1]}"

    # reading

    async def read_head(self) -> Head:
        """The next response head; interim (1xx) ones count. Unread bytes of the previous body are an error."""
        assert self._framing == "none", f"the body before ({self._framing}) was not read to its end"
        raw = await self._take_until(b"\r\n\r\n", "a response head")
        head = _parse_head(raw)
        self._begin_body(head)
        return head

    def _begin_body(self, head: Head) -> None:
        interim = head.status < 200
        method = "" if interim or not self._methods else self._methods.pop(0)
        length, encoding = head.header("content-length"), head.header("transfer-encoding")
        assert length is None or encoding is None, f"ambiguous framing: {head.headers}"
        self._left = 0
        if method == "HEAD" or interim or head.status in (204, 304):
            self._framing = "none"
        elif encoding is not None:
            assert encoding == "chunked", f"unknown framing: {encoding}"
            self._framing = "chunked"
        elif length is not None:
            assert length.isdecimal(), f"no length: {length!r}"
            self._left = int(length)
            self._framing = "length" if self._left else "none"
        else:
            self._framing = "close"

    async def read_chunk(self) -> bytes:
        """The payload of the next HTTP chunk, exactly; ``b""`` at the last one."""
        assert self._framing == "chunked", f"no chunked body here: {self._framing}"
        line = await self._take_until(b"\r\n", "a chunk size")
        assert re.fullmatch(rb"[0-9a-fA-F]+\r\n", line), f"no chunk size: {line!r}"
        size = int(line, 16)
        chunk = await self._take(size + 2, f"a chunk of {size} bytes")
        assert chunk.endswith(b"\r\n"), f"no CRLF after a chunk: {chunk[-20:]!r}"
        if size == 0:
            self._framing = "none"
        return chunk[:-2]

    async def read_some(self) -> bytes:
        """Some more bytes of the body, without framing; ``b""`` at its end."""
        if self._decoded:
            return self._drain(len(self._decoded))
        return await self._read_more()

    async def _read_more(self) -> bytes:
        if self._framing == "chunked":
            return await self.read_chunk()
        if self._framing == "close":
            return await self._read_until_close()
        if self._framing == "none":
            return b""
        if not self._unread:
            assert await self._receive("the body"), self._complaint("the connection ended within the body")
        piece = bytes(self._unread[: self._left])
        del self._unread[: len(piece)]
        self._left -= len(piece)
        if not self._left:
            self._framing = "none"
        return piece

    async def _read_until_close(self) -> bytes:
        if not self._unread and not await self._receive("the body's end"):
            self._framing = "none"
            return b""
        piece = bytes(self._unread)
        self._unread.clear()
        return piece

    async def read_body(self) -> bytes:
        """Read the rest of the body."""
        body = bytearray()
        while piece := await self.read_some():
            body += piece
        return bytes(body)

    async def read_answer(self) -> Answer:
        """Read the next complete response; interim ones are skipped."""
        head = await self.read_head()
        while head.status < 200:
            head = await self.read_head()
        return Answer(head, await self.read_body())

    async def fetch(self, method: str, target: str, **request: Any) -> Answer:
        """One request and its whole answer."""
        await self.request(method, target, **request)
        return await self.read_answer()

    async def read_event(self) -> bytes:
        """The next SSE block with its blank line and any line ends; ``b""`` at the end of the body.

        A rest without a blank line at the end of the body is returned unchanged.
        """
        while not (end := _EVENT_END.search(self._decoded)):
            piece = await self._read_more()
            if not piece:
                return self._drain(len(self._decoded))
            self._decoded += piece
        return self._drain(end.end())

    async def read_events(self) -> list[bytes]:
        """All SSE blocks to the end of the body."""
        events = []
        while event := await self.read_event():
            events.append(event)
        return events

    async def eof(self) -> bytes:
        """Read until the peer closes: return the raw bytes. A reset counts as an end."""
        while await self._receive("the connection's end"):
            pass
        rest = bytes(self._unread)
        self._unread.clear()
        return rest

    # bytes

    def _drain(self, length: int) -> bytes:
        taken = bytes(self._decoded[:length])
        del self._decoded[:length]
        return taken

    async def _take_until(self, mark: bytes, what: str) -> bytes:
        while (end := self._unread.find(mark)) < 0:
            assert await self._receive(what), self._complaint(f"the connection ended before {what}")
        return await self._take(end + len(mark), what)

    async def _take(self, length: int, what: str) -> bytes:
        while len(self._unread) < length:
            assert await self._receive(what), self._complaint(f"the connection ended within {what}")
        taken = bytes(self._unread[:length])
        del self._unread[:length]
        return taken

    async def _receive(self, what: str) -> bool:
        """Read from the socket once; False at its end."""
        if self._ended:
            return False
        try:
            data = await within(
                asyncio.get_running_loop().sock_recv(self._socket, 65536), what, lambda: bytes(self.received)
            )
        except ConnectionError:
            data = b""
        self._ended = not data
        self.received += data
        self._unread += data
        return bool(data)

    def _complaint(self, what: str) -> str:
        return f"{what}; received so far: {bytes(self.received)!r}"


def _parse_head(raw: bytes) -> Head:
    start, *lines = raw[:-4].split(b"\r\n")
    status = _STATUS_LINE.fullmatch(start)
    assert status, f"no status line: {start!r}"
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        assert colon, f"no header: {line!r}"
        assert re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), f"no header name: {line!r}"
        assert not re.search(rb"[\r\n\0]", value), f"a bare line end in {line!r}"
        headers.append((name.decode().lower(), value.strip(b" \t").decode("latin-1")))
    return Head(int(status[1]), status[2].decode("latin-1"), headers)
