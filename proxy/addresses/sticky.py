"""Stickiness: requests with the same key go to the same address, unless it has more than its share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil

from proxy.addresses.live import ENDPOINT, LiveAddress
from proxy.addresses.rendezvous import Rendezvous, seed


class Sticky:
    """Rendezvous hashing with bounded loads (Mirrokni et al. 2016, https://arxiv.org/abs/1608.01350).

    Of ``m`` running requests with the new one, an address with the share ``w`` of all weights gets at most
    ``ceil(bound * m * w)``. Keys beyond it go to the next address in their order. ``homes``: the weights by which
    keys are spread. ``weights``: those by which load is bounded, which grow during the slow start, so that keys do not
    move twice.
    """

    __slots__ = ("_members", "_order", "_shares")

    def __init__(
        self, members: Sequence[LiveAddress], homes: Sequence[int], weights: Sequence[int], bound: float
    ) -> None:
        self._members = members
        self._order = Rendezvous([member.seed for member in members], homes)
        factor = bound / sum(weights)
        self._shares = [weight * factor for weight in weights]

    def choose(self, now: float, key: bytes, tried: Collection[LiveAddress]) -> LiveAddress | None:
        members, running, second = self._members, -1, None
        for place in self._order.order(seed(key)):
            found = members[place]
            if found in tried or not (found.breaker.state == "closed" or found.breaker.admits(ENDPOINT, now)):
                continue
            in_flight = found.in_flight
            if not in_flight:  # one request is never too many
                return found
            if running < 0:
                running = sum([member.in_flight for member in members]) + 1
            if in_flight < ceil(running * self._shares[place]):
                return found
            second = second or found
        return second
