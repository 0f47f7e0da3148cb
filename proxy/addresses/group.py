"""The addresses of one service at one moment, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from random import Random
from typing import Final

from proxy.addresses.live import LiveAddress
from proxy.addresses.selection import Selection
from proxy.addresses.slow_start import STEPS
from proxy.addresses.tiers import tiers_of
from proxy.breakers.breaker import end_cooldown
from proxy.config.service_schema import ServiceSettings

PLAIN: Final = ServiceSettings()
EARLY_SECS: Final = 1.0  # how long a breaker stays open at least
_SCALE: Final = 10_000  # weights are exact to four places after the point


class AddressGroup:
    """Never changes, except for turns. A change of the set makes another group with the same live addresses.

    ``changed`` must be called when the health or a breaker of an address changed. ``region``: the gateway's own;
    ``""``: regions make no difference. ``before``: the group that this one follows, whose turns go on.
    """

    __slots__ = ("_early_at", "_panic", "_usual", "addresses")

    def __init__(
        self,
        addresses: Sequence[LiveAddress],
        settings: ServiceSettings = PLAIN,
        region: str = "",
        random: Random | None = None,
        before: AddressGroup | None = None,
    ) -> None:
        self.addresses = tuple(addresses)
        random = random or Random()
        weights = [whole(address.settings.weight) for address in self.addresses]
        if settings.strategy == "round_robin":
            weights = [weight and _SCALE * STEPS for weight in weights]
        self._usual = Selection(tiers_of(self.addresses, weights, region), settings, random)
        self._panic = Selection(tiers_of(self.addresses, weights, region), settings, random, unhealthy=True)
        self._early_at = -inf
        if before is not None:
            self._usual.follow(before._usual)
            self._panic.follow(before._panic)

    def __repr__(self) -> str:
        return f"<AddressGroup of {len(self.addresses)}>"

    def changed(self) -> None:
        """The health or the breaker of an address changed."""
        self._usual.changed()
        self._panic.changed()
        self._early_at = -inf

    def choose(self, now: float, key: bytes = b"", tried: Collection[LiveAddress] = ()) -> LiveAddress | None:
        """The address for a request; ``None``: none is usable. Those that were ``tried`` are left out.

        ``key``: requests with the same key stay at one address; ``b""``: any may be used.

        1. Of the usable addresses, those with the lowest priority are used, and of these the ones in the own region.
        2. Without any, those that fail their checks are used, as far as their breakers admit it: checks may be wrong.
        3. If all breakers are open, one that is open for ``EARLY_SECS`` is probed now. So a short fault of the network
           does not take a service away for a whole cooldown, and the addresses still get few requests.
        """
        found = self._usual.choose(now, key, tried)
        if found is None and not self._usual.any(now):
            found = self._panic.choose(now, key, tried)
            if found is None and now >= self._early_at and not self._panic.any(now):
                found = self._probe_early(now, tried)
        return found

    def _probe_early(self, now: float, tried: Collection[LiveAddress]) -> LiveAddress | None:
        """End the cooldown that would end first; healthy addresses go before others."""
        best, first, self._early_at = None, (True, inf), inf
        for tier in self._usual.tiers.values():
            for address in tier.addresses:
                breaker = address.breaker
                retry_at, early_at = breaker.retry_at, breaker.since + EARLY_SECS
                if breaker.state != "open" or retry_at is None:
                    continue
                self._early_at = min(self._early_at, early_at)
                rank = address.healthy is False, retry_at
                if now >= early_at and address not in tried and rank < first:
                    best, first = address, rank
        if best is not None:
            end_cooldown(best.breaker, now)
        return best


def whole(weight: float) -> int:
    """The weight as a whole number that each step of the slow start divides; 0 for 0."""
    return max(1, round(weight * _SCALE)) * STEPS if weight else 0
