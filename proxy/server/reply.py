"""The answer to one request: a head, then a body framed for the client's HTTP version."""

from __future__ import annotations

import socket
import struct
from asyncio import Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar

from proxy.errors import GatewayError
from proxy.server.outlet import Outlet

_STATUS_LINES = {status: b"HTTP/1.1 %d " % status for status in range(100, 600)}
_STATUS_LINES.update({int(status): b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus})
for _status, _line in _STATUS_LINES.items():
    if not _line.endswith(b"\r\n"):
        _STATUS_LINES[_status] = _line + b"\r\n"

_BODILESS = frozenset((204, 304))  # RFC 9110 15.3.5 and 15.4.5
CHUNKED_END = b"0\r\n\r\n"


class _NullTransport(Transport):
    """Discards all writes."""

    def write(self, data: object) -> None:
        """Discard it."""

    def abort(self) -> None:
        """Nothing to close."""

    def get_write_buffer_size(self) -> int:
        return 0


_NULL_TRANSPORT = _NullTransport()


class Reply(Outlet):
    """The answer to one request, framed for its client."""

    __slots__ = (
        "_chunked",
        "_remaining",
        "_transport",
        "aborted",
        "begun",
        "bytes_out",
        "ended",
        "head_only",
        "http10",
        "keep_alive",
        "status",
    )

    security: ClassVar[bytes] = b""  # header lines of every answer
    begun: bool
    ended: bool

    def __init__(self, transport: Transport, http10: bool, head_only: bool, keep_alive: bool) -> None:
        self._transport = transport
        self.http10 = http10
        self.head_only = head_only
        self.keep_alive = keep_alive
        self.status = 0
        self.begun = False
        self.ended = False
        self.aborted = False
        self.numbered = False
        self.bytes_out = 0
        self._chunked = False
        self._remaining: int | None = None

    def __repr__(self) -> str:
        state = "ended" if self.ended else "begun" if self.begun else "fresh"
        return f"<Reply {self.status or '-'} {state} {self.bytes_out} bytes>"

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        framing = b"" if status in _BODILESS else b"Content-Length: %d\r\n" % len(body)
        connection = b"" if self.keep_alive and not self.http10 else self._connection()
        if self.head_only:
            body = b""
        self.status = status
        self.begun = self.ended = True
        self.bytes_out += len(body)
        self._transport.write(
            b"".join((_STATUS_LINES[status], self.security, header_lines, framing, connection, b"\r\n", body))
        )

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        """Chunked without a ``length``; to an HTTP/1.0 client the body then ends with the connection."""
        if status in _BODILESS:
            framing = b""
            self.head_only = True
        elif length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif self.http10:
            framing = b""
            self.keep_alive = False
        else:
            framing = b"Transfer-Encoding: chunked\r\n"
            self._chunked = not self.head_only
        self._remaining = None if self.head_only else length
        connection = b"" if self.keep_alive and not self.http10 else self._connection()
        head = b"".join((_STATUS_LINES[status], self.security, header_lines, framing, connection, b"\r\n"))
        self.status = status
        self.begun = True
        self._transport.write(head + self._frame(first) if first and not self.head_only else head)

    def write(self, data: bytes) -> None:
        if self._chunked:
            self.bytes_out += len(data)
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        elif not self.head_only:
            self._transport.write(self._frame(data))

    def for_frames(self) -> Callable[[bytes], None] | None:
        """``None`` unless the body is chunked."""
        if not self._chunked:
            return None
        return self._transport.write

    def count(self, size: int) -> None:
        self.bytes_out += size

    def interim(self, status: int, header_lines: bytes) -> None:
        """An interim response before the answer (RFC 9110 15.2), unless HTTP/1.0, which knows none."""
        if not self.begun and not self.http10:
            self._transport.write(b"".join((_STATUS_LINES[status], header_lines, b"\r\n")))

    def end(self, last: bytes = b"", trailers: bytes = b"") -> None:
        """``trailers``: serialized lines, which only a chunked body can have."""
        self.ended = True
        tail = self._frame(last) if last and not self.head_only else b""
        if self._chunked:
            tail += b"0\r\n%b\r\n" % trailers if trailers else CHUNKED_END
        if tail:
            self._transport.write(tail)
        if self._remaining:  # fewer bytes than Content-Length: must not look whole
            self.abort()

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self.end(last)

    def lose(self, fault: GatewayError) -> None:
        """The client has the events before it: the stream goes on without it."""

    def abort(self) -> None:
        self.aborted = True
        self.keep_alive = False
        if self.begun and not self._chunked and self._remaining is None:
            # To an HTTP/1.0 client a close ends the body. Only a reset shows that it is cut.
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def detach(self) -> None:
        self._transport = _NULL_TRANSPORT

    def _connection(self) -> bytes:
        return b"Connection: keep-alive\r\n" if self.keep_alive else b"Connection: close\r\n"

    def _frame(self, data: bytes) -> bytes:
        self.bytes_out += len(data)
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._remaining is not None:
            self._remaining -= len(data)
        return data
