"""The store of one process, in dictionaries. It never waits.

``grant`` runs twice per request, so it inlines the arithmetic of ``bucket.py``. Everything else calls that module.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from math import inf
from operator import itemgetter

from proxy.budgets.base import Charge, Wants, charge, hold, shortfall
from proxy.limits import bucket
from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.bucket import BOUND, FULL
from proxy.limits.generations import Generations
from proxy.limits.prepared import NO_COSTS, Granted, PreparedCosts
from proxy.limits.slots import Slots

_SLOT_WAIT = 1.0  # seconds; when a slot becomes free is unknown

# Undo log of a take, newest first: dictionary, key, previous ``full_at``. Refusals are rare, so undoing is cheaper
# than checking all buckets before the first change.
_Taken = tuple[()] | tuple[dict[str, float], str, float, "_Taken"]


class Memory:
    """A ``proxy.limits.base.Store``. ``now`` returns monotonic seconds, never negative.

    For each limit, at most twice ``max_keys`` keys are kept (see ``Generations``), with 150 bytes for a key of 40
    characters. Beyond that the least recently used are dropped, which refills their buckets. Only a flood of invented
    client IDs reaches this number, and the limit of their address applies to those.
    """

    __slots__ = ("_buckets", "_max_keys", "_now", "_slots", "_turns_at")

    def __init__(self, now: Callable[[], float], max_keys: int) -> None:
        self._now = now
        self._max_keys = max_keys
        self._buckets: dict[str, Generations] = {}
        self._turns_at = inf  # when the first of the generations turns: one comparison per take
        self._slots = Slots()

    def __repr__(self) -> str:
        return f"<Memory {self._buckets} {self._slots}>"

    def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict:
        answer = self.grant(self.prepare(costs), lease, wants)
        return _verdict(*answer) if isinstance(answer, tuple) else answer

    def prepare(self, costs: Sequence[Cost]) -> PreparedCosts:
        """Look up what does not change between takes: the generations of each limit, and its refill."""
        now = self._now()
        buckets, slots = [], []
        for cost in costs:
            limit = cost.limit
            refill = limit.refill
            if refill:
                keys = self._keys(limit.name, refill, now)
                buckets.append((keys, cost.key, cost.amount / limit.rate, refill, limit))
            else:
                slots.append(cost)
        return PreparedCosts(tuple(costs), tuple(buckets), tuple(slots))

    def grant(self, prepared: PreparedCosts, lease: int, wants: Wants = ()) -> Granted | Verdict:
        """Take all costs and hold all wants, or return the verdict that refuses them."""
        if not wants:
            return self._take(prepared, lease)
        short = shortfall(wants)
        if short is not None:
            return Verdict(False, None, 0.0, 0.0, 0.0, short)
        answer = self._take(prepared, lease) if prepared.costs else NO_COSTS
        if isinstance(answer, tuple):
            hold(wants)
        return answer

    def _take(self, prepared: PreparedCosts, lease: int) -> Granted | Verdict:
        now = self._now()
        if now >= self._turns_at:
            self._turn(now)
        taken: _Taken = ()
        most, tightest = NO_COSTS
        for keys, key, seconds, refill, limit in prepared.buckets:
            young = keys.young
            try:
                full_at = young[key]
            except KeyError:
                full_at = keys.recall(key, now)
                young = keys.young
            ahead = seconds + (full_at - now) if full_at > now else seconds
            young[key] = now + ahead  # a later cost may turn the generation; ``_undo`` still has this dictionary
            taken = young, key, full_at, taken
            part = ahead / refill
            if part > most:
                if part > BOUND:
                    _undo(taken)
                    return self._refusal(prepared.costs, lease, now)
                most, tightest = part, limit
        if not prepared.slots:
            return most, tightest
        answer = self._take_slots(prepared, lease, most, tightest)
        if answer is None:
            _undo(taken)
            return self._refusal(prepared.costs, lease, now)
        return answer

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None:
        charge(charges)
        if not corrections and not slots:
            return
        now = self._now()
        for cost in corrections:
            limit, key = cost.limit, cost.key
            keys = self._keys(limit.name, bucket.refill(limit), now)
            full_at = keys.young.get(key)
            if full_at is None:
                full_at = keys.recall(key, now)
            keys.young[key] = bucket.corrected(limit, full_at, now, cost.amount)
        for cost in slots:
            self._slots.release(cost.limit.name, cost.key, lease)

    async def close(self) -> None:
        """Nothing is queued."""

    # -- inspection -------------------------------------------------------------------------------

    @property
    def kept(self) -> int:
        """Number of buckets, without slots."""
        return sum(map(len, self._buckets.values()))

    def usage(self, limit: Limit, key: str) -> float:
        """The level of a bucket, negative if in debt; for slots, the number of free ones."""
        if not limit.rate:
            return limit.capacity - self._slots.count(limit.name, key)
        return bucket.level(limit, self._full_at(limit, key), self._now())

    def top_usage(self, limit: Limit, most: int) -> list[tuple[str, float]]:
        """At most ``most`` keys with the highest usage, and the used part: 1 for an empty bucket, up to 2 in debt.

        For operators, not for requests: it scans all keys, 0.1 s for a million.
        """
        if not limit.rate:
            held = heapq.nlargest(most, self._slots.items(limit.name), key=itemgetter(1))
            return [(key, count / limit.capacity) for key, count in held]
        keys = self._buckets.get(limit.name)
        latest = heapq.nlargest(most, keys.items(), key=itemgetter(1)) if keys is not None else []
        now, refill = self._now(), bucket.refill(limit)
        return [(key, (full_at - now) / refill) for key, full_at in latest if full_at > now]

    # -- internals --------------------------------------------------------------------------------

    def _keys(self, name: str, refill: float, now: float) -> Generations:
        keys = self._buckets.get(name)
        if keys is None:
            keys = self._buckets[name] = Generations(self._max_keys, refill, now)
            self._turns_at = min(self._turns_at, keys.turns_at)
        elif now >= keys.turns_at or refill > keys.longest:
            keys.prepare(refill, now)
        return keys

    def _turn(self, now: float) -> None:
        """Turn all generations that are due; the buckets that this drops are full."""
        for keys in self._buckets.values():
            if now >= keys.turns_at:
                keys.prepare(keys.longest, now)
        self._turns_at = min(keys.turns_at for keys in self._buckets.values())

    def _take_slots(self, prepared: PreparedCosts, lease: int, most: float, tightest: Limit | None) -> Granted | None:
        """Take all slots, or none. ``most`` and ``tightest`` describe the buckets of the same take."""
        count_with, order = self._slots.count_with, [cost.limit for cost in prepared.costs]
        for cost in prepared.slots:
            limit = cost.limit
            held = count_with(limit.name, cost.key, lease)
            if held > limit.capacity:
                return None
            part = held / limit.capacity
            if part > most or (part == most and tightest is not None and order.index(limit) < order.index(tightest)):
                most, tightest = part, limit
        for cost in prepared.slots:
            self._slots.acquire(cost.limit.name, cost.key, lease)
        return most, tightest

    def _full_at(self, limit: Limit, key: str) -> float:
        keys = self._buckets.get(limit.name)
        return FULL if keys is None else keys.peek(key)

    def _refusal(self, costs: Sequence[Cost], lease: int, now: float) -> Verdict:
        """The verdict for the cost with the longest wait."""
        waits = [self._retry_after(cost, lease, now) for cost in costs]
        retry_after = max(waits)
        cost = costs[waits.index(retry_after)]
        limit = cost.limit
        if not limit.rate:
            return Verdict(False, limit, 0.0, 0.0, retry_after)
        full_at = self._full_at(limit, cost.key)
        remaining = max(bucket.level(limit, full_at, now), 0.0)
        return Verdict(False, limit, remaining, bucket.reset_after(full_at, now), retry_after)

    def _retry_after(self, cost: Cost, lease: int, now: float) -> float:
        limit = cost.limit
        if limit.rate:
            return bucket.retry_after(limit, self._full_at(limit, cost.key), now, cost.amount)
        return _SLOT_WAIT if self._slots.count_with(limit.name, cost.key, lease) > limit.capacity else 0.0


def _verdict(part: float, limit: Limit | None) -> Verdict:
    if limit is None:
        return Verdict(True, None, 0.0, 0.0, 0.0)
    return Verdict(True, limit, max(limit.capacity - part * limit.capacity, 0.0), part * limit.refill, 0.0)


def _undo(taken: _Taken) -> None:
    """Restore the state before a take. New keys are removed, so that refused clients do not evict others."""
    while taken:
        young, key, full_at, taken = taken
        if full_at == FULL:
            del young[key]
        else:
            young[key] = full_at
