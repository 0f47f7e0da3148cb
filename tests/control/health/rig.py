"""A health monitor without a gateway: a real catalog with breakers, and a clock that the test sets."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from proxy.breakers.breaker import Breaker, State
from proxy.client.get_models import ModelsRequest
from proxy.config.provider_schema import Tls
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.health.components import ComponentHealth
from proxy.control.health.monitor import HealthMonitor
from proxy.control.http.router import ControlRoute
from proxy.observe.metrics import Metrics
from proxy.routing.catalog import Catalog
from proxy.routing.live import LiveState, Registry
from tests.control.server import ControlServer
from tests.support.gateway import to_config

VERSION = "1.2.3"
CIRCUIT = {"failureThreshold": 1, "cooldownPeriodSecs": 60, "successThreshold": 1}


class HealthRig:
    """``models`` as ``provider/name``, ``open_`` are providers for any model. ``components`` may be changed.

    A model named ``off`` is not available.
    """

    def __init__(self, plane: ControlServer, *models: str, open_: Iterable[str] = (), **provider: Any) -> None:
        self.clock = plane.clock
        circuit = to_config({"circuitBreaker": CIRCUIT}).circuit_breaker
        self.registry = Registry.of(circuit, self._changed)
        self.components: dict[str, ComponentHealth] = {}
        self.stopping = False
        self.running = 0
        self.warnings: list[dict[str, Any]] = []
        self.metrics = Metrics(version=VERSION)
        self._monitor: HealthMonitor | None = None
        self.load(*models, open_=open_, **provider)
        clock = WallClock(self.clock.now, self.clock.wall)
        index = DeploymentIndex(self, clock.now)
        request = ModelsRequest(no_tls, {})
        self._monitor = self.monitor = HealthMonitor(
            self, self, lambda: self.components, index, clock, request, self.metrics, self._warn, VERSION
        )

    def load(self, *models: str, open_: Iterable[str] = (), **provider: Any) -> Catalog:
        """A catalog of these, from now on."""
        names = dict.fromkeys([*(model.partition("/")[0] for model in models), *open_])
        providers = {
            name: {"baseUrl": f"http://127.0.0.1:{port}/v1", "apiKey": f"key-{name}"} | provider
            for port, name in enumerate(names, 1)
        }
        named = [model.partition("/") for model in models]
        entries = [
            {"name": name, "provider": at, "model": f"up-{name}", "available": name != "off"} for at, _, name in named
        ]
        config = to_config({"providers": providers, "models": entries})
        self.catalog = Catalog(config, self.registry, version=VERSION, created=0)
        return self.catalog

    def routes(self) -> Iterable[ControlRoute]:
        return self.monitor.routes(("/v1", "/api/v1"))

    def live(self, label: str) -> LiveState:
        return next(each.live for each in self.catalog.deployments if each.label == label)

    def fail(self, label: str, why: str = "server_error") -> None:
        """Its breaker opens: one failure is enough here."""
        breaker = self.live(label).breaker
        entry = breaker.acquire("chat/completions", self.clock.now())
        assert entry
        breaker.fail(entry, self.clock.now(), why)

    def fail_all(self) -> None:
        """Open every breaker, so that no request is served."""
        for deployment in self.catalog.deployments:
            self.fail(deployment.label)

    def _changed(self, breaker: Breaker, old: State, now: float) -> None:
        if self._monitor is not None:
            self._monitor.breaker_changed(breaker, old, now)

    def _warn(self, message: str, **fields: Any) -> None:
        self.warnings.append({"message": message, **fields})

    async def handle(self, *request: object) -> None:
        raise AssertionError("no call to a model is made here")


def no_tls(settings: Tls) -> ssl.SSLContext:
    raise AssertionError("no TLS is used here")
