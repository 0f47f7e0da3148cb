"""Receivers as events are sent to them. ``broker.py`` and ``webhook.py`` implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field

from proxy.events.outbox.base import WaitingEvent


class RefusedEvent(Struct, frozen=True):
    """An event that its receiver did not take, while it may take others."""

    event: WaitingEvent
    error: str


class SendOutcome(Struct):
    """What came of some events, in any order. Those that are in neither list were not tried, or it is not certain.

    ``error``: why the receiver failed as a whole; ``""``: it did not. ``retry_after``: seconds, as the receiver asks.
    ``gone``: it wants no more events.
    """

    sent: list[int] = field(default_factory=list)  # ``WaitingEvent.seq``
    refused: list[RefusedEvent] = field(default_factory=list)
    error: str = ""
    retry_after: float | None = None
    gone: bool = False


class EventSender(Protocol):
    """``noun``: what the receiver is, for log lines. ``most``: events that it takes at once.

    ``probes``: while it fails, one event is tried at a time. ``give_up_secs``: after an event happened; ``inf``: never.
    """

    noun: str
    most: int
    probes: bool
    give_up_secs: float

    async def send(self, events: Sequence[WaitingEvent]) -> SendOutcome:
        """Send events, in this order while that costs no time. Does not raise what ``SendOutcome`` can tell."""
        ...

    def pause(self, failures: int, retry_after: float | None) -> float:
        """Seconds to send nothing after so many failures in a row."""
        ...

    def later(self, tries: int, retry_after: float | None) -> float:
        """Seconds until an event is tried again that was refused so many times."""
        ...

    async def close(self) -> None: ...


class EventLog(Protocol):
    """Where log lines go."""

    def info(self, message: str, **fields: object) -> None: ...

    def warning(self, message: str, **fields: object) -> None: ...
