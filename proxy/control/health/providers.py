"""How the providers stand, as their deployments' breakers tell: nobody is asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

from msgspec.structs import replace

from proxy.control.deployments.blocked import Blocked, blocked, in_service, is_missing
from proxy.control.deployments.index import DeploymentIndex, Member
from proxy.control.deployments.views import Clock
from proxy.control.health.views import BlockedView, Component, ProbeView, ProviderView, ms
from proxy.routing.catalog import Catalog
from proxy.routing.listing import available

PORTION: Final = 500  # deployments: less than a millisecond
MOST_BLOCKED: Final = 20
AGAIN_SECS: Final = 1.0  # anybody may ask for /health, and every one of 10,000 deployments is looked at


class Providers:
    """``components`` say whether anybody would be asked at all, and for which models nobody would; ``all`` tells of
    each provider."""

    def __init__(self, roster: DeploymentIndex, clock: Clock) -> None:
        self._roster = roster
        self._clock = clock
        self._began = began = clock.wall()
        self._providers = Component(True, began, vital=True)
        self._models = Component(True, began)
        self._again = 0.0  # while no provider would be asked: when it is worth looking again
        self._count_again = 0.0
        self._counted: Catalog | None = None

    def components(self) -> dict[str, Component]:
        """Without any provider no request is served; without a model all others are."""
        now, catalog = self._clock.now(), self._roster.catalog
        if self._providers.up or now >= self._again:  # cheap as long as one of the first will do
            self._look(now)
        if now >= self._count_again or catalog is not self._counted:
            self._count(catalog, now)
        return {"providers": self._providers, "models": self._models}

    def _look(self, now: float) -> None:
        up = self._any(now)
        if up != self._providers.up:
            self._providers = Component(up, self._clock.wall(), vital=True)
            self._count_again = 0.0
        self._again = now + AGAIN_SECS

    def _any(self, now: float) -> bool:
        """A provider that takes any name is never all down, or one client who asks for what is broken could say so."""
        if any(provider.any_model for provider in self._roster.catalog.providers.values()):
            return True
        configured = takewhile(lambda member: member.deployment is not None, self._roster)
        return any(_usable(each) and in_service(each.live, each.provider.keys, now) for each in configured)

    def _count(self, catalog: Catalog, now: float) -> None:
        """The names that nobody would answer to."""
        names, served = set(), set()
        for each in filter(available, catalog.deployments):
            names.add(each.name)
            if in_service(each.live, each.provider.keys, now) and not is_missing(each, now):
                served.add(each.name)
        out = len(names) - len(served)
        why = f"{out} of {len(names)} models cannot be asked" if out else ""
        found = Component(not out, self._clock.wall(), why=why, partly=bool(served))
        if found.status == self._models.status:
            found = replace(found, since=self._models.since)
        self._models = found
        self._count_again, self._counted = now + AGAIN_SECS, catalog

    async def all(self, probes: Callable[[str], Sequence[ProbeView]]) -> dict[str, ProviderView]:
        """By name; the loop gets its turn on the way."""
        tallies = {name: _Tally() for name in self._roster.catalog.providers}
        for number, member in enumerate(list(self._roster), 1):
            tally = tallies.get(member.provider.name)
            if tally is not None and _usable(member):
                tally.add(member, self._clock.now())
            if not number % PORTION:
                await asyncio.sleep(0)
        return {name: self._view(tally, list(probes(name))) for name, tally in tallies.items()}

    def _view(self, tally: _Tally, probes: list[ProbeView]) -> ProviderView:
        return ProviderView(
            status="up" if tally.in_service or not tally.deployments else "down",
            since=self._clock.told(tally.since) if tally.since else round(self._began, 3),
            latency_ms=ms(sum(tally.latencies) / len(tally.latencies)) if tally.latencies else None,
            deployments=tally.deployments,
            admitting=tally.admitting,
            blocked=[BlockedView(id_, each.why, self._clock.ahead(each.until)) for id_, each in tally.blocked],
            probes=probes,
        )


class _Tally:
    """One provider's deployments; ``latencies`` in seconds.

    It has been up at least since the first of those in service came to its state, and down since the last of all.
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
        """A moment of the breakers' clock; 0: since the start."""
        return self._up_since if self.in_service else self._down_since

    def add(self, member: Member, now: float) -> None:
        breaker, statistics = member.live.breaker, member.live.statistics
        self.deployments += 1
        found = blocked(member.live, member.provider.keys, now)
        if found is None:
            self.admitting += 1
        elif len(self.blocked) < MOST_BLOCKED:
            self.blocked.append((member.id, found))
        if in_service(member.live, member.provider.keys, now):
            since = breaker.retry_at or breaker.since if breaker.state == "open" else breaker.since
            self._up_since = min(self._up_since, since) if self.in_service else since
            self.in_service += 1
        self._down_since = max(self._down_since, breaker.since)
        statistics.advance(now)
        if statistics.latency is not None:
            self.latencies.append(statistics.latency)


def _usable(member: Member) -> bool:
    return member.deployment is None or available(member.deployment)
