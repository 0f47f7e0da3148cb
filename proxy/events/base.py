"""An event, and the interface of what takes events."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from msgspec import Struct

from proxy.config.billing_schema import EventType


class GatewayEvent(Struct, frozen=True):
    """Something that happened at ``time`` (Unix seconds) to ``subject``.

    ``id``: the same each time the event is sent, and from each process that saw it. ``data``: encoded as JSON.
    """

    id: str
    type: EventType
    time: float
    subject: str
    data: Struct


class EventSink(Protocol):
    """Takes events: webhooks, for example."""

    def offer(self, event: GatewayEvent) -> None:
        """Take an event. Does not wait and does not raise."""


def event_id(*parts: object) -> str:
    """An id for the event that these parts describe: equal ones have the same.

    It has no text of a client and no full stop, which a signature must not contain there.
    """
    return f"evt_{sha256(repr(parts).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
