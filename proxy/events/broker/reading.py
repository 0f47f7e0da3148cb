"""A message broker as it is read: by ``sluice ledger consume``, and for its dead letters.

``amqp.py`` and ``nats.py`` implement it. Methods raise BrokerUnavailable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct


class BrokerDelivery(Struct, eq=False):
    """A message that was received. ``token`` is the broker's own."""

    id: str
    type: str
    content_type: str
    body: bytes
    token: object


class LedgerSubscription(Protocol):
    """Messages with ``ledger``, of which each goes to one subscriber of all."""

    def batches(self, most: int, wait_secs: float) -> AsyncIterator[list[BrokerDelivery]]:
        """Up to ``most`` messages at a time, at least one; a batch that is not full comes after ``wait_secs``."""
        ...

    async def accept(self, deliveries: Sequence[BrokerDelivery]) -> None:
        """They are done with. What is not accepted comes again, perhaps to another subscriber."""
        ...

    async def bury(self, delivery: BrokerDelivery, reason: str) -> None:
        """Move it to the dead letters, with the reason."""
        ...

    async def waiting(self) -> int:
        """How many messages are to come yet. May be called while ``batches`` waits for one.

        Of RabbitMQ those that no subscriber has received: it notices at once that one was killed.
        """
        ...

    async def close(self) -> None: ...


class DeadLetter(Struct, frozen=True):
    """A message in the dead letters. ``queue``: where it came from; ``at``: Unix seconds, 0: not known."""

    id: str
    type: str
    queue: str
    reason: str
    at: float
    body: bytes


class DeadLetters(Protocol):
    """Messages that a consumer has refused."""

    async def look(self, most: int) -> list[DeadLetter]:
        """The first of them. They stay. 0: only connect, though there may be no place for them yet."""
        ...

    async def send_again(self, ids: frozenset[str] | None) -> int:
        """Move those with these ids, or all (``None``), back to where they came from. Returns how many."""
        ...

    async def close(self) -> None: ...
