"""Events whose data is JSON: what all dialects with such events read alike."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from msgspec import Struct

from proxy.dialects import provider_error
from proxy.dialects.base import EventKind, Reader
from proxy.dialects.provider_error import ProviderError
from proxy.wire import document
from proxy.wire.sse import BOM, Event, parse


class JsonEventReader(Reader):
    """A subclass says what the JSON of an event means."""

    __slots__ = ()

    ends_with_done: ClassVar[bool] = True  # [DONE] is a terminal event

    def read(self, block: bytes, *, first: bool = False) -> EventKind:
        payload = read_payload(block, first=first)
        kind = payload.kind
        if kind is None:
            self.lenient += not payload.strict
            return self._understand(payload.document, payload.name)
        if payload.error is not None:
            self.error = payload.error
        if kind is EventKind.DONE and self.ends_with_done:
            self.complete = self.ended = True
        return kind

    @abstractmethod
    def _understand(self, event: Any, name: bytes | None) -> EventKind:
        """The kind of an event with this JSON, and this name if any. Notes what it reports."""


class Payload(Struct, gc=False):
    """The content of a block. ``document`` and ``name`` are meaningful where ``kind`` is ``None``."""

    kind: EventKind | None = None
    document: Any = None
    name: bytes | None = None  # of the event
    strict: bool = True  # False: only lenient parsers read the JSON
    error: ProviderError | None = None  # with UNFRAMED_ERROR


def read_payload(block: bytes, *, first: bool = False) -> Payload:
    """Read a block as far as all dialects agree; ``first`` is the start of the stream."""
    event = parse(block, first=first)
    if not event.data:
        kind = without_data(event)
        error = unframed_error(block, first=first) if kind is EventKind.COMMENT else None
        return Payload(kind) if error is None else Payload(EventKind.UNFRAMED_ERROR, error=error)
    if is_done(event.data):
        return Payload(EventKind.DONE)
    try:
        found, strict = document.read(event.data)
    except ValueError:
        return Payload(EventKind.MALFORMED)
    return Payload(None, found, event.event, strict)


def unframed_error(block: bytes, *, first: bool = False) -> ProviderError | None:
    """The error in a block that is a JSON document instead of an event, ``None`` for every other block."""
    text = (block.removeprefix(BOM) if first else block).strip()
    return provider_error.read(text) if text.startswith((b"{", b"[")) else None


def without_data(event: Event) -> EventKind:
    """COMMENT or NO_DATA, for an event without data.

    The OpenAI SDK takes a block with nothing but ``event``, ``id`` or ``retry`` for an event, and raises because its
    data is no JSON; the specification says that it is none.
    """
    lone = event.event or event.id or event.retry is not None
    return EventKind.COMMENT if event.data is None and not lone else EventKind.NO_DATA


def is_done(data: bytes) -> bool:
    return data.startswith(b"[DONE]") and data.rstrip() == b"[DONE]"
