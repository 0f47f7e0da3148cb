"""The outbox as events are sent from it. ``sqlite.py`` and ``postgres.py`` implement it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

# No event waits longer for its next try, and no hold is longer: who finds more knows that the clock was set back.
LONGEST_SECS: Final = 7200.0
LONGEST_HOLDS: Final = 2


class OutboxUnavailable(Exception):
    """It cannot be reached, is locked or full, or lacks the tables: try again later. The text is for the log."""


class WaitingEvent(Struct, frozen=True, gc=False):
    """An event for one receiver. ``body``: the CloudEvent in JSON. ``at``: when it happened. ``tries`` have failed."""

    seq: int
    id: str
    type: str
    at: float
    body: bytes
    tries: int = 0


class FailedTry(Struct, frozen=True):
    """``due``: the next try, in Unix seconds; ``None``: the event is dead."""

    seq: int
    due: float | None
    error: str


class Settlement(Struct):
    """What came of some events at the time ``at``.

    ``sent`` are rows that their receiver has. ``error``: why the receiver failed, ``""``: it did not.
    """

    at: float
    sent: Sequence[int] = ()
    failed: Sequence[FailedTry] = ()
    error: str = ""

    def __bool__(self) -> bool:
        return bool(self.sent or self.failed or self.error)


class ReceiverCounts(Struct, frozen=True):
    """Events of one receiver. ``oldest``: when the first one that waits happened, in Unix seconds."""

    waiting: int = 0
    oldest: float | None = None
    dead: int = 0


class EventOutbox(Protocol):
    """Connects at the first use, and again after a failure. Every method but ``close`` raises OutboxUnavailable.

    No transaction outlives a call. Times are Unix seconds.
    """

    async def hold(self, receiver: str, holder: str, secs: float) -> bool:
        """Take the receiver for so many seconds, or for longer if ``holder`` has it. ``False``: another one has it."""
        ...

    async def release(self, receiver: str, holder: str) -> None:
        """Give it up, if ``holder`` has it."""
        ...

    async def take(self, receiver: str, now: float, most: int) -> list[WaitingEvent]:
        """The first events that are due. They stay in the outbox."""
        ...

    async def settle(self, receiver: str, settlement: Settlement) -> None:
        """Remove what was sent, and note what failed. Doing it again changes only the count of failures."""
        ...

    async def give_up(self, receiver: str, now: float, before: float, error: str) -> int:
        """Let events be dead that happened before this time. Returns how many."""
        ...

    async def gone(self, receiver: str, at: float | None) -> None:
        """Note since when the receiver wants no more events; ``None``: it gets them again."""
        ...

    async def counts(self) -> Mapping[str, ReceiverCounts]:
        """By receiver, of those that have any. A million rows take up to 0.1 s."""
        ...

    async def trim(self, most: int) -> int:
        """Delete the first dead events beyond so many. Returns how many, a thousand at most."""
        ...

    async def close(self) -> None: ...
