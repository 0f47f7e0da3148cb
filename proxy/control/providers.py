"""How the providers stand, as their deployments' breakers tell: nobody is asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

from proxy.control.healthview import Component, ProbeView, ProviderView, ms
from proxy.control.roster import Member, Roster
from proxy.control.stateview import Clock
from proxy.routing.listing import available

PORTION: Final = 500  # deployments: less than a millisecond
AGAIN_SECS: Final = 1.0  # anybody may ask for /health, and of 10,000 that are all out every one is looked at


class Providers:
    """``component`` says whether anybody would be asked at all, ``all`` tells of each provider."""

    def __init__(self, roster: Roster, clock: Clock) -> None:
        self._roster = roster
        self._clock = clock
        self._began = self._since = clock.wall()
        self._up = True
        self._again = 0.0  # while nobody would be asked: when it is worth looking again

    def component(self) -> Component:
        """Without any no request is served. Cheap as long as one of the first will do, else looked at once a second."""
        now = self._clock.now()
        if self._up or now >= self._again:
            self._look(now)
        return Component(self._up, self._since, vital=True)

    def _look(self, now: float) -> None:
        up = self._any(now)
        if up != self._up:
            self._up, self._since = up, self._clock.wall()
        self._again = now + AGAIN_SECS

    def _any(self, now: float) -> bool:
        """A provider that takes any name is never all down, or one client who asks for what is broken could say so."""
        if any(provider.open for provider in self._roster.catalog.providers.values()):
            return True
        configured = takewhile(lambda member: member.deployment is not None, self._roster)
        return any(_usable(member) and member.live.breaker.admits("", now) for member in configured)

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
            status="up" if tally.admitting or not tally.deployments else "down",
            since=self._clock.told(tally.since) if tally.since else round(self._began, 3),
            latency_ms=ms(sum(tally.latencies) / len(tally.latencies)) if tally.latencies else None,
            deployments=tally.deployments,
            admitting=tally.admitting,
            probes=probes,
        )


class _Tally:
    """One provider's deployments; ``latencies`` in seconds.

    It has been up at least since the first of those that admit came to its state, and down since the last of all.
    """

    def __init__(self) -> None:
        self.deployments = 0
        self.admitting = 0
        self.latencies: list[float] = []
        self._up_since = self._down_since = 0.0

    @property
    def since(self) -> float:
        """A moment of the breakers' clock; 0: since the start."""
        return self._up_since if self.admitting else self._down_since

    def add(self, member: Member, now: float) -> None:
        breaker, statistics = member.live.breaker, member.live.statistics
        self.deployments += 1
        if breaker.admits("", now):
            since = breaker.retry_at or breaker.since if breaker.state == "open" else breaker.since
            self._up_since = min(self._up_since, since) if self.admitting else since
            self.admitting += 1
        self._down_since = max(self._down_since, breaker.since)
        statistics.turn(now)
        if statistics.latency is not None:
            self.latencies.append(statistics.latency)


def _usable(member: Member) -> bool:
    return member.deployment is None or available(member.deployment)
