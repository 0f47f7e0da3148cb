"""Stickiness: requests with the same key go to the same address, unless it has more than its share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from proxy.addresses.live import ENDPOINT, LiveAddress
from proxy.addresses.rendezvous import Rendezvous, in_order, key_hash


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
        scores = self._order.scores(key_hash(key))
        place = scores.index(max(scores))
        found, running = self._members[place], 0
        if found.breaker.state == "closed" and (not tried or found not in tried):
            in_flight = found.in_flight
            if not in_flight:  # one request is never too many
                return found
            running = self._running()
            if in_flight < running * self._shares[place]:  # as with ``ceil``: both sides of that are whole
                return found
        return self._next(now, scores, tried, running or self._running())

    def _running(self) -> int:
        """Requests that run, with the one that an address is chosen for."""
        return sum([member.in_flight for member in self._members]) + 1

    def _next(
        self, now: float, scores: Sequence[float], tried: Collection[LiveAddress], running: int
    ) -> LiveAddress | None:
        """The first usable address of the order that is not overloaded, else the first usable one."""
        members, shares, overloaded = self._members, self._shares, None
        for place in in_order(scores):
            found = members[place]
            if (not tried or found not in tried) and (
                found.breaker.state == "closed" or found.breaker.admits(ENDPOINT, now)
            ):
                in_flight = found.in_flight
                if not in_flight or in_flight < running * shares[place]:
                    return found
                overloaded = overloaded or found
        return overloaded
