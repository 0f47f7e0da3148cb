"""Which addresses are usable at the moment, tier by tier, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from random import Random
from typing import Final

from proxy.addresses.candidates import Candidates
from proxy.addresses.healthiest import BetterOfTwo
from proxy.addresses.least_connections import FewestRequests
from proxy.addresses.live import ENDPOINT, LiveAddress
from proxy.addresses.slow_start import STEPS, steps
from proxy.addresses.strategy import AddressStrategy
from proxy.addresses.tiers import AddressTier, TierKey
from proxy.addresses.weighted import SmoothWeighted
from proxy.config.service_schema import ServiceSettings

STRATEGIES: Final[Mapping[str, type[AddressStrategy]]] = {
    "round_robin": SmoothWeighted,  # with all weights the same
    "weighted": SmoothWeighted,
    "least_connections": FewestRequests,
    "healthiest": BetterOfTwo,
}
BOUND: Final = 1.25  # of loads, where a service has no stickiness of its own


class Selection:
    """The usable addresses of ``tiers``. ``unhealthy``: those that fail their checks, instead of the others.

    They are looked through when something changed, and when time changes something: the end of a cooldown, a step of
    the slow start. In between a choice looks at the breaker of the chosen address alone.
    """

    __slots__ = ("_bound", "_candidates", "_make", "_random", "_slow", "_unhealthy", "_until", "tiers")

    def __init__(
        self, tiers: Mapping[TierKey, AddressTier], settings: ServiceSettings, random: Random, unhealthy: bool = False
    ) -> None:
        self.tiers = tiers
        self._make = STRATEGIES[settings.strategy]
        self._bound = BOUND if settings.sticky is None else settings.sticky.bound
        self._slow = settings.slow_start_secs
        self._random = random
        self._unhealthy = unhealthy
        self._candidates: list[Candidates] = []
        self._until = -inf

    def follow(self, before: Selection) -> None:
        """Go on with the turns of another selection."""
        for key, tier in self.tiers.items():
            earlier = before.tiers.get(key)
            if earlier is not None:
                tier.strategy = earlier.strategy

    def changed(self) -> None:
        """The health or the breaker of an address changed."""
        self._until = -inf

    def choose(self, now: float, key: bytes, tried: Collection[LiveAddress]) -> LiveAddress | None:
        if now >= self._until:
            self._until = self._look(now)
        for candidates in self._candidates:
            found = candidates.choose(now, key, tried)
            if found is not None:
                return found
        return None

    def any(self, now: float) -> bool:
        """Whether an address is usable, or being probed."""
        if now >= self._until:
            self._until = self._look(now)
        return bool(self._candidates)

    def _look(self, now: float) -> float:
        """Find the usable addresses. Returns until when they are the same, unless ``changed`` is called."""
        self._candidates = []
        unhealthy, until = self._unhealthy, inf
        for tier in self.tiers.values():
            members: list[LiveAddress] = []
            homes: list[int] = []
            for address, weight in zip(tier.addresses, tier.weights, strict=True):
                if (address.healthy is False) is unhealthy:
                    breaker = address.breaker
                    if breaker.state == "open" and not breaker.admits(ENDPOINT, now):
                        retry_at = breaker.retry_at
                        until = until if retry_at is None else min(until, retry_at)
                    else:
                        members.append(address)
                        homes.append(weight)
            if members:
                weights = self._weights(members, homes, now) if self._slow else homes
                if weights is not homes:
                    until = min(until, now + self._slow / STEPS)
                tier.strategy = strategy = self._make(members, weights, self._random, tier.strategy)
                self._candidates.append(Candidates(strategy, members, homes, weights, self._bound))
        return until

    def _weights(self, members: list[LiveAddress], homes: list[int], now: float) -> list[int]:
        """The weights during the slow start; ``homes`` itself if no address starts."""
        if all(member.warm for member in members):
            return homes
        parts = [steps(member, now, self._slow) for member in members]
        if min(parts) == STEPS:
            return homes
        return [weight // STEPS * part for weight, part in zip(homes, parts, strict=True)]
