"""A broker in this process, with the faces of those that gateways publish to and that consumers read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.broker.reading import BrokerDelivery

Mode = Literal["up", "down", "unconfirmed"]


class MemoryBroker:
    """``ledger``: what ``sluice ledger consume`` has to read. ``told``: every message, as other consumers get them.

    ``mode``: ``unconfirmed`` keeps messages, and fails all the same.
    """

    def __init__(self) -> None:
        self.mode: Mode = "up"
        self.told: list[BrokerMessage] = []
        self.ledger: deque[BrokerMessage] = deque()
        self.dead: list[tuple[str, str]] = []  # id and reason
        self.arrived = asyncio.Event()

    def check(self) -> None:
        if self.mode == "down":
            raise BrokerUnavailable("cut off")


class MemoryPublisher:
    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.closed = False

    async def publish(self, messages: Sequence[BrokerMessage]) -> None:
        broker = self.broker
        broker.check()
        broker.told += messages
        broker.ledger += (each for each in messages if each.ledger)
        broker.arrived.set()
        if broker.mode == "unconfirmed":
            raise BrokerUnavailable("no confirmation")

    async def dead(self) -> int:
        return len(self.broker.dead)

    async def close(self) -> None:
        self.closed = True


class MemorySubscription:
    """One subscriber. ``crash`` gives back what it has not accepted, as a connection that breaks does."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.held: dict[int, BrokerMessage] = {}
        self.closed = False
        self._number = 0
        self._session = 0

    def receive(self, most: int) -> list[BrokerDelivery]:
        """What waits, without waiting."""
        self.broker.check()
        found = []
        while self.broker.ledger and len(found) < most:
            self._number += 1
            message = self.held[self._number] = self.broker.ledger.popleft()
            found.append(
                BrokerDelivery(
                    message.id, message.type, message.content_type, message.body, (self._session, self._number)
                )
            )
        return found

    async def batches(self, most: int, wait_secs: float) -> AsyncIterator[list[BrokerDelivery]]:
        self.crash()  # a new connection
        while True:
            if found := self.receive(most):
                yield found
            else:
                self.broker.arrived.clear()
                await self.broker.arrived.wait()

    async def accept(self, deliveries: Sequence[BrokerDelivery]) -> None:
        for each in deliveries:
            self._settle(each)

    async def bury(self, delivery: BrokerDelivery, reason: str) -> None:
        self._settle(delivery)
        self.broker.dead.append((delivery.id, reason))

    async def waiting(self) -> int:
        self.broker.check()
        return len(self.broker.ledger)

    async def close(self) -> None:
        self.crash()
        self.closed = True

    def crash(self) -> None:
        self.broker.ledger.extendleft(reversed(self.held.values()))
        self.held.clear()
        self._session += 1

    def _settle(self, delivery: BrokerDelivery) -> None:
        self.broker.check()
        session, number = delivery.token  # type: ignore[misc]
        if session != self._session:
            raise BrokerUnavailable("it was received by a connection that is gone")
        del self.held[number]
