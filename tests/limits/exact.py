"""Buckets in exact arithmetic: the reference model of the stores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import pytest
from hypothesis import strategies as st

from proxy.budgets.base import Charge
from proxy.limits.base import Cost, Limit, Verdict

Bucket: TypeAlias = tuple[str, str]  # name and key

# The second and the third share a name, as a key's own limit does with the configured one.
LIMITS = [
    Limit("global", "requestsPerMinute", "global:requestsPerMinute", 60.0, 1.0),
    Limit("client", "requestsPerHour", "client:requestsPerHour", 3.0, 1 / 1200),
    Limit("client", "requestsPerHour", "client:requestsPerHour", 7.5, 1 / 700),
    Limit("model", "tokensPerMinute", "model:tokensPerMinute", 3000.0, 50.0),
]
SLOTS = [
    Limit("client", "concurrent", "client:concurrent", 2.0, 0.0),
    Limit("provider", "concurrent", "provider:concurrent", 3.0, 0.0),
]


class Wait(NamedTuple):
    seconds: float

    def among(self, name: str) -> Wait:
        return self


class Take(NamedTuple):
    costs: Sequence[Cost]
    lease: int

    def among(self, name: str) -> Take:
        return Take(keyed(name, self.costs), self.lease)


class Settle(NamedTuple):
    corrections: Sequence[Cost]
    slots: Sequence[Cost]
    lease: int

    def among(self, name: str) -> Settle:
        return Settle(keyed(name, self.corrections), keyed(name, self.slots), self.lease)


Step: TypeAlias = Wait | Take | Settle


def keyed(name: str, costs: Sequence[Cost]) -> list[Cost]:
    return [Cost(cost.limit, f"{name}:{cost.key}", cost.amount) for cost in costs]


def bucket(cost: Cost) -> Bucket:
    return cost.limit.name, cost.key


def steps() -> st.SearchStrategy[list[Step]]:
    """Scripts over a few buckets; a step uses the buckets whose keys start with ``among``."""
    keys = st.sampled_from(["ann", "ben"])
    slots = st.builds(Cost, st.sampled_from(SLOTS), keys)
    leases = st.integers(1, 4)

    def costs(lowest: float) -> st.SearchStrategy[Cost]:
        parts = st.floats(lowest, 1.0) | st.sampled_from([-1.0, 0.0, 0.25, 1.0]).filter(lambda part: part >= lowest)
        return st.builds(
            lambda limit, key, part: Cost(limit, key, limit.capacity * part), st.sampled_from(LIMITS), keys, parts
        )

    ones = st.builds(Cost, st.sampled_from(LIMITS), keys)
    cost_lists = st.lists(costs(0.0) | ones | slots, max_size=4, unique_by=bucket)
    corrections = st.lists(costs(-1.5), max_size=2)
    step = st.one_of(
        st.builds(Wait, st.floats(0.0, 1500.0) | st.sampled_from([1.0, 60.0, 3600.0, 1e5])),
        st.builds(Take, cost_lists, leases),
        st.builds(Settle, corrections, st.lists(slots, max_size=2), leases),
    )
    return st.lists(step, max_size=40)


class Exact:
    """The reference model. Within ``slack`` seconds (below 1) and a millionth of a bucket it accepts the
    store's verdict.
    """

    def __init__(self, slack: float) -> None:
        self.slack = slack
        self.now = Fraction(0)
        self.full_at: defaultdict[Bucket, Fraction] = defaultdict(Fraction)
        self.holders: defaultdict[Bucket, set[int]] = defaultdict(set)

    def advance(self, seconds: float) -> None:
        self.now += Fraction(seconds)

    # -- levels -----------------------------------------------------------------------------------

    def ahead(self, cost: Cost) -> Fraction:
        """Seconds until the bucket is full."""
        return max(self.full_at[bucket(cost)] - self.now, Fraction(0))

    def level(self, cost: Cost) -> Fraction:
        if not cost.limit.rate:
            return Fraction(cost.limit.capacity) - len(self.holders[bucket(cost)])
        return Fraction(cost.limit.capacity) - self.ahead(cost) * Fraction(cost.limit.rate)

    def part(self, cost: Cost) -> Fraction:
        return self.level(cost) / Fraction(cost.limit.capacity)

    def missing(self, cost: Cost, lease: int) -> Fraction:
        """Seconds until ``amount`` is there; negative if more is available."""
        if cost.limit.rate:
            return (Fraction(cost.amount) - self.level(cost)) / Fraction(cost.limit.rate)
        free = lease in self.holders[bucket(cost)] or self.level(cost) >= 1
        return Fraction(-(10**9) if free else 1)

    def blur(self, cost: Cost) -> Fraction:
        """What ``slack`` seconds are of a bucket."""
        return Fraction(self.slack / self.refill(cost)) if cost.limit.rate else Fraction(0)

    # -- what is done -----------------------------------------------------------------------------

    def take(self, costs: Sequence[Cost], lease: int, verdict: Verdict) -> None:
        """Take, and check the ``verdict`` of a store on the same costs."""
        missing = {bucket(cost): self.missing(cost, lease) for cost in costs}
        most = max(missing.values(), default=Fraction(-1))
        edge = self.slack + max((self.refill(cost) / 900_000 for cost in costs), default=0.0)
        assert verdict.admitted is (most <= 0) or abs(most) <= edge, (float(most), verdict)
        if verdict.admitted:
            for cost in costs:
                self.commit(cost, lease)
            least = min(map(self.part, costs), default=Fraction(1))
            blur = max(map(self.blur, costs), default=Fraction(0))
            candidates = [cost for cost in costs if self.part(cost) <= least + blur]
            retry_after = 0.0
        else:
            candidates = [cost for cost in costs if missing[bucket(cost)] >= most - Fraction(self.slack)]
            retry_after = float(most)
        assert verdict.retry_after == pytest.approx(retry_after, abs=self.slack)
        assert any(self.matches(cost, verdict) for cost in candidates) or not costs, (candidates, verdict)

    def commit(self, cost: Cost, lease: int) -> None:
        if cost.limit.rate:
            self.correct(cost)
        else:
            self.holders[bucket(cost)].add(lease)

    def correct(self, cost: Cost) -> None:
        capacity, rate = Fraction(cost.limit.capacity), Fraction(cost.limit.rate)
        level = min(max(self.level(cost) - Fraction(cost.amount), -capacity), capacity)
        self.full_at[bucket(cost)] = self.now + (capacity - level) / rate

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None:
        for cost in corrections:
            self.correct(cost)
        for cost in slots:
            self.holders[bucket(cost)].discard(lease)

    # -- verdicts ---------------------------------------------------------------------------------

    @staticmethod
    def refill(cost: Cost) -> float:
        """How long an empty bucket takes to be full. Slots are certain, and so have no edge."""
        return cost.limit.capacity / cost.limit.rate if cost.limit.rate else 0.0

    def matches(self, cost: Cost, verdict: Verdict) -> bool:
        remaining = pytest.approx(max(float(self.level(cost)), 0.0), abs=self.slack * cost.limit.rate)
        reset_after = pytest.approx(float(self.ahead(cost)) if cost.limit.rate else 0.0, abs=self.slack)
        return verdict.limit is cost.limit and (verdict.remaining, verdict.reset_after) == (remaining, reset_after)
