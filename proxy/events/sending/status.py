"""The state of a receiver, in the recorder's status file."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

UNKNOWN: Final = -1
"""Number of the broker's dead letters where it is not known."""


class ReceiverStatus(Struct, frozen=True):
    """A receiver as this process sees it. ``sent`` and ``failures`` are its own, since its start.

    ``waiting`` and ``dead`` are events in the outbox. ``up``: it takes events, since the Unix time ``since``.
    ``error``: its last failure. ``held``: this process is the one that sends to it.
    """

    name: str
    up: bool
    since: float
    waiting: int = 0
    oldest_secs: float = 0.0
    sent: int = 0
    failures: int = 0
    dead: int = 0
    error: str = ""
    held: bool = True
