"""Queue of corrections, released slots and lease renewals for Redis. It is bounded, for outages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct

from proxy.limits.base import Cost, Limit
from proxy.limits.batch import Batch, Slot
from proxy.limits.leases import Leases

MOST = 100_000  # corrections, and as many released slots
_MOST_PER_CALL = 1000  # of each

T = TypeVar("T")


class Sent(Struct):
    """What was sent with one call."""

    corrections: list[Cost]
    released: list[tuple[Slot, int]]


class Pending:
    """The queue."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._corrections: deque[Cost] = deque()
        # The oldest are dropped: a lease that is not renewed expires.
        self._released: deque[tuple[Slot, int]] = deque(maxlen=most)
        self._renewals: deque[tuple[Slot, int]] = deque()

    def correct(self, cost: Cost) -> None:
        self._corrections.append(cost)
        if len(self._corrections) > self._most:
            self._merge()

    def release(self, slot: Slot, lease: int) -> None:
        self._released.append((slot, lease))

    def renew(self, held: Iterable[tuple[Slot, int]]) -> None:
        self._renewals = deque(held)

    def fill(self, batch: Batch, held: Leases) -> Sent:
        """Move entries into ``batch``. Only slots in ``held`` are renewed."""
        sent = Sent(_first(self._corrections), _first(self._released))
        for cost in sent.corrections:
            batch.correct(cost)
        for slot, lease in sent.released:
            batch.release(slot, lease)
        for renewal in _first(self._renewals):
            if renewal in held:
                batch.renew(*renewal)
        return sent

    def put_back(self, sent: Sent, corrections: bool) -> None:
        """Queue again what a failed call had sent.

        ``corrections``: also the corrections, which must not be applied twice. Releases may be.
        """
        for each in reversed(sent.released[: self._most - len(self._released)]):
            self._released.appendleft(each)
        if corrections:
            self._corrections.extendleft(reversed(sent.corrections))
        self._renewals.clear()

    def __bool__(self) -> bool:
        return bool(self._corrections or self._released or self._renewals)

    def __len__(self) -> int:
        return len(self._corrections) + len(self._released)

    def _merge(self) -> None:
        """Merge corrections by bucket. If there are still too many, drop the oldest half: buckets refill anyway."""
        sums: dict[tuple[str, str, float, float], float] = {}
        limits: dict[tuple[str, str, float, float], Limit] = {}
        for cost in self._corrections:
            limit = cost.limit
            bucket = (limit.name, cost.key, limit.capacity, limit.rate)
            sums[bucket] = sums.pop(bucket, 0.0) + cost.amount
            limits[bucket] = limit
        merged = [Cost(limits[bucket], bucket[1], amount) for bucket, amount in sums.items()]
        self._corrections = deque(merged[-(self._most // 2) :])


def _first(queue: deque[T]) -> list[T]:
    return [queue.popleft() for _ in range(min(len(queue), _MOST_PER_CALL))]
