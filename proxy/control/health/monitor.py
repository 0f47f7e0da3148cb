"""How the gateway fares, put together: what is looked at, what is remembered of it, and where it is told."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.config.provider_schema import Tls
from proxy.config.schema import Config
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import Clock
from proxy.control.health.changes import Changes
from proxy.control.health.handlers import Health
from proxy.control.health.probes import Probes
from proxy.control.health.providers import Providers
from proxy.control.health.system import System
from proxy.control.health.views import Component
from proxy.observe.family import OTHER
from proxy.observe.gauges import BreakerSample
from proxy.observe.lag import Lag
from proxy.observe.metrics import Metrics

LOOK_SECS: Final = 5.0  # so often the components are looked at, for the history


class Machine(Struct, frozen=True):
    """What the gateway leans on. ``components`` tells by name how each stands, ``stopping`` whether it takes no more
    requests; ``context`` makes a provider's TLS, ``environ`` names the proxy on the way to it. ``warn`` writes a
    line to the log."""

    components: Callable[[], Mapping[str, Component]]
    stopping: Callable[[], bool]
    context: Callable[[Tls], ssl.SSLContext]
    environ: Mapping[str, str]
    warn: Callable[..., None] | None = None


class Vitals:
    """``health`` are the pages; ``breaker_changed`` is for the registry. ``adopt`` at the start and after a reload.

    The metrics learn from here what is asked at a scrape.
    """

    def __init__(self, machine: Machine, roster: DeploymentIndex, clock: Clock, metrics: Metrics, version: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._machine = machine
        self._roster = roster
        self._providers = Providers(roster, clock)
        self._probes = Probes(lambda: roster.catalog.providers, machine.context, machine.environ, clock)
        self._changes = Changes(roster.id_of, clock.wall, machine.warn)
        self._lag = Lag(self._loop.call_later, time.perf_counter)
        self.health = Health(
            version,
            self.components,
            machine.stopping,
            roster=roster,
            clock=clock,
            providers=self._providers,
            probes=self._probes,
            changes=self._changes,
            system=System(),
            lag=self._lag,
        )
        self._lag.start()
        self._timer = self._loop.call_later(LOOK_SECS, self._look)
        metrics.lag = self._lag
        metrics.breakers = self._standings
        metrics.components = lambda: {name: each.up for name, each in self.components().items()}

    def components(self) -> dict[str, Component]:
        """The providers and models among them."""
        return {**self._providers.components(), **self._machine.components()}

    def breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        self._changes.breaker(breaker, old, now)

    def adopt(self, config: Config) -> None:
        self._probes.adopt(config.observe.probes)

    def close(self) -> None:
        self._lag.stop()
        self._timer.cancel()
        self._probes.close()

    def _look(self) -> None:
        self._changes.components(self.components())
        self._timer = self._loop.call_later(LOOK_SECS, self._look)

    def _standings(self) -> Iterator[BreakerSample]:
        """Names that clients made up become no labels: they are counted together, by provider."""
        for member in list(self._roster):
            provider, state = member.provider.name, member.live.breaker.state
            if member.deployment is None:
                yield BreakerSample(f"{provider}/{OTHER}", provider, OTHER, state)
            else:
                yield BreakerSample(member.id, provider, member.upstream_model, state)
