"""The deliveries of all receivers, and what waits in the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

from proxy.events.broker.base import Publisher
from proxy.events.outbox.base import EventOutbox, OutboxUnavailable, ReceiverCounts
from proxy.events.sending.base import EventSender
from proxy.events.sending.delivery import DeliveryClocks, EventDelivery
from proxy.events.sending.status import UNKNOWN, ReceiverStatus

COUNT_SECS: Final = 1.0  # between two counts of what waits
COUNT_SHARE: Final = 0.02  # of the time, at most: a million rows take 0.1 s
DEAD_LETTERS_SECS: Final = 10.0
END_SECS: Final = 5.0  # without progress, after which the rest is left to the next start
ROOM: Final = 0.95
CLOSE_SECS: Final = 2.0  # for a step that is under way


class Deliveries:
    """``publisher``: of the broker, if it is a receiver. ``most_waiting``: events in the outbox."""

    def __init__(
        self,
        deliveries: Sequence[EventDelivery],
        senders: Sequence[EventSender],
        outbox: EventOutbox,
        publisher: Publisher | None,
        most_waiting: int,
        clocks: DeliveryClocks,
    ) -> None:
        self.full = False
        """Whether as many events wait as may wait; from then on until one in twenty of these is gone."""
        self.dead_letters = UNKNOWN
        """Messages in the broker's dead letters; -1: not known."""
        self._deliveries = deliveries
        self._senders = senders
        self._outbox = outbox
        self._publisher = publisher
        self._most_waiting = most_waiting
        self._clocks = clocks
        self._counts: Mapping[str, ReceiverCounts] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<Deliveries {self._deliveries}>"

    @property
    def waiting(self) -> int:
        """Events of these receivers at the last count. Those of former ones do not count, as nothing sends them."""
        return sum(self._counts[each.receiver].waiting for each in self._deliveries if each.receiver in self._counts)

    def start(self) -> None:
        for each in self._deliveries:
            each.start()
        self._tasks.append(asyncio.create_task(self._keep_counting(), name="events that wait"))
        if self._publisher is not None:
            self._tasks.append(asyncio.create_task(self._look_at_dead_letters(self._publisher), name="dead letters"))

    def wake(self) -> None:
        """There are new events."""
        for each in self._deliveries:
            each.wake()

    def finished(self, since: float) -> bool:
        """Whether nothing was left at some moment after ``since`` (monotonic), or nothing gets on.

        A receiver that another process has is that one's concern.
        """
        now = self._clocks.now()
        return all(
            each.empty_at >= since
            or (not each.hold.held and each.hold.looked_at > -inf)
            or now - max(each.progress_at, since) >= END_SECS
            for each in self._deliveries
        )

    def statuses(self) -> tuple[ReceiverStatus, ...]:
        now = self._clocks.wall()
        return tuple(_status(each, self._counts.get(each.receiver, ReceiverCounts()), now) for each in self._deliveries)

    async def close(self) -> None:
        """Lets steps end that are under way. Takes up to 15 s, if neither the broker nor the outbox responds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(
            *(each.close(CLOSE_SECS) for each in self._deliveries), *self._tasks, return_exceptions=True
        )
        await asyncio.gather(*(each.close() for each in self._senders), return_exceptions=True)
        await self._outbox.close()

    async def count(self) -> None:
        """Raises OutboxUnavailable."""
        counts = await self._outbox.counts()
        self._counts = counts
        self.full = self.waiting >= self._most_waiting * (ROOM if self.full else 1.0)
        if sum(each.dead for each in counts.values()) > self._most_waiting:
            await self._outbox.trim(self._most_waiting)

    async def _keep_counting(self) -> None:
        while True:
            began = self._clocks.now()
            try:
                await self.count()
            except OutboxUnavailable:
                pass  # the deliveries tell it
            took = self._clocks.now() - began
            await self._clocks.sleep(max(COUNT_SECS, took / COUNT_SHARE))

    async def _look_at_dead_letters(self, publisher: Publisher) -> None:
        while True:
            self.dead_letters = await publisher.dead()
            await self._clocks.sleep(DEAD_LETTERS_SECS)


def _status(delivery: EventDelivery, counts: ReceiverCounts, now: float) -> ReceiverStatus:
    health = delivery.health
    return ReceiverStatus(
        delivery.receiver,
        health.up,
        health.since,
        counts.waiting,
        0.0 if counts.oldest is None else round(max(now - counts.oldest, 0.0), 1),
        delivery.sent,
        delivery.failures,
        counts.dead,
        health.error or delivery.outbox_error,
        delivery.hold.held,
    )
