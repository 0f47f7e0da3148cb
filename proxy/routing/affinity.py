"""Rendezvous hashing: requests that belong together find the same deployment, whoever else comes and goes.

Every deployment draws a lot for the request's affinity, by hashing both together, and the lowest lot wins; in
proportion to the weights, as with exponential waiting times. A deployment that has more than its share of what is in
flight is passed over. Many deployments are put in groups first, by their own hash: a group is drawn, then one of it.
https://en.wikipedia.org/wiki/Rendezvous_hashing, https://arxiv.org/abs/1608.01350 (bounded loads)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import heapify, heappop
from math import log
from typing import Final

from proxy.routing.chooser import SMALL, Chooser
from proxy.routing.deployment import Deployment

# How much more than the average may be in flight at one deployment, before others take the rest.
SURPLUS: Final = 1.25

# Groups are split again until they are small; a hash has bits for so many levels.
_BITS: Final = 4
_LEVELS: Final = 16

_MASK = 2**64 - 1
_ODD = 0x9E3779B97F4A7C15
_UNIT = 2.0**-64


class RendezvousRing:
    """Of one step: who is at home where. Lots are prepared once; among many, groups draw first, then those in it."""

    __slots__ = ("_drawers", "_members", "weight")

    def __init__(self, deployments: Sequence[Deployment], level: int = 0) -> None:
        self._members: Sequence[Deployment | RendezvousRing] = deployments
        seeds = [seed_of(deployment) for deployment in deployments]
        if len(deployments) > SMALL and level < _LEVELS:
            groups: dict[int, list[Deployment]] = {}
            for number, deployment in zip(seeds, deployments, strict=True):
                groups.setdefault((number >> level * _BITS) % (1 << _BITS), []).append(deployment)
            self._members = [RendezvousRing(group, level + 1) for group in groups.values()]
            seeds = [seed(b"%d/%d" % (level, group)) for group in groups]
        weights: list[float] = [member.weight or 1.0 for member in self._members]
        self.weight: float = sum(weights)
        self._drawers = [
            (number, -1.0 / weight, member)
            for number, weight, member in zip(seeds, weights, self._members, strict=True)
        ]

    def choose(self, chooser: Chooser, now: float) -> Deployment | None:
        """The first in the order of the lots that is admitted and not overloaded, else the first that is admitted.

        Overloaded means within the group, where there are groups.
        """
        return self._choose(chooser, now, seed(chooser.affinity))

    def _choose(self, chooser: Chooser, now: float, asked: int) -> Deployment | None:
        bound = -1.0
        spare = None
        for member in self._drawn(asked):
            if isinstance(member, RendezvousRing):
                found = member._choose(chooser, now, asked)
                if found is not None:
                    return found
            elif chooser.admits(member, now):
                if bound < 0:
                    bound = self._bound()
                if member.live.in_flight <= bound:
                    return member
                spare = spare or member
        return spare

    def _drawn(self, asked: int) -> Iterator[Deployment | RendezvousRing]:
        """The members, the lowest lot first."""
        drawers = self._drawers
        lots = [
            (log((_mixed(number, asked) + 1) * _UNIT) * share, place)
            for place, (number, share, _) in enumerate(drawers)
        ]
        heapify(lots)
        while lots:
            yield drawers[heappop(lots)[1]][2]

    def _bound(self) -> float:
        """How many requests may be in flight at one of these, another not counted."""
        load = [member.live.in_flight for member in self._members if not isinstance(member, RendezvousRing)]
        return SURPLUS * sum(load) / len(load) + 1


def seed_of(deployment: Deployment) -> int:
    return seed(deployment.key.encode("utf-8", "surrogatepass"))


def seed(text: bytes) -> int:
    """64 bits of a hash that is the same in every process."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _mixed(one: int, other: int) -> int:
    mixed = (one ^ other) * _ODD & _MASK
    return (mixed ^ mixed >> 32) * _ODD & _MASK
