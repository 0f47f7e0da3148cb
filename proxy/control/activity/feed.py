"""News for whoever watches, as server-sent events: encoded once for all readers, and none is waited for.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from msgspec import json

BACKLOG = 256  # events that a reader who comes back may have missed, and that one who is slow may have before it
READERS = 100
# So long after the last reader left the news goes on being collected, as it may come back for what it missed.
LINGER = 60.0

_encode = json.Encoder().encode


class Reader:
    """Takes what the feed has for it. ``drop`` is called when it is too slow: nothing more comes."""

    def __init__(self, drop: Callable[[], None]) -> None:
        self._drop = drop
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        self.over = False

    def __repr__(self) -> str:
        return f"<Reader {'over, ' if self.over else ''}{len(self._waiting)} events waiting>"

    def put(self, frame: bytes) -> None:
        if len(self._waiting) >= BACKLOG:
            self._waiting.clear()
            self.end()
            self._drop()
        elif not self.over:
            self._waiting.append(frame)
            self._news.set()

    def end(self) -> None:
        """Nothing more comes than what waits already."""
        self.over = True
        self._news.set()

    async def take(self) -> bytes:
        """All that has come meanwhile, at least one event; ``b""`` when it is over."""
        await self._news.wait()
        if not self.over:
            self._news.clear()
        frames = b"".join(self._waiting)
        self._waiting.clear()
        return frames


class Feed:
    """``publish`` to all readers. An event's id is ``instance-number``: that of another process is known as such.

    ``now`` is a clock in seconds.
    """

    def __init__(self, instance: str, now: Callable[[], float]) -> None:
        self.instance = instance
        self._now = now
        self._readers: set[Reader] = set()
        self._backlog: deque[bytes] = deque(maxlen=BACKLOG)
        self.number = 0  # of the latest event
        self._until = 0.0  # when there is no reader any more: how long news is collected

    def __repr__(self) -> str:
        return f"<Feed {self.number} events, {len(self._readers)} readers>"

    def __len__(self) -> int:
        return len(self._readers)

    @property
    def heard(self) -> bool:
        """Whether it is worth making an event."""
        return bool(self._readers) or self._now() < self._until

    def publish(self, event: str, value: object) -> None:
        """``value`` as JSON to everybody, at once and without waiting; to nobody, if nobody listens."""
        if not self.heard:
            return
        self.number += 1
        frame = self.frame(event, value, self.number)
        self._backlog.append(frame)
        for reader in tuple(self._readers):
            reader.put(frame)

    def frame(self, event: str, value: object, number: int) -> bytes:
        """One event, without sending it."""
        head = f"id: {self.instance}-{number}\r\nevent: {event}\r\ndata: ".encode()
        return b"%b%b\r\n\r\n" % (head, _encode(value))

    def missed(self, last_id: str) -> list[bytes] | None:
        """What has come since ``last_id``; ``None`` where that is not known (any more)."""
        instance, _, number = last_id.rpartition("-")
        if instance != self.instance or not number.isascii() or not number.isdecimal():
            return None
        behind = self.number - int(number[:18])
        if not 0 <= behind <= len(self._backlog):
            return None
        return list(self._backlog)[len(self._backlog) - behind :]

    @property
    def full(self) -> bool:
        return len(self._readers) >= READERS

    def join(self, reader: Reader) -> None:
        if not self.heard:  # what came meanwhile was not collected, which whoever was here before has to find out
            self._backlog.clear()
            self.number += 1
        self._readers.add(reader)

    def leave(self, reader: Reader) -> None:
        reader.end()
        self._readers.discard(reader)
        if not self._readers:
            self._until = self._now() + LINGER

    def close(self) -> None:
        """Every reader's stream ends."""
        for reader in tuple(self._readers):
            reader.end()
