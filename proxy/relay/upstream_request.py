"""What an attempt is given: what is sent, and who asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.config.timeouts import Clocks
from proxy.dialects.base import Reader
from proxy.exchange import Attempt, Exchange
from proxy.relay.events import EventHook

Segments = Sequence[bytes | memoryview]
Listener = Callable[[bytes, bool], bytes]


class AttemptContext(Protocol):
    """Who asks. An attempt turns to it where an answer takes its time, or goes out as it comes: the usual answer,
    whole in one read, needs nothing of it.

    ``listener`` hears every event before it goes to the client, and whether the provider has told an error by then;
    what it gives back goes on.
    """

    listener: Listener | None

    @property
    def replayable(self) -> bool:
        """Whether it may be sent once more where a kept-alive connection died under it."""

    @property
    def clocks(self) -> Clocks:
        """How long it may take."""

    @property
    def pings(self) -> bool:
        """Whether the client of a stream is told that it is still waited for."""

    @property
    def deadline(self) -> float:
        """The moment at which the content commit must have been, whatever the clocks allow."""

    def ping(self) -> None:
        """Tell the client that we wait, too."""

    def reader(self) -> Reader:
        """What reads the answer's events as they pass."""

    def header_lines(self, kind: bytes, provider_lines: bytes) -> bytes:
        """The header lines of an answer of this media type, with those of the provider."""

    def committed(self) -> None:
        """The content commit, before any byte of it goes out: the request will not be sent again."""

    def epilogue(self) -> bytes:
        """A comment that goes before a stream's terminal event, or ``b""``."""


class UpstreamRequest(Struct):
    """What is sent, and for whom.

    ``size`` is that of the whole ``body``. ``upload`` streams a request body that is not held in memory.
    ``no_body``: the answer has none whatever its head says (HEAD).
    """

    head: bytes
    body: Segments
    size: int
    asker: AttemptContext
    attempt: Attempt
    upload: AsyncIterator[bytes] | None = None
    no_body: bool = False

    def forget(self) -> None:
        """It will not be sent again. In place, because every frame up to the handler knows this object."""
        self.head, self.body, self.upload = b"", (), None


def overheard(listener: Listener, reader: Reader) -> EventHook:
    """An event hook that lets ``listener`` hear each event."""

    def hear(exchange: Exchange, block: bytes) -> bytes:
        return listener(block, reader.error is not None)

    return hear
