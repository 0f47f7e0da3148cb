"""Publish server-sent events to dashboards. Each event is encoded once, and a slow subscriber delays no other.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import json

BACKLOG: Final = 256  # events kept for a subscriber that reconnects, and the most that may wait for a slow one
MAX_SUBSCRIBERS: Final = 100
LINGER_SECS: Final = 60.0  # how long events are collected after the last subscriber left, in case it reconnects

_encode = json.Encoder().encode


class Subscriber:
    """A queue of events for one client. ``drop`` is called when it is too slow; then nothing more is queued."""

    def __init__(self, drop: Callable[[], None]) -> None:
        self._drop = drop
        self._waiting: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self.closed = False

    def __repr__(self) -> str:
        return f"<Subscriber {'closed, ' if self.closed else ''}{len(self._waiting)} events waiting>"

    def put(self, frame: bytes) -> None:
        if len(self._waiting) >= BACKLOG:
            self._waiting.clear()
            self.close()
            self._drop()
        elif not self.closed:
            self._waiting.append(frame)
            self._ready.set()

    def close(self) -> None:
        """Queue nothing more; what waits can still be taken."""
        self.closed = True
        self._ready.set()

    async def take(self) -> bytes:
        """Wait for at least one event and return all that wait; ``b""`` after the end."""
        await self._ready.wait()
        if not self.closed:
            self._ready.clear()
        frames = b"".join(self._waiting)
        self._waiting.clear()
        return frames


class Feed:
    """Publishes events. An event's id is ``instance-number``, so ids of another process are recognized.

    ``now`` is a clock in seconds.
    """

    def __init__(self, instance: str, now: Callable[[], float]) -> None:
        self.instance = instance
        self._now = now
        self._subscribers: set[Subscriber] = set()
        self._backlog: deque[bytes] = deque(maxlen=BACKLOG)
        self.number = 0  # of the latest event
        self._linger_until = 0.0  # without subscribers: until when events are collected

    def __repr__(self) -> str:
        return f"<Feed {self.number} events, {len(self._subscribers)} subscribers>"

    def __len__(self) -> int:
        return len(self._subscribers)

    @property
    def active(self) -> bool:
        """Whether events are collected."""
        return bool(self._subscribers) or self._now() < self._linger_until

    def publish(self, event: str, value: object) -> None:
        """Queue ``value`` as JSON for every subscriber, without waiting. Does nothing unless ``active``."""
        if not self.active:
            return
        self.number += 1
        frame = self.frame(event, value, self.number)
        self._backlog.append(frame)
        for subscriber in tuple(self._subscribers):
            subscriber.put(frame)

    def frame(self, event: str, value: object, number: int) -> bytes:
        """Encode one event without publishing it."""
        head = f"id: {self.instance}-{number}\r\nevent: {event}\r\ndata: ".encode()
        return b"%b%b\r\n\r\n" % (head, _encode(value))

    def missed(self, last_id: str) -> list[bytes] | None:
        """The events after ``last_id``; ``None`` if they are not known, or no longer kept."""
        instance, _, number = last_id.rpartition("-")
        if instance != self.instance or not number.isascii() or not number.isdecimal():
            return None
        behind = self.number - int(number[:18])
        if not 0 <= behind <= len(self._backlog):
            return None
        return list(self._backlog)[len(self._backlog) - behind :]

    @property
    def full(self) -> bool:
        return len(self._subscribers) >= MAX_SUBSCRIBERS

    def subscribe(self, subscriber: Subscriber) -> None:
        if not self.active:  # events were not collected meanwhile: the gap in numbers tells earlier subscribers so
            self._backlog.clear()
            self.number += 1
        self._subscribers.add(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        subscriber.close()
        self._subscribers.discard(subscriber)
        if not self._subscribers:
            self._linger_until = self._now() + LINGER_SECS

    def close(self) -> None:
        """End every subscriber's stream."""
        for subscriber in tuple(self._subscribers):
            subscriber.close()
