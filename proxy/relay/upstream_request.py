"""The request of one upstream call, and the relay's view of its attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.config.timeouts import Clocks
from proxy.dialects.base import Reader
from proxy.dialects.translation.stream import StreamTranslation
from proxy.exchange import Attempt
from proxy.relay.event_filter import EventHook

Segments = Sequence[bytes | memoryview]


class AttemptContext(Protocol):
    """The attempt, as the relay needs it. An answer that arrives in one read uses none of it.

    ``deadline``: latest time of the content commit, in addition to the timeouts. ``pings``: the client of a stream gets
    comments while it waits. ``event_hook`` gets each event before the client, and returns the bytes to forward.
    """

    attempt: Attempt
    deadline: float
    pings: bool
    event_hook: EventHook | None

    @property
    def replayable(self) -> bool:
        """Whether the request may be sent again if a kept-alive connection dies before any answer."""

    @property
    def clocks(self) -> Clocks:
        """The timeouts of the attempt."""

    @property
    def translates(self) -> bool:
        """Whether the answer is translated, so that none of its bytes may go to the client."""

    def ping(self) -> None:
        """Send a ping to a client before any content."""

    def reader(self) -> Reader:
        """A new reader for the events of the answer."""

    def translation(self) -> StreamTranslation | None:
        """The translation of the events, ``None`` if they are in the client's dialect."""

    def header_lines(self, kind: bytes, provider_lines: bytes) -> bytes:
        """Header lines of an answer of this media type, including the provider's."""

    def committed(self) -> None:
        """Called at the content commit, before the first byte is sent. Raises if another attempt has won."""

    def epilogue(self) -> bytes:
        """The comment before the terminal event of a stream, or ``b""``."""


class UpstreamRequest(Struct):
    """The bytes to send. ``size``: bytes of ``body``.

    ``upload`` streams a body that is not held in memory. ``no_body``: the response has no body, whatever its head
    says (HEAD).
    """

    head: bytes
    body: Segments
    size: int
    attempt_context: AttemptContext
    upload: AsyncIterator[bytes] | None = None
    no_body: bool = False

    def forget(self) -> None:
        """Drop the bytes, as they will not be sent again. In place, because many frames refer to this object."""
        self.head, self.body, self.upload = b"", (), None
