"""Copies an answer on its way to the client.

It is the outlet nearest to the relay: hooks see an answer from the cache as they see one from a provider. What is of
the request alone is left out: the member ``_router``, comments of a stream, and header lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from msgspec import Struct

from proxy.dialects.base import Writer
from proxy.errors import GatewayError
from proxy.exchange import Exchange
from proxy.server.outlet import Outlet, OutletWrapper
from proxy.wire.sse import LF, Framer

EVENT_STREAM: Final = b"text/event-stream"

_content_type: Final = re.compile(rb"^content-type:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE).search
_USUAL_TYPE: Final = b"Content-Type: "  # found sooner than by the expression
_kept_lines: Final = re.compile(rb"^x-router-(?:dropped|patched):[^\r\n]*\r\n", re.MULTILINE).findall
_ROUTER: Final = b',"_router":'  # our own is the last one: within a string the quotes would be escaped
_NO_FRAMES: Final[list[bytes]] = []  # never added to
_MISS: Final = b',"cache":{"status":"miss"}}}'
_without_comments: Final = re.compile(rb"^:[^\r\n]*(?:\r\n|\r|\n|$)", re.MULTILINE).sub


class Recordings(Struct):
    """Bytes of all answers that are being copied, at most ``most``, and ``largest`` of one."""

    most: int
    largest: int
    used: int = 0


class AnswerRecorder(OutletWrapper):
    """``whole``: the answer is complete, and may be stored. Call ``release`` at the end."""

    __slots__ = (
        "_exchange",
        "_framed",
        "_kept",
        "_pieces",
        "_plain",
        "_recordings",
        "_size",
        "content_type",
        "lines",
        "whole",
    )

    def __init__(self, outlet: Outlet, exchange: Exchange, recordings: Recordings) -> None:
        self.outlet = outlet  # not by ``super``: one is made per request
        self._exchange = exchange
        self._recordings = recordings
        self._kept = True
        self._plain = b""  # a whole JSON answer
        self._pieces: list[bytes] | None = None  # of a stream, once it has begun
        self._framed: list[bytes] = _NO_FRAMES  # chunks with their framing, since the last of ``_pieces``
        self._size = 0
        self.content_type = self.lines = b""
        self.whole = False

    # -- what is written ---------------------------------------------------------------------------

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        if status != 200:
            self._stop()
        else:
            self._start(header_lines)
            if not self.streams:
                body = self._copy_plain(body)
            else:
                self._pieces = []
                self._copy(body)
                self.whole = self._kept
        self.outlet.send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        self._start(header_lines)
        if status == 200 and self.streams:
            self._pieces, self._framed = [], []
            self._copy(first)
        else:
            self._stop()  # a plain answer that is sent in pieces is too large
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
        self.whole = self._kept
        self.outlet.end(last)

    # -- what ends the copy ------------------------------------------------------------------------

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self._stop()
        self.outlet.break_off(fault, last)

    def lose(self, fault: GatewayError) -> None:
        self._stop()
        self.outlet.lose(fault)

    def abort(self) -> None:
        self._stop()
        self.outlet.abort()

    def release(self) -> None:
        """Forget the copy."""
        self._recordings.used -= self._size
        self._size = 0
        self._kept = False
        self._plain = b""
        self._pieces, self._framed = None, _NO_FRAMES

    # -- what was copied ---------------------------------------------------------------------------

    @property
    def streams(self) -> bool:
        return self.content_type.startswith(EVENT_STREAM)

    def body(self) -> bytes:
        """The answer, once it is ``whole``; ``b""`` if there is nothing to store."""
        if self._pieces is None:
            return self._plain
        self._unframe()
        return own_events(b"".join(self._pieces), self._exchange.endpoint.dialect.writer.ping)

    def _start(self, header_lines: bytes) -> None:
        at = header_lines.find(_USUAL_TYPE)
        if at == 0 or (at > 0 and header_lines[at - 1] == LF):
            self.content_type = header_lines[at + len(_USUAL_TYPE) : header_lines.find(b"\r\n", at)]
        else:
            found = _content_type(header_lines)
            self.content_type = found[1] if found is not None else b""
        exchange = self._exchange
        if exchange.dropped or exchange.patches:
            self.lines = b"".join(_kept_lines(header_lines))

    def _copy_plain(self, body: bytes) -> bytes:
        """Copy a whole JSON answer. Returns it with one more member of ``_router``, if it has that."""
        exchange = self._exchange
        if exchange.lenient_events or not self._kept:  # only lenient parsers read it
            self._stop()
            return body
        at = body.rfind(_ROUTER) if _has_metadata(exchange.endpoint.dialect.writer) else -1
        own = at >= 0 and body.endswith(b"}}")
        self._plain = plain = body[:at] + b"}" if own else body
        self._count(len(plain))
        self.whole = self._kept
        return body[:-2] + _MISS if own else body

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
            self._stop()

    def _stop(self) -> None:
        """Copy nothing more: the answer is not to be stored."""
        self.release()
        self.whole = False

    def _unframe(self) -> None:
        """Take the contents of the chunks. Each has one size line before it, and CR LF behind it."""
        assert self._pieces is not None
        for framed in self._framed:
            self._pieces.append(framed[framed.index(b"\r\n") + 2 : -2])
        self._framed.clear()


@cache
def _has_metadata(writer: Writer) -> bool:
    """Whether answers of this dialect get the member ``_router``."""
    return writer.with_metadata(b'{"a":0}', b'"_router":{}') != b'{"a":0}'


def own_events(body: bytes, ping: bytes) -> bytes:
    """The events of a stream without comments and pings, which are of their own time and request."""
    if b"\n:" not in body and not body.startswith(b":") and (not ping or ping not in body):
        return body
    blocks = blocks_of(_without_comments(b"", body))
    return b"".join(block for block in blocks if block != ping and block.strip(b"\r\n"))


def blocks_of(body: bytes) -> list[bytes]:
    """The events of a whole stream, each with the blank line behind it."""
    framer = Framer(len(body) + 1)
    blocks, rest = framer.feed(body), framer.rest
    return [*blocks, rest] if rest else blocks
