"""The client's side of one answer: a head, then a body framed as the client's HTTP version wants it.

Nothing here awaits. Whoever writes watches ``Connection.pause_writing`` for backpressure.
"""

from __future__ import annotations

import socket
import struct
from asyncio import Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from proxy.errors import GatewayError
from proxy.net.outbox import BatchedTransport

_STATUS_LINES = {status: b"HTTP/1.1 %d " % status for status in range(100, 600)}
_STATUS_LINES.update({int(status): b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus})
for _status, _line in _STATUS_LINES.items():
    if not _line.endswith(b"\r\n"):
        _STATUS_LINES[_status] = _line + b"\r\n"

_BODILESS = frozenset((204, 304))  # RFC 9110 15.3.5 and 15.4.5
CHUNKED_END = b"0\r\n\r\n"


class _Nowhere(Transport):
    """Takes writes that nobody will read."""

    def write(self, data: object) -> None:
        """Forget it."""

    def abort(self) -> None:
        """There is nothing to close."""

    def get_write_buffer_size(self) -> int:
        return 0


_NOWHERE = _Nowhere()


class Outlet(Protocol):
    """Where the bytes of an attempt's answer go: the client's ``Reply``, or what stands in for it.

    ``numbered``: an event with an ``id`` was written, so that no blank line may follow which ends no event.
    """

    numbered: bool

    @property
    def begun(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    def begin(self, status: int, lines: bytes, first: bytes = b"", *, length: int | None = None) -> None: ...
    def write(self, data: bytes) -> None: ...
    def for_frames(self) -> Callable[[bytes], None] | None: ...
    def count(self, size: int) -> None: ...
    def end(self, last: bytes = b"") -> None: ...
    def break_off(self, fault: GatewayError, last: bytes) -> None: ...
    def lose(self, fault: GatewayError) -> None:
        """An event that cannot be relayed is missing. Raises ``fault`` where another answer can still be sent."""

    def abort(self) -> None: ...
    def detach(self) -> None: ...


class Reply:
    """At most one answer. After ``ended`` or ``aborted`` nothing may be written."""

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
        "numbered",
        "status",
    )

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

    def send(self, status: int, lines: bytes, body: bytes = b"") -> None:
        """A whole answer in one write. ``lines`` are serialised header lines without the framing ones."""
        size = len(body)
        head = self._head(status, lines, b"" if status in _BODILESS else b"Content-Length: %d\r\n" % size)
        self.begun = self.ended = True
        if self.head_only:
            self._transport.write(head)
        else:
            self.bytes_out += size
            self._transport.write(head + body)

    def begin(self, status: int, lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        """The head of an answer that streams, with the body's first bytes in the same write.

        ``length`` is known for some binary answers; otherwise chunked, or to an HTTP/1.0 client until close.
        """
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
        head = self._head(status, lines, framing)
        self.begun = True
        self._transport.write(head + self._frame(first) if first and not self.head_only else head)

    def write(self, data: bytes) -> None:
        """More of the body; ``data`` is never empty."""
        if self._chunked:
            self.bytes_out += len(data)
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        elif not self.head_only:
            self._transport.write(self._frame(data))

    def for_frames(self) -> Callable[[bytes], None] | None:
        """What takes whole chunks of at most ``SMALL`` bytes with their framing, where the body is chunked.

        Nothing else is looked at on their way: ``count`` their content afterwards.
        """
        if not self._chunked:
            return None
        transport = self._transport
        return transport.small if isinstance(transport, BatchedTransport) else transport.write

    def count(self, size: int) -> None:
        """So many bytes of the body went out as chunks with their framing."""
        self.bytes_out += size

    def end(self, last: bytes = b"") -> None:
        """The body is whole; ``last`` goes out in the same write as its terminator."""
        self.ended = True
        tail = self._frame(last) if last and not self.head_only else b""
        if self._chunked:
            tail += CHUNKED_END
        if tail:
            self._transport.write(tail)
        if self._remaining:  # fewer bytes than the head promised: the client must not take it as whole
            self.abort()

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        """The body broke because of ``fault``, as the client can tell by ``last``, or by what it has already."""
        self.end(last)

    def lose(self, fault: GatewayError) -> None:
        """The client has the events before it: the stream goes on without it."""

    def abort(self) -> None:
        """Cut the connection, so that a body without its end cannot look complete."""
        self.aborted = True
        self.keep_alive = False
        if self.begun and not self._chunked and self._remaining is None:
            # To an HTTP/1.0 client the close is the end of the body: only a reset says otherwise.
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def detach(self) -> None:
        """The client left: whatever is written from now on goes nowhere."""
        self._transport = _NOWHERE

    def _head(self, status: int, lines: bytes, framing: bytes) -> bytes:
        self.status = status
        connection = b"" if self.keep_alive and not self.http10 else self._connection()
        return b"".join((_STATUS_LINES[status], lines, framing, connection, b"\r\n"))

    def _connection(self) -> bytes:
        return b"Connection: keep-alive\r\n" if self.keep_alive else b"Connection: close\r\n"

    def _frame(self, data: bytes) -> bytes:
        self.bytes_out += len(data)
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._remaining is not None:
            self._remaining -= len(data)
        return data
