"""A catalog with prices behind the routes of usage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.usage.estimate import EstimateHandler
from proxy.control.usage.models import PricedModelsHandler
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry
from tests.control.server import ControlServer
from tests.support.gateway import to_config

SOURCE = {
    "providers": {
        "near": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "sk-near"},
        "far": {"baseUrl": "http://127.0.0.1:2/v1", "apiKey": "sk-far"},
    },
    "models": [
        {
            "name": "m",
            "provider": "near",
            "model": "m-1",
            "prices": {"input": 2, "output": 10, "image": 0.04},
            "maxOutputTokens": 500,
            "tags": ["quick"],
        },
        {"name": "n", "provider": "far", "model": "nobody-knows-its-price"},
    ],
    "routing": {"fallback": {"provider": "far", "model": "n"}},
}


class PricedPlane:
    """The routes; clients are named by the header ``x-test-client``."""

    secrets: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.config = to_config(SOURCE)
        self.server = ControlServer(self._routes)

    def _routes(self, server: ControlServer) -> Sequence[Any]:
        self.registry = Registry.of(self.config.circuit_breaker, lambda *change: None)
        self.catalog = Catalog(self.config, self.registry, version="1", created=0)
        live: Any = self
        clock = WallClock(server.clock.now, server.clock.wall)
        index = DeploymentIndex(live, clock.now)
        return [
            *EstimateHandler(live, clock, server.bodies).routes(),
            *PricedModelsHandler(index, clock).routes(),
        ]
