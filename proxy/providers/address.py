"""An address of a provider at one moment, as requests see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from proxy.config.address_schema import service_url
from proxy.config.provider_schema import ProviderSettings


class SiteAddress(Struct, frozen=True):
    """``weight``: its share. ``tier``: those with the lowest number are used first.

    ``number``: names the address in labels; 0: the provider has no other. ``discovered``: a service has it, so that it
    may leave. ``present``: false for the place of a provider that has no address now.
    """

    url: str
    weight: float = 1.0
    tier: int = 0
    number: int = 0
    discovered: bool = False
    present: bool = True


class AddressNumbers:
    """Numbers of the addresses that come and go. One keeps its number until it leaves; then another may get it."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<AddressNumbers of {len(self._numbers)}>"

    def of(self, urls: Iterable[str]) -> Mapping[str, int]:
        """The numbers of all present addresses, from 1. All others lose theirs."""
        present = dict.fromkeys(urls)
        kept = {url: number for url, number in self._numbers.items() if url in present}
        taken = set(kept.values())
        free = (number for number in range(1, len(present) + 1) if number not in taken)
        for url in present:
            if url not in kept:
                kept[url] = next(free)
        self._numbers = kept
        return kept


def configured_addresses(settings: ProviderSettings, region: str = "") -> tuple[SiteAddress, ...]:
    """The addresses of a provider, without those of services. Without any: one that is not ``present``."""
    entries = [each for each in settings.entries if service_url(each.url) is None]
    several = len(entries) > 1 or bool(settings.services)
    found = tuple(
        SiteAddress(each.url, each.weight, tier_of(each.priority, each.region, region), number if several else 0)
        for number, each in enumerate(entries, 1)
        if each.weight
    )
    return found or absent_addresses(settings)


def absent_addresses(settings: ProviderSettings) -> tuple[SiteAddress, ...]:
    """What stands for the addresses of a provider that has none now."""
    return (SiteAddress(next(iter(settings.addresses), ""), number=1 if settings.services else 0, present=False),)


def tier_of(priority: int, region: str, own: str) -> int:
    """Addresses in the gateway's ``own`` region, or without one, go before others of the same priority."""
    return 2 * priority + (bool(own and region) and region != own)
