"""The request of one upstream call, and what the relay needs to know of the attempt that it is for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.config.timeouts import Clocks
from proxy.dialects.base import Reader
from proxy.exchange import Attempt
from proxy.relay.event_filter import EventHook

Segments = Sequence[bytes | memoryview]


class AttemptContext(Protocol):
    """One attempt, as the relay sees it. An answer that comes whole in one read needs nothing of it.

    ``deadline``: the moment by which the content commit must have been, whatever the clocks allow. ``pings``: the
    client of a stream gets comments while it waits. ``event_hook`` gets each event before the client, and returns the
    bytes to forward.
    """

    attempt: Attempt
    deadline: float
    pings: bool
    event_hook: EventHook | None

    @property
    def replayable(self) -> bool:
        """Whether the request may be sent again if a kept-alive connection died under it."""

    @property
    def clocks(self) -> Clocks:
        """The time limits of the attempt."""

    def ping(self) -> None:
        """Send a ping to a client that has nothing of the answer yet."""

    def reader(self) -> Reader:
        """A new reader for the events of the answer."""

    def header_lines(self, kind: bytes, provider_lines: bytes) -> bytes:
        """Header lines of an answer of this media type, the provider's included."""

    def committed(self) -> None:
        """Called at the content commit, before the first byte of the answer is sent. Raises what forbids it."""

    def epilogue(self) -> bytes:
        """The comment before the terminal event of a stream, or ``b""``."""


class UpstreamRequest(Struct):
    """The bytes to send. ``size`` is that of the whole ``body``.

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
        """Drop the bytes, as they will not be sent again. In place: every frame up to the handler has this object."""
        self.head, self.body, self.upload = b"", (), None
