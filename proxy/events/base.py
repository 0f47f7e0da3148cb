"""An event, its form in the outbox, and who gets it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from proxy.config.events_schema import Events, EventType

BROKER: Final = "broker"
"""Name of the receiver that is the message broker."""


class GatewayEvent(Struct, frozen=True):
    """Something that happened at ``time`` (Unix seconds) to ``subject``.

    ``id``: the same each time the event is sent, and from each process that saw it. ``data``: encoded as JSON.
    ``sequence``: its place among the events of its subject, from 1; 0: they have no order.
    """

    id: str
    type: EventType
    time: float
    subject: str
    data: Struct
    sequence: int = 0


class OutboxEvent(Struct, frozen=True, array_like=True, gc=False):
    """An event as it waits to be sent. ``body``: the CloudEvent in JSON. ``at``: when it happened, in Unix seconds."""

    id: str
    type: str
    at: float
    body: bytes


class EventReceiver(Struct, frozen=True):
    """One receiver: the broker, or a webhook. ``types``: those that it gets; ``()``: all of them."""

    name: str
    types: tuple[str, ...] = ()

    def takes(self, type_: str) -> bool:
        return not self.types or type_ in self.types


class Announcer(Protocol):
    """Takes events that happen outside of a transaction."""

    def offer(self, event: GatewayEvent) -> None:
        """Take an event. Does not wait and does not raise."""


def receivers_of(events: Events) -> tuple[EventReceiver, ...]:
    """Who gets events. A webhook keeps its name as long as its address is the same."""
    found = [EventReceiver(BROKER, tuple(events.types))] if events.url else []
    return (*found, *(EventReceiver(webhook_name(each.url), tuple(each.types)) for each in events.webhooks))


def webhook_name(url: str) -> str:
    """Names a webhook without what is secret of its address."""
    return f"webhook:{urlsplit(url).netloc}:{sha256(url.encode()).hexdigest()[:8]}"


def event_id(*parts: object) -> str:
    """An id for the event that these parts describe: equal ones have the same.

    It has no text of a client and no full stop, which a signature must not contain there.
    """
    return f"evt_{sha256(repr(parts).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
