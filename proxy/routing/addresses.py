"""The addresses of providers at present: the configured ones, and those of the services that a provider names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proxy.addresses.group import AddressGroup
from proxy.addresses.live import LiveAddress
from proxy.config.address_schema import ProviderAddress, ServerAddress, ServiceUrl, service_url
from proxy.providers.address import SiteAddress, absent_addresses, configured_addresses, tier_of
from proxy.providers.provider import Provider

Groups = Callable[[str], AddressGroup]  # the addresses of a service by its name


def no_services(service: str) -> AddressGroup:
    """``Groups`` where no service has an address."""
    return AddressGroup(())


def present_addresses(provider: Provider, groups: Groups, region: str = "") -> tuple[SiteAddress, ...]:
    """Where requests to a provider may go now. Without any place: one that is not ``present``.

    ``region``: of this gateway. A service's address is left out if it is drained, has no weight, or its checks fail;
    if they fail for all, none is left out for that.
    """
    settings = provider.settings
    if not settings.services:
        return configured_addresses(settings, region)
    return _expanded(provider, groups, region) or absent_addresses(settings)


def _expanded(provider: Provider, groups: Groups, region: str) -> tuple[SiteAddress, ...]:
    members: dict[str, _Member] = {}
    for entry in provider.settings.entries:
        for url, member in _members(entry, groups):
            members.setdefault(url, member)
    numbers = provider.numbers.of(members)
    found = (member.placed(url, numbers[url], region) for url, member in members.items() if member.usable)
    return tuple(each for each in found if each.weight)


class _Member:
    """One address of a provider: of its configuration (``live`` is ``None``), or of a service that it names."""

    __slots__ = ("_entry", "_live", "usable")

    def __init__(self, entry: ProviderAddress, live: LiveAddress | None, usable: bool) -> None:
        self._entry = entry
        self._live = live
        self.usable = usable

    def placed(self, url: str, number: int, region: str) -> SiteAddress:
        entry, live = self._entry, self._live
        own: ProviderAddress | ServerAddress = entry if live is None else live.settings
        weight, priority = (1.0, 0) if live is None else (own.weight, own.priority)
        return SiteAddress(
            url,
            entry.weight * weight,
            tier_of(entry.priority + priority, own.region or entry.region, region),
            number,
            discovered=live is not None,
        )


def _members(entry: ProviderAddress, groups: Groups) -> Iterator[tuple[str, _Member]]:
    service = service_url(entry.url)
    if service is None:
        yield entry.url, _Member(entry, None, True)
        return
    lives = groups(service.name).addresses
    admitted = [each for each in lives if not each.drained and each.settings.weight]
    healthy = [each for each in admitted if each.healthy is not False]
    usable = set(healthy or admitted)
    for live in lives:
        yield _joined(live.url, service), _Member(entry, live, live in usable)


def _joined(url: str, service: ServiceUrl) -> str:
    """The address with the path that the provider adds to it."""
    base, mark, query = url.partition("?")
    return f"{base}{service.path}{mark}{query}"
