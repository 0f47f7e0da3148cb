"""Events as messages of the broker: one each, or several of a type in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from random import Random
from typing import Final

from proxy.events.base import OutboxEvent
from proxy.events.broker.base import BrokerMessage, BrokerUnavailable, Publisher
from proxy.events.cloudevent import BATCH_TYPE, MEDIA_TYPE, batch
from proxy.events.outbox.base import WaitingEvent
from proxy.events.sending.base import SendOutcome

SINGLY: Final = 500  # events that are published together
IN_BATCHES: Final = 2000
BATCH_BYTES: Final = 512 << 10  # of one message: NATS takes 1 MiB
FIRST_PAUSE: Final = 0.1  # seconds; twice as long after each failure
LONGEST_PAUSE: Final = 5.0
JITTER: Final = 0.2
_DOUBLINGS: Final = 10


class BrokerSender:
    """``batch``: events in one message, at most."""

    noun = "message broker"
    probes = False
    give_up_secs = inf

    def __init__(self, publisher: Publisher, batch: int, chance: Random) -> None:
        self.most = SINGLY if batch == 1 else max(IN_BATCHES, batch)
        self._publisher = publisher
        self._batch = batch
        self._chance = chance

    async def send(self, events: Sequence[WaitingEvent]) -> SendOutcome:
        try:
            await self._publisher.publish(list(messages(events, self._batch)))
        except BrokerUnavailable as error:
            return SendOutcome(error=str(error))
        return SendOutcome(sent=[each.seq for each in events])

    def pause(self, failures: int, retry_after: float | None) -> float:
        longest = min(FIRST_PAUSE * 2.0 ** min(failures - 1, _DOUBLINGS), LONGEST_PAUSE)
        return longest * (1 + self._chance.uniform(-JITTER, JITTER))

    def later(self, tries: int, retry_after: float | None) -> float:
        return 0.0  # the broker refuses no single event

    async def close(self) -> None:
        await self._publisher.close()


def messages(events: Sequence[WaitingEvent | OutboxEvent], most: int) -> Iterator[BrokerMessage]:
    """Messages with up to ``most`` events of the same type. Events of a type keep their order."""
    if most == 1:
        for each in events:
            yield BrokerMessage(each.id, each.type, MEDIA_TYPE, each.body)
        return
    by_type: dict[str, list[WaitingEvent | OutboxEvent]] = {}
    sizes: dict[str, int] = {}
    for each in events:
        waiting, size = by_type.setdefault(each.type, []), sizes.get(each.type, 0) + len(each.body)
        if waiting and (len(waiting) == most or size > BATCH_BYTES):
            yield _together(waiting)
            by_type[each.type], size = [], len(each.body)
        by_type[each.type].append(each)
        sizes[each.type] = size
    for waiting in by_type.values():
        yield _together(waiting)


def _together(events: Sequence[WaitingEvent | OutboxEvent]) -> BrokerMessage:
    first = events[0]
    return BrokerMessage(first.id, first.type, BATCH_TYPE, batch([each.body for each in events]))
