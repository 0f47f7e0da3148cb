"""Steps of an upstream's script, run in order on the connection of one request.

A script is an iterable of steps; ``bytes`` stand for ``Send(bytes)``. A step ends when its bytes are in
the kernel, so a peer that does not read pauses the script like a real server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

HeaderList = list[tuple[str, str]]

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True)
class Send:
    """Write exactly these bytes, in one write."""

    data: bytes


@dataclass(frozen=True)
class Headers:
    """The response head, with exactly these headers."""

    status: int = 200
    headers: HeaderList = field(default_factory=list)
    reason: str | None = None  # None: the standard phrase
    version: str = "HTTP/1.1"

    @property
    def data(self) -> bytes:
        reason = _PHRASES.get(self.status, "") if self.reason is None else self.reason
        lines = [
            f"{self.version} {self.status} {reason}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class Chunk:
    """One HTTP/1.1 chunk, framing included, in one write (RFC 9112 section 7.1)."""

    payload: bytes

    @property
    def data(self) -> bytes:
        return b"%x\r\n%b\r\n" % (len(self.payload), self.payload)


@dataclass(frozen=True)
class LastChunk:
    """The end of a chunked body; ``trailers`` are whole lines, each with its CRLF."""

    trailers: bytes = b""

    @property
    def data(self) -> bytes:
        return b"0\r\n" + self.trailers + b"\r\n"


@dataclass(frozen=True)
class Wait:
    """Go on once the test has set this event."""

    event: asyncio.Event


@dataclass(frozen=True)
class Signal:
    """Set this event: the script has come this far."""

    event: asyncio.Event


@dataclass(frozen=True)
class Stall:
    """Do nothing until the peer is gone."""


@dataclass(frozen=True)
class Close:
    """Close cleanly, after everything written so far (over TLS with close_notify)."""


@dataclass(frozen=True)
class HalfClose:
    """Send FIN and go on reading (over TLS a FIN without close_notify: a truncation)."""


@dataclass(frozen=True)
class Reset:
    """Send RST. The bytes written before have left, whether the peer has read them or not."""


@dataclass(frozen=True)
class PauseReading:
    """Stop reading from the socket; a disconnect then goes unnoticed."""


@dataclass(frozen=True)
class ResumeReading:
    """Read again."""


@dataclass(frozen=True)
class Tunnel:
    """From here on carry all bytes to and from that address, as a proxy does after its 200 to CONNECT."""

    host: str
    port: int


Step = (
    Send
    | Headers
    | Chunk
    | LastChunk
    | Wait
    | Signal
    | Stall
    | Close
    | HalfClose
    | Reset
    | PauseReading
    | ResumeReading
    | Tunnel
)
Script = Iterable[Step | bytes]
