"""Smooth weighted round robin."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from random import Random
from typing import Final

from proxy.addresses.live import LiveAddress
from proxy.addresses.strategy import AddressStrategy

_TURN: Final = attrgetter("turn")


class SmoothWeighted:
    """In turn, in proportion to the weights, with the turns of each spread evenly.

    Addresses of the same weight form a class. Among classes goes nginx's smooth weighted round robin, with the sum of
    a class as its weight; within a class, addresses take turns. Over a period of turns each address gets exactly its
    share, and a turn costs as much as there are different weights, not addresses.
    https://github.com/phusion/nginx/commit/27e94984486058d73157038f7950a0a36ecc6e35
    """

    __slots__ = (
        "_balances",
        "_members",
        "_random",
        "_ranked",
        "_rings",
        "_sums",
        "_total",
        "_turn",
        "_weights",
    )

    def __init__(
        self, members: Sequence[LiveAddress], weights: Sequence[int], random: Random, before: AddressStrategy | None
    ) -> None:
        self._members, self._weights, self._random = members, weights, random
        classes: dict[int, list[LiveAddress]] = {}
        for member, weight in zip(members, weights, strict=True):
            classes.setdefault(weight, []).append(member)
        self._ranked = ranked = sorted(classes, reverse=True)
        # The order of turns is kept by the addresses themselves, whatever class they are in now.
        self._rings = [deque(sorted(classes[weight], key=_TURN)) for weight in ranked]
        self._sums = [weight * len(ring) for weight, ring in zip(ranked, self._rings, strict=True)]
        self._total = sum(self._sums)
        self._turn = max(ring[-1].turn for ring in self._rings)
        kept = before.balances() if isinstance(before, SmoothWeighted) else {}
        # A balance of a larger set would give one class too many turns in a row.
        self._balances = [max(-self._total, min(kept.get(weight, 0), self._total)) for weight in ranked]

    def balances(self) -> dict[int, int]:
        """What the classes are owed, by weight."""
        return dict(zip(self._ranked, self._balances, strict=True))

    def pick(self, now: float) -> LiveAddress:
        best = 0
        if len(self._rings) > 1:
            balances, most = self._balances, 0
            for number, share in enumerate(self._sums):
                balances[number] = balance = balances[number] + share
                if not number or balance > most:
                    best, most = number, balance
            balances[best] = most - self._total
        ring = self._rings[best]
        found = ring[0]
        ring.rotate(-1)
        self._turn = found.turn = self._turn + 1
        return found

    def pick_among(self, places: Sequence[int], now: float) -> LiveAddress:
        """At random, in proportion to the weights: the turns of the others are not disturbed."""
        weights = self._weights
        [place] = self._random.choices(places, [weights[place] for place in places])
        return self._members[place]
