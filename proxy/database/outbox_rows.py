"""Receivers and dead events as they are read from the outbox. Without SQLAlchemy, as every gateway imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

MOST_COUNTED: Final = 10_000
"""Events are counted up to so many, so that a page that looks each 3 s costs the database 0.1 s at most."""


class ReceiverStanding(Struct, frozen=True):
    """What the database knows of a receiver. Times are Unix seconds of the database; ``None``: never.

    ``waiting`` and ``dead``: at most ``MOST_COUNTED``. ``oldest``: when the first that waits happened. ``until``: how
    long a process has the receiver for itself, to send to it; in the past: none has. ``last_dead``: when the last one
    died. ``error``: of the last failure.
    """

    name: str
    waiting: int = 0
    oldest: float | None = None
    dead: int = 0
    last_dead: float | None = None
    until: float = 0.0
    sent: int = 0
    failures: int = 0
    sent_at: float | None = None
    failed_at: float | None = None
    gone_at: float | None = None
    error: str = ""


class DeadEvent(Struct, frozen=True):
    """An event that a receiver did not take in time. ``seq``: of its row. ``body``: the CloudEvent in JSON.

    ``at``: when it happened, ``dead_at``: when it was given up, in Unix seconds. ``error``: of the last try.
    """

    seq: int
    id: str
    receiver: str
    type: str
    at: float
    dead_at: float
    tries: int
    error: str
    body: str


class DeadFilter(Struct, frozen=True):
    """Which dead events. ``seqs``: numbers, ``ids``: of events; ``None``: all. ``receiver``: ``""``: any."""

    seqs: Sequence[int] | None = None
    receiver: str = ""
    ids: Sequence[str] | None = None


class Changed(Struct, frozen=True):
    """``more``: there are more of them than one call changes."""

    count: int
    more: bool
