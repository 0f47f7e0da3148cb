"""Weighted rendezvous hashing: requests with the same affinity go to the same deployment.

Each deployment gets a score from the hash of its key and the request's affinity; the lowest is chosen. When a
deployment disappears, only its own requests move. A deployment with more than its share of the requests in flight is
passed over (bounded loads).

Scoring 1,000 deployments takes 0.4 ms, so larger sets are split into groups by hash, and groups are scored first.

https://en.wikipedia.org/wiki/Rendezvous_hashing, https://arxiv.org/abs/1608.01350 (bounded loads)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import heapify, heappop
from math import log
from typing import Final

from proxy.routing.context import SelectionContext
from proxy.routing.deployment import Deployment

# Requests in flight at one deployment, relative to the average, above which it is passed over.
MOST_LOAD: Final = 1.25

# A group of more deployments is split again, by the next bits of the hash, as long as it has any.
_MOST_IN_GROUP: Final = 64
_BITS: Final = 4
_LEVELS: Final = 16

_MASK: Final = 2**64 - 1
_MULTIPLIER: Final = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd: Fibonacci hashing
_UNIT: Final = 2.0**-64


class RendezvousRing:
    """Deployments of one tier, or groups of them. ``weight`` is the sum of theirs."""

    __slots__ = ("_entries", "_members", "weight")

    def __init__(self, deployments: Sequence[Deployment], level: int = 0) -> None:
        self._members: Sequence[Deployment | RendezvousRing] = deployments
        seeds = [seed_of(deployment) for deployment in deployments]
        if len(deployments) > _MOST_IN_GROUP and level < _LEVELS:
            groups: dict[int, list[Deployment]] = {}
            for number, deployment in zip(seeds, deployments, strict=True):
                groups.setdefault((number >> level * _BITS) % (1 << _BITS), []).append(deployment)
            self._members = [RendezvousRing(group, level + 1) for group in groups.values()]
            seeds = [seed(b"%d/%d" % (level, group)) for group in groups]
        weights: list[float] = [member.weight or 1.0 for member in self._members]
        self.weight: float = sum(weights)
        self._entries = [
            (number, -1.0 / weight, member)
            for number, weight, member in zip(seeds, weights, self._members, strict=True)
        ]

    def choose(self, context: SelectionContext, now: float) -> Deployment | None:
        """The admitted deployment with the lowest score that is not overloaded, else the first admitted one.

        Load is compared within a group.
        """
        return self._choose(context, now, seed(context.affinity))

    def _choose(self, context: SelectionContext, now: float, hashed: int) -> Deployment | None:
        bound = -1.0
        overloaded = None
        for member in self._by_score(hashed):
            if isinstance(member, RendezvousRing):
                found = member._choose(context, now, hashed)
                if found is not None:
                    return found
            elif context.admits(member, now):
                if bound < 0:
                    bound = self._bound()
                if member.live.in_flight <= bound:
                    return member
                overloaded = overloaded or member
        return overloaded

    def _by_score(self, hashed: int) -> Iterator[Deployment | RendezvousRing]:
        """The members in the order of their scores: ``-ln(u) / weight``, with ``u`` uniform from the hash."""
        entries = self._entries
        scores = [
            (log((_mix(number, hashed) + 1) * _UNIT) * factor, place)
            for place, (number, factor, _) in enumerate(entries)
        ]
        heapify(scores)
        while scores:
            yield entries[heappop(scores)[1]][2]

    def _bound(self) -> float:
        """Most requests in flight at a member that may get another one."""
        load = [member.live.in_flight for member in self._members if not isinstance(member, RendezvousRing)]
        return MOST_LOAD * sum(load) / len(load) + 1


def seed_of(deployment: Deployment) -> int:
    """Hash of a deployment's key."""
    return seed(deployment.key.encode("utf-8", "surrogatepass"))


def seed(text: bytes) -> int:
    """64 bits of a hash that is the same in every process."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _mix(one: int, other: int) -> int:
    """64 bits that depend on both hashes."""
    mixed = (one ^ other) * _MULTIPLIER & _MASK
    return (mixed ^ mixed >> 32) * _MULTIPLIER & _MASK
