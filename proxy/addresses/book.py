"""The addresses of all services by name, as services, deployments and pages see them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from random import Random
from typing import Final

from proxy.addresses.group import AddressGroup
from proxy.addresses.live import LiveAddress
from proxy.breakers.breaker import Breaker, OnChange, Policy, State
from proxy.config.service_schema import ServerAddress, ServiceSettings

NEVER_OPENS: Final = 1 << 62  # failure threshold of a breaker that is disabled
FIRST_FILL_SECS: Final = 10.0
EMPTY: Final = AddressGroup(())


class AddressBook:
    """Owns the live addresses. ``put`` and ``forget`` change the set of a service; live state is kept by its URL.

    Each function in ``on_change`` gets the name of a service whose addresses changed: their set, weights, priorities,
    drained marks or health. ``on_breaker`` hears of every change of a breaker. ``now``: monotonic seconds.
    ``region``: of this gateway. ``random``: for the strategies that draw.
    """

    def __init__(self, region: str = "", random: Random | None = None) -> None:
        self.region = region
        self.on_change: list[Callable[[str], None]] = []
        self.on_breaker: list[OnChange] = []
        self._random = random or Random()
        self._groups: dict[str, AddressGroup] = {}
        self._lives: dict[str, dict[str, LiveAddress]] = {}
        self._warm_until: dict[str, float] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def group(self, service: str) -> AddressGroup:
        """The addresses of a service; an empty group for an unknown one."""
        return self._groups.get(service, EMPTY)

    @property
    def groups(self) -> Mapping[str, AddressGroup]:
        """By service, now and later."""
        return self._groups

    def put(
        self,
        service: str,
        settings: ServiceSettings,
        addresses: Sequence[ServerAddress],
        now: float,
        drained: Collection[str] = (),
    ) -> None:
        """Set the addresses of a service. ``drained``: URLs of those that an operator drains.

        The addresses of the first ``FIRST_FILL_SECS`` need no slow start, as they did not join but were found: several
        sources may have told them. Nor do those that come when there is no other.
        """
        lives = self._lives.get(service)
        if not lives:
            self._warm_until[service] = now + FIRST_FILL_SECS
            lives = {}
        warm = now < self._warm_until[service]
        policy = policy_of(settings)
        kept: dict[str, LiveAddress] = {}
        for each in addresses:
            url = each.url
            live = lives.get(url)
            if live is None:
                live = LiveAddress(service, each, Breaker(policy, f"{service} {url}", self._breaker_changed), now)
                live.warm = warm
            live.settings, live.drained, live.breaker.policy = each, url in drained, policy
            kept[url] = live
        self._lives[service] = kept
        before = self._groups.get(service)
        self._groups[service] = AddressGroup(tuple(kept.values()), settings, self.region, self._random, before)
        self._changed(service)

    def forget(self, service: str) -> None:
        """The service is gone."""
        self._lives.pop(service, None)
        self._warm_until.pop(service, None)
        if self._groups.pop(service, None) is not None:
            self._changed(service)

    def note_health(self, address: LiveAddress, healthy: bool | None, now: float) -> None:
        """What active checks say of an address. A recovered one starts slowly, and its breaker closes."""
        if address.healthy == healthy:
            return
        recovered = healthy is True and address.healthy is False
        address.healthy = healthy
        self.group(address.service).changed()
        if recovered:
            address.since, address.warm = now, False
            if address.breaker.state != "closed" and not address.breaker.forced_open:
                address.breaker.reset(now)
        self._changed(address.service)

    def _changed(self, service: str) -> None:
        for listener in self.on_change:
            listener(service)

    def _breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        service, _, url = breaker.key.partition(" ")
        live = self._lives.get(service, {}).get(url)
        if live is not None and live.breaker is breaker:  # else the address is gone, and its last requests end
            if breaker.state == "closed" and old == "half_open":
                live.since, live.warm = now, False
            self._groups[service].changed()
        for listener in self.on_breaker:
            listener(breaker, old, now)


def policy_of(settings: ServiceSettings) -> Policy:
    breaker = settings.breaker
    threshold = breaker.failure_threshold if breaker.enabled else NEVER_OPENS
    return Policy(threshold, breaker.cooldown_period_secs, breaker.success_threshold)
