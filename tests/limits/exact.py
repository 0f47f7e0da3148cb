"""Buckets in exact arithmetic, written as one would explain them: the model that stores are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import pytest
from hypothesis import strategies as st

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
    wants: Sequence[Cost]
    lease: int

    def among(self, name: str) -> Take:
        return Take(keyed(name, self.wants), self.lease)


class Settle(NamedTuple):
    corrections: Sequence[Cost]
    slots: Sequence[Cost]
    lease: int

    def among(self, name: str) -> Settle:
        return Settle(keyed(name, self.corrections), keyed(name, self.slots), self.lease)


Step: TypeAlias = Wait | Take | Settle


def keyed(name: str, wants: Sequence[Cost]) -> list[Cost]:
    return [Cost(want.limit, f"{name}:{want.key}", want.amount) for want in wants]


def bucket(want: Cost) -> Bucket:
    return want.limit.name, want.key


def steps() -> st.SearchStrategy[list[Step]]:
    """Scripts over a few buckets; a step takes place ``among`` those whose keys begin with a name."""
    keys = st.sampled_from(["ann", "ben"])
    slots = st.builds(Cost, st.sampled_from(SLOTS), keys)
    leases = st.integers(1, 4)

    def wants(lowest: float) -> st.SearchStrategy[Cost]:
        parts = st.floats(lowest, 1.0) | st.sampled_from([-1.0, 0.0, 0.25, 1.0]).filter(lambda part: part >= lowest)
        return st.builds(
            lambda limit, key, part: Cost(limit, key, limit.capacity * part), st.sampled_from(LIMITS), keys, parts
        )

    ones = st.builds(Cost, st.sampled_from(LIMITS), keys)
    asked = st.lists(wants(0.0) | ones | slots, max_size=4, unique_by=bucket)
    corrections = st.lists(wants(-1.5), max_size=2)
    step = st.one_of(
        st.builds(Wait, st.floats(0.0, 1500.0) | st.sampled_from([1.0, 60.0, 3600.0, 1e5])),
        st.builds(Take, asked, leases),
        st.builds(Settle, corrections, st.lists(slots, max_size=2), leases),
    )
    return st.lists(step, max_size=40)


class Exact:
    """Where a verdict hangs by less than ``slack`` seconds (below 1) and a millionth of a bucket, the store's own
    is followed.
    """

    def __init__(self, slack: float) -> None:
        self.slack = slack
        self.now = Fraction(0)
        self.full_at: defaultdict[Bucket, Fraction] = defaultdict(Fraction)
        self.holders: defaultdict[Bucket, set[int]] = defaultdict(set)

    def advance(self, seconds: float) -> None:
        self.now += Fraction(seconds)

    # -- what is there ----------------------------------------------------------------------------

    def ahead(self, want: Cost) -> Fraction:
        """Seconds until the bucket is full."""
        return max(self.full_at[bucket(want)] - self.now, Fraction(0))

    def level(self, want: Cost) -> Fraction:
        if not want.limit.rate:
            return Fraction(want.limit.capacity) - len(self.holders[bucket(want)])
        return Fraction(want.limit.capacity) - self.ahead(want) * Fraction(want.limit.rate)

    def part(self, want: Cost) -> Fraction:
        return self.level(want) / Fraction(want.limit.capacity)

    def missing(self, want: Cost, lease: int) -> Fraction:
        """Seconds until ``amount`` is there; below 0 where more than that is."""
        if want.limit.rate:
            return (Fraction(want.amount) - self.level(want)) / Fraction(want.limit.rate)
        free = lease in self.holders[bucket(want)] or self.level(want) >= 1
        return Fraction(-(10**9) if free else 1)

    def blur(self, want: Cost) -> Fraction:
        """What ``slack`` seconds are of a bucket."""
        return Fraction(self.slack / self.refill(want)) if want.limit.rate else Fraction(0)

    # -- what is done -----------------------------------------------------------------------------

    def take(self, wants: Sequence[Cost], lease: int, verdict: Verdict) -> None:
        """Take, and assert that a store's ``verdict`` on the same is right."""
        missing = {bucket(want): self.missing(want, lease) for want in wants}
        most = max(missing.values(), default=Fraction(-1))
        edge = self.slack + max((self.refill(want) / 900_000 for want in wants), default=0.0)
        assert verdict.admitted is (most <= 0) or abs(most) <= edge, (float(most), verdict)
        if verdict.admitted:
            for want in wants:
                self.commit(want, lease)
            least = min(map(self.part, wants), default=Fraction(1))
            blur = max(map(self.blur, wants), default=Fraction(0))
            told = [want for want in wants if self.part(want) <= least + blur]
            retry_after = 0.0
        else:
            told = [want for want in wants if missing[bucket(want)] >= most - Fraction(self.slack)]
            retry_after = float(most)
        assert verdict.retry_after == pytest.approx(retry_after, abs=self.slack)
        assert any(self.speaks_of(want, verdict) for want in told) or not wants, (told, verdict)

    def commit(self, want: Cost, lease: int) -> None:
        if want.limit.rate:
            self.correct(want)
        else:
            self.holders[bucket(want)].add(lease)

    def correct(self, want: Cost) -> None:
        capacity, rate = Fraction(want.limit.capacity), Fraction(want.limit.rate)
        level = min(max(self.level(want) - Fraction(want.amount), -capacity), capacity)
        self.full_at[bucket(want)] = self.now + (capacity - level) / rate

    def settle(self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int) -> None:
        for want in corrections:
            self.correct(want)
        for want in slots:
            self.holders[bucket(want)].discard(lease)

    # -- what is told -----------------------------------------------------------------------------

    @staticmethod
    def refill(want: Cost) -> float:
        """How long an empty bucket takes to be full. Slots are certain, and so have no edge."""
        return want.limit.capacity / want.limit.rate if want.limit.rate else 0.0

    def speaks_of(self, want: Cost, verdict: Verdict) -> bool:
        remaining = pytest.approx(max(float(self.level(want)), 0.0), abs=self.slack * want.limit.rate)
        reset_after = pytest.approx(float(self.ahead(want)) if want.limit.rate else 0.0, abs=self.slack)
        return verdict.limit is want.limit and (verdict.remaining, verdict.reset_after) == (remaining, reset_after)
