"""A gateway's vital signs without the gateway: a real catalog, its breakers, and time in the test's own hands."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from proxy.breakers.breaker import Breaker, State
from proxy.config.provider_schema import Tls
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import Clock
from proxy.control.health.monitor import Machine, Vitals
from proxy.control.health.views import Component
from proxy.control.http.router import Route
from proxy.control.routes import health_routes
from proxy.observe.metrics import Metrics
from proxy.routing.catalog import Catalog
from proxy.routing.live import LiveState, Registry
from tests.control.served import Served
from tests.support.gateway import to_config

VERSION = "1.2.3"
CIRCUIT = {"failureThreshold": 1, "cooldownPeriodSecs": 60, "successThreshold": 1}


class Rig:
    """``models`` as ``provider/name``, ``open_`` are providers without any. ``components`` may be changed.

    A model named ``off`` is not available.
    """

    def __init__(self, plane: Served, *models: str, open_: Iterable[str] = (), **provider: Any) -> None:
        self.clock = plane.clock
        circuit = to_config({"circuitBreaker": CIRCUIT}).circuit_breaker
        self.registry = Registry.of(circuit, self._changed)
        self.components: dict[str, Component] = {}
        self.stopping = False
        self.metrics = Metrics(version=VERSION)
        self._vitals: Vitals | None = None
        self.load(*models, open_=open_, **provider)
        machine = Machine(lambda: self.components, lambda: self.stopping, no_tls, {})
        roster = DeploymentIndex(lambda: self.catalog, self.registry, self.clock.now)
        clock = Clock(self.clock.now, self.clock.wall)
        self._vitals = self.vitals = Vitals(machine, roster, clock, self.metrics, VERSION)

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

    def routes(self) -> Iterable[Route]:
        return health_routes(self.vitals.health, ("/v1", "/api/v1"))

    def live(self, label: str) -> LiveState:
        return next(each.live for each in self.catalog.deployments if each.label == label)

    def fail(self, label: str, why: str = "server_error") -> None:
        """Its breaker opens: one failure is enough here."""
        breaker = self.live(label).breaker
        entry = breaker.acquire("chat/completions", self.clock.now())
        assert entry
        breaker.fail(entry, self.clock.now(), why)

    def _changed(self, breaker: Breaker, old: State, now: float) -> None:
        if self._vitals is not None:
            self._vitals.breaker_changed(breaker, old, now)


def no_tls(settings: Tls) -> ssl.SSLContext:
    raise AssertionError("no TLS is used here")
