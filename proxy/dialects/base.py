"""The passive listener beside a stream: what each event means, without changing a byte of it.

A reader answers one question per event, ``plain`` in the common case at the cost of one typed decode, and
keeps what the exchange wants to know at the end. One reader per dialect; this file holds the face they
share and the one for dialects that we relay without understanding.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Protocol

from msgspec import Struct

from proxy.dialects import openai_error, openai_usage
from proxy.dialects.openai_error import ProviderError
from proxy.dialects.openai_usage import Usage
from proxy.errors import GatewayError
from proxy.wire import document
from proxy.wire.sse import BOM, Event, parse

DONE = b"data: [DONE]\n\n"


class Mark(Enum):
    """What an event is to the relay."""

    COMMENT = auto()  # no data at all
    EMPTY = auto()  # fields, but no data in them: the OpenAI SDK raises on it
    GARBAGE = auto()  # data that is neither [DONE] nor JSON to any parser
    QUIET = auto()  # JSON that tells nothing yet: a role, a filter result
    CONTENT = auto()  # JSON that the client waits for
    USAGE = auto()  # the usage event that we asked for and the client did not
    ERROR = auto()  # the provider tells a failure
    BARE_ERROR = auto()  # an error object outside of any event: event-stream parsers skip it
    DONE = auto()  # [DONE]


class Reader(Protocol):
    """``read`` must be called for every event that ``plain`` did not vouch for."""

    response_model: str
    error: ProviderError | None
    lenient: int  # events so far whose JSON only lenient parsers read

    @property
    def usage(self) -> Usage | None:
        """What the stream has told of its consumption so far."""

    def plain(self, block: bytes) -> bool:
        """Whether the block is one well-formed event that needs no thought; what it tells is noted."""

    def read(self, block: bytes, *, first: bool = False) -> Mark:
        """What the block is; ``first`` is the very start of the stream, where a BOM may stand."""

    @property
    def complete(self) -> bool:
        """Whether the terminal event came: whatever ends the stream from now on, it is whole."""

    @property
    def ended(self) -> bool:
        """Whether the terminal event itself came; ``complete`` may hold before it."""

    def closing(self) -> bytes | None:
        """The terminal event that a cut stream still needs; ``b""``: none. For a stream that is ``complete``.

        ``None`` where something that the client asked for did not come.
        """

    @property
    def open_ended(self) -> bool:
        """Whether no terminal event is known: the stream is whole where HTTP framing ends it."""

    def told(self, fault: GatewayError) -> bytes:
        """The event that tells a failure in-band."""


class Payload(Struct, gc=False):
    """What a block carries, before any dialect reads it. ``document`` is meaningful where ``mark`` is ``None``."""

    mark: Mark | None = None
    document: Any = None
    strict: bool = True  # False: only lenient parsers read the JSON
    named_error: bool = False  # the event's name says that it is one
    error: ProviderError | None = None  # with BARE_ERROR


def opened(block: bytes, *, first: bool = False) -> Payload:
    """Read a block as far as all dialects agree; ``first`` is the very start of the stream."""
    event = parse(block, first=first)
    nothing = without_data(event)
    if nothing is not None:
        error = bare_error(block, first=first) if nothing is Mark.COMMENT else None
        return Payload(nothing) if error is None else Payload(Mark.BARE_ERROR, error=error)
    data = event.data or b""
    if is_done(data):
        return Payload(Mark.DONE)
    named_error = event.event == b"error"
    try:
        found, strict = document.read(data)
    except ValueError:
        return Payload(Mark.GARBAGE)
    return Payload(None, found, strict, named_error)


def bare_error(block: bytes, *, first: bool = False) -> ProviderError | None:
    """The error in a block that is a JSON document instead of an event, ``None`` for every other block."""
    text = (block.removeprefix(BOM) if first else block).strip()
    return openai_error.read(text) if text.startswith((b"{", b"[")) else None


def without_data(event: Event) -> Mark | None:
    """What an event is that carries no data, ``None`` for all others.

    The OpenAI SDK takes a block with nothing but ``event``, ``id`` or ``retry`` for an event, and raises as the
    data of it is no JSON; the specification says that it is none.
    """
    if event.data:
        return None
    lone = event.event or event.id or event.retry is not None
    return Mark.COMMENT if event.data is None and not lone else Mark.EMPTY


def is_done(data: bytes) -> bool:
    return data.startswith(b"[DONE]") and data.rstrip() == b"[DONE]"


class OtherReader:
    """Events of a schema that we do not read: HTTP framing alone says whether the stream is whole."""

    __slots__ = ("complete", "error", "lenient", "response_model", "usage")

    open_ended = True

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.response_model = ""
        self.error: ProviderError | None = None
        self.lenient = 0
        self.complete = False

    @property
    def ended(self) -> bool:
        return self.complete

    def closing(self) -> bytes:
        return b""

    def plain(self, block: bytes) -> bool:
        return False

    def read(self, block: bytes, *, first: bool = False) -> Mark:
        payload = opened(block, first=first)
        if payload.mark is not None:
            self.error = payload.error or self.error
            self.complete = self.complete or payload.mark is Mark.DONE
            return payload.mark
        self.lenient += not payload.strict
        error = openai_error.find(payload.document)
        if error is not None:
            self.error = error
            return Mark.ERROR
        self.usage = openai_usage.find(payload.document) or self.usage
        return Mark.CONTENT

    def told(self, fault: GatewayError) -> bytes:
        return b"data: %b\n\n" % openai_error.body(fault)
