"""What Redis has still to be told: corrections, released slots, leases that live on. Bounded while it is away."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct

from proxy.limits.base import Cost, Limit
from proxy.limits.batch import Batch, Slot
from proxy.limits.leases import Leases

MOST = 100_000  # corrections, and as many released slots
_TOGETHER = 1000  # of each in one call

T = TypeVar("T")


class Sent(Struct):
    """What went with one call."""

    corrections: list[Cost]
    released: list[tuple[Slot, int]]


class Pending:
    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._corrections: deque[Cost] = deque()
        # Beyond its length the oldest fall out: a lease that is renewed no more expires by itself.
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
        """Move into ``batch`` what it can carry. What ``held`` does not hold any more is not renewed."""
        told = Sent(_first(self._corrections), _first(self._released))
        for cost in told.corrections:
            batch.correct(cost)
        for slot, lease in told.released:
            batch.release(slot, lease)
        for renewal in _first(self._renewals):
            if renewal in held:
                batch.renew(*renewal)
        return told

    def put_back(self, told: Sent, corrections: bool) -> None:
        """The call failed. Releasing twice does no harm; a correction that may have arrived must not come again."""
        for each in reversed(told.released[: self._most - len(self._released)]):
            self._released.appendleft(each)
        if corrections:
            self._corrections.extendleft(reversed(told.corrections))
        self._renewals.clear()

    def __bool__(self) -> bool:
        return bool(self._corrections or self._released or self._renewals)

    def __len__(self) -> int:
        return len(self._corrections) + len(self._released)

    def _merge(self) -> None:
        """One correction for each bucket; if these are too many, the oldest half is forgotten: buckets fill anyway."""
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
    return [queue.popleft() for _ in range(min(len(queue), _TOGETHER))]
