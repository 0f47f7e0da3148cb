"""The better of two by recent failures, latency and running requests."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from proxy.addresses.live import LiveAddress
from proxy.addresses.strategy import AddressStrategy


class BetterOfTwo:
    """Two are drawn by weight, and the one with the lower cost is taken: ``Recent.seconds``, and more under load.

    Why two of them, and not the best of all: it costs the same in a group of any size, and gateways that see the same
    figures do not all send to the same address. The worst of ``n`` equal ones still gets one request in n * n, so that
    its recovery is seen. See "The power of two choices", https://www.eecs.harvard.edu/~michaelm/postscripts/mythesis.pdf
    """

    __slots__ = ("_members", "_random", "_shares", "_sums", "_weights")

    def __init__(
        self, members: Sequence[LiveAddress], weights: Sequence[int], random: Random, before: AddressStrategy | None
    ) -> None:
        self._members, self._weights, self._random = members, weights, random
        self._sums = list(accumulate(weights))
        mean = self._sums[-1] / len(weights)
        self._shares = [mean / weight for weight in weights]

    def pick(self, now: float) -> LiveAddress:
        random, sums = self._random.random, self._sums
        total, last = sums[-1], len(sums) - 1
        return self._better(
            bisect_right(sums, random() * total, 0, last), bisect_right(sums, random() * total, 0, last), now
        )

    def pick_among(self, places: Sequence[int], now: float) -> LiveAddress:
        weights = self._weights
        one, other = self._random.choices(places, [weights[place] for place in places], k=2)
        return self._better(one, other, now)

    def _better(self, one: int, other: int, now: float) -> LiveAddress:
        first, second = self._members[one], self._members[other]
        if first is second:
            return first
        first_cost = first.recent.seconds(first, now) * (1.0 + first.in_flight * self._shares[one])
        second_cost = second.recent.seconds(second, now) * (1.0 + second.in_flight * self._shares[other])
        return first if first_cost <= second_cost else second
