"""Health put together: components, providers, probes, the log of changes, and their routes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from proxy.breakers.breaker import Breaker, State
from proxy.client.get_models import ModelsRequest
from proxy.config.schema import Config
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.health.changes import ChangeLog
from proxy.control.health.components import ComponentHealth, ComponentState
from proxy.control.health.handlers import HealthHandlers
from proxy.control.health.probes import ProviderProbes
from proxy.control.health.providers import ProviderHealth
from proxy.control.health.system import ProcessStats
from proxy.control.health.views import ProbeView
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.observe.family import OTHER
from proxy.observe.gauges import BreakerSample
from proxy.observe.lag import Lag
from proxy.observe.metrics import Metrics
from proxy.serving import Serving

CHECK_SECS: Final = 5.0  # interval at which components are checked for the log of changes


class HealthMonitor:
    """Watches components, and supplies the gauges that ``metrics`` reads at a scrape.

    ``connections`` returns the state of what the gateway reaches over a network, by name. ``adopt`` after each load
    of the configuration; ``breaker_changed`` at each change of a breaker; ``close`` at the end. ``warn`` logs.
    """

    def __init__(
        self,
        live: LiveConfig,
        serving: Serving,
        connections: Callable[[], Mapping[str, ComponentState]],
        index: DeploymentIndex,
        clock: WallClock,
        models_request: ModelsRequest,
        metrics: Metrics,
        warn: Callable[..., None],
        version: str,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections = connections
        self._index = index
        self._providers = ProviderHealth(index, clock)
        self._probes = ProviderProbes(live, models_request, clock)
        self._changes = ChangeLog(index.id_of, clock.wall, warn)
        self._lag = Lag(self._loop.call_later, time.perf_counter)
        self._handlers = HealthHandlers(
            version,
            self.components,
            serving,
            index=index,
            clock=clock,
            providers=self._providers,
            probes=self._probes,
            changes=self._changes,
            process=ProcessStats(),
            lag=self._lag,
        )
        self._lag.start()
        self._timer = self._loop.call_later(CHECK_SECS, self._check)
        metrics.lag = self._lag
        metrics.breakers = self._breaker_samples
        metrics.components = lambda: {name: each.up for name, each in self.components().items()}

    def routes(self, base_paths: Sequence[str]) -> Sequence[ControlRoute]:
        return self._handlers.routes(base_paths)

    def components(self) -> dict[str, ComponentHealth]:
        """The health of each component by name, ``providers`` and ``models`` included."""
        connections = {
            name: state if isinstance(state, ComponentHealth) else _health(state)
            for name, state in self._connections().items()
        }
        return {**self._providers.components(), **connections}

    def probes_of(self, provider: str) -> Sequence[ProbeView]:
        """The last probe of each address of a provider; none if probes are off."""
        return self._probes.of(provider)

    def breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        self._changes.breaker(breaker, old, now)

    def adopt(self, config: Config) -> None:
        self._probes.adopt(config.observe.probes)

    def close(self) -> None:
        self._lag.stop()
        self._timer.cancel()
        self._probes.close()

    def _check(self) -> None:
        self._changes.components(self.components())
        self._timer = self._loop.call_later(CHECK_SECS, self._check)

    def _breaker_samples(self) -> Iterator[BreakerSample]:
        """Model names from clients become no labels: they are counted together, by provider."""
        for each in list(self._index):
            provider, state = each.provider.name, each.live.breaker.state
            if each.deployment is None:
                yield BreakerSample(f"{provider}/{OTHER}", provider, OTHER, state)
            else:
                yield BreakerSample(each.id, provider, each.upstream_model, state)


def _health(state: ComponentState) -> ComponentHealth:
    return ComponentHealth(state.up, state.since, state.latency)
