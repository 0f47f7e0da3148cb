"""Copies a stream on its way to the client, without comments and pings, which belong to their request."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from proxy.cache.recorder import AnswerRecorder, content_type_of
from proxy.errors import GatewayError
from proxy.exchange import Exchange
from proxy.server.outlet import Outlet
from proxy.wire.sse import Framer

EVENT_STREAM: Final = b"text/event-stream"

_NO_FRAMES: Final[list[bytes]] = []  # never added to
_without_comments: Final = re.compile(rb"^:[^\r\n]*(?:\r\n|\r|\n|$)", re.MULTILINE).sub


class Recordings(Struct):
    """Bytes of streams that are being copied and of answers that wait for their store, at most ``most``.

    ``largest``: bytes of one answer.
    """

    most: int
    largest: int
    used: int = 0


class StreamRecorder(AnswerRecorder):
    """Copies an event stream. Of a provider that answers with JSON it copies that."""

    __slots__ = ("_framed", "_kept", "_pieces", "_recordings", "_size", "_whole")

    def __init__(self, outlet: Outlet, exchange: Exchange, recordings: Recordings) -> None:
        super().__init__(outlet, exchange)
        self._recordings = recordings
        self._kept = True
        self._pieces: list[bytes] | None = None  # once it has begun
        self._framed: list[bytes] = _NO_FRAMES  # chunks with their framing, since the last of ``_pieces``
        self._size = 0
        self._whole = False

    # -- what is written ---------------------------------------------------------------------------

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        if not _streams(header_lines):
            super().send(status, header_lines, body)
            return
        if status == 200:
            self._start(header_lines, body)
            self._whole = self._kept
        self.outlet.send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        if status == 200 and _streams(header_lines):
            self._start(header_lines, first)
        else:
            self.release()
        self.outlet.begin(status, header_lines, first, length=length)

    def write(self, data: bytes) -> None:
        self._copy(data)
        self.outlet.write(data)

    def for_frames(self) -> Callable[[bytes], None] | None:
        """The client's function itself if nothing is copied, so that a token costs nothing then."""
        forward = self.outlet.for_frames()
        if forward is None or not self._kept:
            return forward
        copy, send = self._copy_framed, forward

        def copied(framed: bytes) -> None:
            copy(framed)
            send(framed)

        return copied

    def end(self, last: bytes = b"") -> None:
        self._copy(last)
        self._whole = self._kept
        self.outlet.end(last)

    # -- what ends the copy ------------------------------------------------------------------------

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self.release()
        self.outlet.break_off(fault, last)

    def lose(self, fault: GatewayError) -> None:
        self.release()
        self.outlet.lose(fault)

    def abort(self) -> None:
        self.release()
        self.outlet.abort()

    def release(self) -> None:
        """Forget the copy, and copy nothing more."""
        super().release()
        self._recordings.used -= self._size
        self._size = 0
        self._kept = self._whole = False
        self._pieces, self._framed = None, _NO_FRAMES

    # -- what was copied ---------------------------------------------------------------------------

    def copy(self) -> bytes | None:
        if self._pieces is None or not self._whole:
            return super().copy()
        self._unframe()
        return own_events(b"".join(self._pieces), self._exchange.endpoint.dialect.writer.ping)

    def _start(self, header_lines: bytes, first: bytes) -> None:
        self.header_lines = header_lines
        self._pieces, self._framed = [], []
        self._copy(first)

    def _copy(self, data: bytes) -> None:
        if self._pieces is not None and data:
            if self._framed:
                self._unframe()
            self._pieces.append(data)
            self._count(len(data))

    def _copy_framed(self, framed: bytes) -> None:
        if self._kept:
            self._framed.append(framed)
            self._count(len(framed))

    def _count(self, size: int) -> None:
        recordings = self._recordings
        self._size += size
        recordings.used += size
        if self._size > recordings.largest or recordings.used > recordings.most:
            self.release()

    def _unframe(self) -> None:
        """Take the contents of the chunks. Each has one size line before it, and CR LF behind it."""
        assert self._pieces is not None
        for framed in self._framed:
            self._pieces.append(framed[framed.index(b"\r\n") + 2 : -2])
        self._framed.clear()


def _streams(header_lines: bytes) -> bool:
    return content_type_of(header_lines).startswith(EVENT_STREAM)


def own_events(body: bytes, ping: bytes) -> bytes:
    """The events of a stream without comments and pings."""
    if b"\n:" not in body and not body.startswith(b":") and (not ping or ping not in body):
        return body
    blocks = blocks_of(_without_comments(b"", body))
    return b"".join(block for block in blocks if block != ping and block.strip(b"\r\n"))


def blocks_of(body: bytes) -> list[bytes]:
    """The events of a whole stream, each with the blank line behind it."""
    framer = Framer(len(body) + 1)
    blocks, rest = framer.feed(body), framer.rest
    return [*blocks, rest] if rest else blocks
