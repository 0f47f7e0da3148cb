"""The addresses of one tier that are usable at the moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from proxy.addresses.live import ENDPOINT, LiveAddress
from proxy.addresses.sticky import Sticky
from proxy.addresses.strategy import AddressStrategy


class Candidates:
    """Made anew when one of them joins, leaves or gets another weight. ``homes``: the weights without slow start."""

    __slots__ = ("_bound", "_homes", "_members", "_sticky", "_weights", "strategy")

    def __init__(
        self,
        strategy: AddressStrategy,
        members: Sequence[LiveAddress],
        homes: Sequence[int],
        weights: Sequence[int],
        bound: float,
    ) -> None:
        self.strategy = strategy
        self._members, self._homes, self._weights, self._bound = members, homes, weights, bound
        self._sticky: Sticky | None = None

    def choose(self, now: float, key: bytes, tried: Collection[LiveAddress]) -> LiveAddress | None:
        if key:
            if self._sticky is None:
                self._sticky = Sticky(self._members, self._homes, self._weights, self._bound)
            return self._sticky.choose(now, key, tried)
        found = self.strategy.pick(now)
        breaker = found.breaker
        if (breaker.state == "closed" or breaker.admits(ENDPOINT, now)) and (not tried or found not in tried):
            return found
        places = [
            place
            for place, member in enumerate(self._members)
            if member not in tried and (member.breaker.state == "closed" or member.breaker.admits(ENDPOINT, now))
        ]
        return self.strategy.pick_among(places, now) if places else None
