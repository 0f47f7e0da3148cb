"""The health of providers and models, derived from the circuit breakers of their deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

from msgspec.structs import replace

from proxy.control.clock import WallClock, milliseconds
from proxy.control.deployments.blocked import Blocked, blocked, in_service, is_missing
from proxy.control.deployments.index import DeploymentIndex, IndexedDeployment
from proxy.control.health.components import ComponentHealth
from proxy.control.health.views import BlockedView, ProbeView, ProviderView
from proxy.providers.provider import Provider
from proxy.routing.catalog import Catalog
from proxy.routing.listing import available

PORTION: Final = 500  # deployments that are examined before other tasks run: less than a millisecond
MAX_BLOCKED: Final = 20
RECHECK_SECS: Final = 1.0  # at most this often all 10,000 deployments are examined: /health is open to everyone


class ProviderHealth:
    """The components ``providers`` and ``models``, and the health of each provider."""

    def __init__(self, index: DeploymentIndex, clock: WallClock) -> None:
        self._index = index
        self._clock = clock
        self._began = began = clock.wall()
        self._providers = ComponentHealth(True, began, vital=True)
        self._models = ComponentHealth(True, began)
        self._recheck_at = 0.0  # while no provider is up
        self._count_at = 0.0
        self._counted: Catalog | None = None

    def components(self) -> dict[str, ComponentHealth]:
        """``providers`` is vital and up if any is in service. ``models`` is up if every model can be served."""
        now, catalog = self._clock.now(), self._index.catalog
        if self._providers.up or now >= self._recheck_at:  # cheap while one of the first deployments is in service
            self._check(now)
        if now >= self._count_at or catalog is not self._counted:
            self._count(catalog, now)
        return {"providers": self._providers, "models": self._models}

    def _check(self, now: float) -> None:
        up = self._any_in_service(now)
        if up != self._providers.up:
            self._providers = ComponentHealth(up, self._clock.wall(), vital=True)
            self._count_at = 0.0
        self._recheck_at = now + RECHECK_SECS

    def _any_in_service(self, now: float) -> bool:
        """A provider that accepts any model name counts as up: else one client with a wrong name could take it down."""
        if any(provider.any_model and _has_address(provider) for provider in self._index.catalog.providers.values()):
            return True
        configured = takewhile(lambda each: each.deployment is not None, self._index)
        return any(_is_usable(each) and in_service(each.live, each.provider.keys, now) for each in configured)

    def _count(self, catalog: Catalog, now: float) -> None:
        """Count the models that no deployment serves."""
        names, served = set(), set()
        for each in filter(available, catalog.deployments):
            names.add(each.name)
            if in_service(each.live, each.provider.keys, now) and not is_missing(each, now):
                served.add(each.name)
        missing = len(names) - len(served)
        why = f"{missing} of {len(names)} models have no deployment in service" if missing else ""
        found = ComponentHealth(not missing, self._clock.wall(), why=why, partly=bool(served))
        if found.status == self._models.status:
            found = replace(found, since=self._models.since)
        self._models = found
        self._count_at, self._counted = now + RECHECK_SECS, catalog

    async def all(self, probes: Callable[[str], Sequence[ProbeView]]) -> dict[str, ProviderView]:
        """The health of each provider by name. Other tasks run in between."""
        providers = self._index.catalog.providers
        tallies = {name: _ProviderTally() for name in providers}
        for number, each in enumerate(list(self._index), 1):
            tally = tallies.get(each.provider.name)
            if tally is not None and _is_usable(each):
                tally.add(each, self._clock.now())
            if not number % PORTION:
                await asyncio.sleep(0)
        return {name: self._view(providers[name], tally, list(probes(name))) for name, tally in tallies.items()}

    def _view(self, provider: Provider, tally: _ProviderTally, probes: list[ProbeView]) -> ProviderView:
        up = tally.in_service or (not tally.deployments and _has_address(provider))
        return ProviderView(
            status="up" if up else "down",
            since=self._clock.unix(tally.since) if tally.since else round(self._began, 3),
            latency_ms=milliseconds(sum(tally.latencies) / len(tally.latencies)) if tally.latencies else None,
            deployments=tally.deployments,
            admitting=tally.admitting,
            blocked=[BlockedView(id_, each.why, self._clock.unix_future(each.until)) for id_, each in tally.blocked],
            probes=probes,
        )


class _ProviderTally:
    """Counters over the deployments of one provider; ``latencies`` in seconds.

    It has been up since the first of those in service changed state, and down since the last of all did.
    """

    def __init__(self) -> None:
        self.deployments = 0
        self.in_service = 0
        self.admitting = 0
        self.blocked: list[tuple[str, Blocked]] = []
        self.latencies: list[float] = []
        self._up_since = self._down_since = 0.0

    @property
    def since(self) -> float:
        """A time of the breakers' clock; 0: since the start."""
        return self._up_since if self.in_service else self._down_since

    def add(self, indexed: IndexedDeployment, now: float) -> None:
        live, keys = indexed.live, indexed.provider.keys
        breaker, statistics = live.breaker, live.statistics
        self.deployments += 1
        reason = blocked(live, keys, now)
        if reason is None:
            self.admitting += 1
        elif len(self.blocked) < MAX_BLOCKED:
            self.blocked.append((indexed.id, reason))
        if in_service(live, keys, now):
            since = breaker.retry_at or breaker.since if breaker.state == "open" else breaker.since
            self._up_since = min(self._up_since, since) if self.in_service else since
            self.in_service += 1
        self._down_since = max(self._down_since, breaker.since)
        statistics.advance(now)
        if statistics.latency is not None:
            self.latencies.append(statistics.latency)


def _has_address(provider: Provider) -> bool:
    """Whether it has one now; it may take its addresses from a service that has none."""
    return any(site.address.present for site in provider.sites)


def _is_usable(indexed: IndexedDeployment) -> bool:
    return indexed.deployment is None or available(indexed.deployment)
