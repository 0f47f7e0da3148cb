"""The addresses of all services by name, as services, deployments and pages see them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from proxy.addresses.group import AddressGroup
from proxy.addresses.live import LiveAddress
from proxy.breakers.breaker import Breaker, OnChange, Policy, State
from proxy.config.service_schema import ServerAddress, ServiceSettings

NEVER_OPENS: Final = 1 << 62  # failure threshold of a breaker that is disabled
EMPTY: Final = AddressGroup(())


class AddressBook:
    """Owns the live addresses. ``put`` and ``forget`` change the set of a service; live state is kept by its URL.

    Each function in ``on_change`` gets the name of a service whose addresses changed: their set, weights, priorities,
    drained marks or health. ``on_breaker`` hears of every change of a breaker. ``now``: monotonic seconds.
    """

    def __init__(self, region: str = "") -> None:
        self.region = region
        self.on_change: list[Callable[[str], None]] = []
        self.on_breaker: list[OnChange] = []
        self._groups: dict[str, AddressGroup] = {}
        self._lives: dict[str, dict[str, LiveAddress]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def group(self, service: str) -> AddressGroup:
        """The addresses of a service; an empty group for an unknown one."""
        return self._groups.get(service, EMPTY)

    @property
    def groups(self) -> Mapping[str, AddressGroup]:
        return self._groups

    def put(
        self,
        service: str,
        settings: ServiceSettings,
        addresses: Sequence[ServerAddress],
        now: float,
        drained: Collection[str] = (),
    ) -> None:
        """Set the addresses of a service. ``drained``: URLs of those that an operator drains."""
        lives = self._lives.get(service, {})
        policy = policy_of(settings)
        kept: dict[str, LiveAddress] = {}
        for each in addresses:
            live = lives.get(each.url)
            if live is None:
                key = f"{service} {each.url}"
                live = LiveAddress(service, each, Breaker(policy, key, self._breaker_changed), now)
            live.settings, live.drained, live.breaker.policy = each, each.url in drained, policy
            kept[each.url] = live
        self._lives[service] = kept
        self._groups[service] = AddressGroup(tuple(kept.values()))
        self._changed(service)

    def forget(self, service: str) -> None:
        """The service is gone."""
        self._lives.pop(service, None)
        if self._groups.pop(service, None) is not None:
            self._changed(service)

    def note_health(self, address: LiveAddress, healthy: bool | None, now: float) -> None:
        """What active checks say of an address. A recovered one starts slowly."""
        if address.healthy == healthy:
            return
        if healthy and address.healthy is False:
            address.since = now
        address.healthy = healthy
        self._changed(address.service)

    def _changed(self, service: str) -> None:
        for listener in self.on_change:
            listener(service)

    def _breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        for listener in self.on_breaker:
            listener(breaker, old, now)


def policy_of(settings: ServiceSettings) -> Policy:
    breaker = settings.breaker
    threshold = breaker.failure_threshold if breaker.enabled else NEVER_OPENS
    return Policy(threshold, breaker.cooldown_period_secs, breaker.success_threshold)
