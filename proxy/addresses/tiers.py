"""Tiers: addresses of the same priority, in the gateway's own region or outside of it."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.addresses.live import LiveAddress
from proxy.addresses.strategy import AddressStrategy


class AddressTier:
    """``weights``: whole numbers in proportion to those of the addresses. ``strategy``: the latest that was made."""

    __slots__ = ("addresses", "strategy", "weights")

    def __init__(self) -> None:
        self.addresses: list[LiveAddress] = []
        self.weights: list[int] = []
        self.strategy: AddressStrategy | None = None


# Priority, and whether they are outside of the gateway's region: in the order in which they are used.
TierKey = tuple[int, bool]


def tiers_of(addresses: Sequence[LiveAddress], weights: Sequence[int], region: str) -> dict[TierKey, AddressTier]:
    """The addresses with a weight above 0 that are not drained, by tier, in the order in which tiers are used."""
    found: dict[TierKey, AddressTier] = {}
    for address, weight in zip(addresses, weights, strict=True):
        if weight and not address.drained:
            settings = address.settings
            key = settings.priority, region != "" and settings.region != region
            tier = found.get(key)
            if tier is None:
                tier = found[key] = AddressTier()
            tier.addresses.append(address)
            tier.weights.append(weight)
    return dict(sorted(found.items()))
