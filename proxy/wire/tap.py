"""The passive listener beside a stream: what each event means, without changing a byte of it.

A tap answers one question per event, ``plain`` in the common case at the cost of one typed decode, and
keeps what the exchange wants to know at the end. One tap per dialect; this file holds the face they
share and the one for dialects that we relay without understanding.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from proxy.errors import GatewayError
from proxy.wire import document, openai_error, usage
from proxy.wire.openai_error import ProviderError
from proxy.wire.sse import Event, parse
from proxy.wire.usage import Usage


class Mark(Enum):
    """What an event is to the relay."""

    COMMENT = auto()  # no data at all
    EMPTY = auto()  # fields, but no data in them: the OpenAI SDK raises on it
    GARBAGE = auto()  # data that is neither JSON nor [DONE]
    QUIET = auto()  # JSON that tells nothing yet: a role, a filter result
    CONTENT = auto()  # JSON that the client waits for
    USAGE = auto()  # the usage event that we asked for and the client did not
    ERROR = auto()  # the provider tells a failure
    DONE = auto()  # [DONE]


class Tap(Protocol):
    """``read`` must be called for every event that ``plain`` did not vouch for."""

    response_model: str
    error: ProviderError | None

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
    def open_ended(self) -> bool:
        """Whether no terminal event is known: the stream is whole where HTTP framing ends it."""

    def told(self, fault: GatewayError) -> bytes:
        """The event that tells a failure in-band."""


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


class PlainTap:
    """Events of a schema that we do not read: HTTP framing alone says whether the stream is whole."""

    __slots__ = ("complete", "error", "response_model", "usage")

    open_ended = True

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.response_model = ""
        self.error: ProviderError | None = None
        self.complete = False

    def plain(self, block: bytes) -> bool:
        return False

    def read(self, block: bytes, *, first: bool = False) -> Mark:
        event = parse(block, first=first)
        if (nothing := without_data(event)) is not None:
            return nothing
        data = event.data or b""
        if is_done(data):
            self.complete = True
            return Mark.DONE
        try:
            told = document.decode(data)
        except ValueError:
            return Mark.GARBAGE
        error = openai_error.find(told)
        if error is not None:
            self.error = error
            return Mark.ERROR
        self.usage = usage.find(told) or self.usage
        return Mark.CONTENT

    def told(self, fault: GatewayError) -> bytes:
        return b"data: %b\n\n" % openai_error.body(fault)
