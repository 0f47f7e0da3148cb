"""The events of a Responses stream: named, and numbered from 0.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

import msgspec

from proxy.wire import document

_encode: Final = msgspec.json.Encoder().encode


class ResponseEvents:
    """Makes the events of one stream. ``number``: of the last one, -1 before the first."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = -1

    def make(self, kind: str, members: dict[str, Any]) -> bytes:
        """An event. JSON that is encoded already may stand in ``members`` as ``msgspec.Raw``, beside ASCII only."""
        self.number += 1
        data = document.encode({"type": kind, **members, "sequence_number": self.number})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


class GrowingText:
    """A text that grows by delta events of one ``kind`` at one ``place``. ``more``: their members after the text.

    It has no halves of surrogate pairs, as Codex ignores events with any. Those that come in two deltas are joined.
    """

    __slots__ = ("_events", "_half", "_head", "_tail", "_text")

    def __init__(
        self, events: ResponseEvents, kind: str, place: dict[str, Any], more: dict[str, Any] | None = None
    ) -> None:
        name = kind.encode()
        self._events = events
        self._head = b'event: %b\ndata: {"type":"%b",%b,"delta":' % (name, name, _encode(place)[1:-1])
        self._tail = (b"," + _encode(more)[1:-1] if more else b"") + b',"sequence_number":'
        self._text = StringIO()
        self._half = ""  # the first half of a pair, kept back

    def __len__(self) -> int:
        return self._text.tell()

    def add(self, text: str) -> bytes:
        """The event for more text. Called once per token."""
        if self._half:
            text = self._half + text
            self._half = ""
        try:
            quoted = _encode(text)
        except UnicodeEncodeError:
            if "\ud800" <= text[-1] <= "\udbff":
                self._half = text[-1]
                text = text[:-1]
                if not text:
                    return b""
            text = document.without_halves(text)
            quoted = _encode(text)
        self._text.write(text)
        events = self._events
        events.number += 1
        return b"%b%b%b%d}\n\n" % (self._head, quoted, self._tail, events.number)

    def flush(self) -> bytes:
        """The event for what was kept back, as its second half cannot come any more."""
        half, self._half = self._half, ""
        return self.add(document.without_halves(half)) if half else b""

    def end(self) -> tuple[str, bytes]:
        """The whole text, and an event for what was kept back."""
        events = self.flush()
        return self._text.getvalue(), events
