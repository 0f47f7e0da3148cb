"""An event stream as one JSON array, for clients of Gemini's ``streamGenerateContent`` without ``alt=sse``.

Google's form is kept: ``[{...}\\n``, then ``,\\r\\n{...}\\n`` for each further element, then ``]``. If the stream was
cut, the array is not closed.
Source: https://ai.google.dev/api/generate-content, and recorded answers of Vertex
"""

from __future__ import annotations

import re
import sys
from typing import Final

from proxy.errors import GatewayError
from proxy.server.outlet import Outlet, OutletWrapper
from proxy.wire.sse import Framer, payload

_content_type: Final = re.compile(rb"^content-type:[ \t]*([^;\r\n]*)[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)
_JSON: Final = b"Content-Type: application/json; charset=UTF-8\r\n"
_events: Final = re.compile(r"(?:^|[&;])(?:\$|%24)?alt=sse(?:[&;]|$)", re.IGNORECASE).search
_SPACE: Final = b"\n"  # between elements: keeps the connection open


class EventArray(OutletWrapper):
    """Writes the data of each event as an element of an array, as soon as the event is whole.

    A block without data, such as a ping, becomes a blank line. A JSON answer that is no stream, such as an error,
    becomes an array of one. Everything else passes.
    """

    __slots__ = ("_elements", "_framer", "_is_events")

    def __init__(self, outlet: Outlet) -> None:
        super().__init__(outlet)
        self._is_events = False
        self._elements = 0
        self._framer = Framer(sys.maxsize)  # whoever writes has bounded the events

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        kind = _kind(header_lines)
        if kind == b"text/event-stream":
            lines = _content_type.sub(_JSON, header_lines)
            super().send(status, lines, self._converted(body) + self._closing())
        elif kind == b"application/json" and body.lstrip().startswith(b"{"):
            super().send(status, header_lines, b"[%b\n]" % body.strip())
        else:
            super().send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        if _kind(header_lines) != b"text/event-stream":
            super().begin(status, header_lines, first, length=length)
            return
        self._is_events = True
        super().begin(status, _content_type.sub(_JSON, header_lines), self._converted(first))

    def write(self, data: bytes) -> None:
        if self._is_events:
            data = self._converted(data)
        if data:  # an event may be incomplete yet
            super().write(data)

    def end(self, last: bytes = b"") -> None:
        super().end(self._converted(last) + self._closing() if self._is_events else last)

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        """The in-band error is the last element."""
        super().break_off(fault, self._converted(last) + self._closing() if self._is_events else last)

    def _converted(self, data: bytes) -> bytes:
        return b"".join(map(self._element, self._framer.feed(data)))

    def _element(self, block: bytes) -> bytes:
        data = payload(block)
        if not data:
            return _SPACE
        self._elements += 1
        return (b"[%b\n" if self._elements == 1 else b",\r\n%b\n") % data

    def _closing(self) -> bytes:
        """The end of the array. An event without its blank line is none."""
        return b"]" if self._elements else b"[]"


def wants_events(query: str) -> bool:
    """Whether the query of a request to Google's API asks for an event stream instead of an array."""
    return _events(query) is not None


def _kind(header_lines: bytes) -> bytes:
    """The media type, ``b""`` for none."""
    found = _content_type.search(header_lines)
    return b"" if found is None else found[1].strip().lower()
