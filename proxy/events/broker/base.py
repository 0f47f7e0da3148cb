"""A message broker as events are sent to it. ``amqp.py`` and ``nats.py`` implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

LEDGER_QUEUE: Final = "ledger"
"""Last word of the queue (or durable consumer) that ``sluice ledger consume`` reads: ``sluice.ledger``."""


class BrokerUnavailable(Exception):
    """No connection, a blocked one, or a refusal that may pass: try again later. The text is for the log."""


class BrokerMessage(Struct, frozen=True):
    """One message for the broker: an event, or several of the same type. ``id``: of the (first) event.

    ``ledger``: it carries rows that no database has yet, so ``sluice ledger consume`` gets it, too.
    """

    id: str
    type: str
    content_type: str
    body: bytes
    ledger: bool = False


class Publisher(Protocol):
    """Connects at the first use, and again after a failure."""

    async def publish(self, messages: Sequence[BrokerMessage]) -> None:
        """Send messages, and wait until the broker has them all safe in every queue that is to get them.

        Raises BrokerUnavailable if that is not certain of any of them; sending them all again is safe.
        """
        ...

    async def dead(self) -> int:
        """How many messages are in the dead letters; -1: not known. Does not raise."""
        ...

    async def close(self) -> None: ...
