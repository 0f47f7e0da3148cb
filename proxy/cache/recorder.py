"""Copies a plain answer on its way to the client; ``stream_recorder`` copies streams.

It is the outlet nearest to the relay: hooks see an answer from the cache as they see one from a provider. What belongs
to the request alone is left out: the member ``_router``, and header lines.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from proxy.dialects.base import Writer
from proxy.exchange import Exchange
from proxy.server.outlet import Outlet, OutletWrapper

_JSON: Final = b"application/json"
_JSON_LINE: Final = b"\nContent-Type: application/json\r\n"  # as nearly all plain answers have it, after ``Date``
_CONTENT_TYPE: Final = b"\nContent-Type: "  # as most providers have it, after ``Date``; the pattern below is slower
_content_type: Final = re.compile(rb"^content-type:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE).search
_kept_lines: Final = re.compile(rb"^x-router-(?:dropped|patched):[^\r\n]*\r\n", re.MULTILINE).findall
_ROUTER: Final = b',"_router":'  # our own is the last one: within a string the quotes would be escaped
WHITE_SPACE: Final = b" \t\r\n"  # of JSON
_MISS: Final = b',"cache":{"status":"miss"}}}'


class AnswerRecorder(OutletWrapper):
    """Copies an answer that is sent at once. One that is sent in pieces is too large, or a stream.

    ``header_lines``: of the answer, once ``copy`` returns one.
    """

    __slots__ = ("_body", "_exchange", "header_lines")

    def __init__(self, outlet: Outlet, exchange: Exchange) -> None:
        self.outlet = outlet  # not by ``super``: one is made per request
        self._exchange = exchange
        self._body: bytes | None = None
        self.header_lines = b""

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        """The client gets one more member of ``_router``, if that is there."""
        exchange = self._exchange
        if status == 200 and not exchange.lenient_events:  # else only lenient parsers read it
            self.header_lines = header_lines
            at = body.rfind(_ROUTER) if _has_metadata(exchange.endpoint.dialect.writer) else -1
            if at >= 0 and (body.endswith(b"}}") or (body := body.rstrip(WHITE_SPACE)).endswith(b"}}")):
                self._body = body[:at] + b"}"
                body = body[:-2] + _MISS
            else:
                self._body = body
        self.outlet.send(status, header_lines, body)

    def copy(self) -> bytes | None:
        """The body to store; ``None``: the answer is not whole, or no success."""
        return self._body

    def release(self) -> None:
        """Forget the copy."""
        self._body = None


def content_type_of(header_lines: bytes) -> bytes:
    """The value of ``Content-Type``, ``b""`` without one."""
    if _JSON_LINE in header_lines:
        return _JSON
    at = header_lines.find(_CONTENT_TYPE)
    if at >= 0:
        return header_lines[at + len(_CONTENT_TYPE) : header_lines.find(b"\r", at)]
    found = _content_type(header_lines)
    return b"" if found is None else found[1]


def kept_lines(header_lines: bytes) -> bytes:
    """The lines that name what a translation lost and what patches changed. They hold for each equal request."""
    return b"".join(_kept_lines(header_lines))


@cache
def _has_metadata(writer: Writer) -> bool:
    """Whether answers of this dialect get the member ``_router``."""
    return writer.with_metadata(b'{"a":0}', b'"_router":{}') != b'{"a":0}'
