"""The operator's routes over real sockets, on a catalog and limits of their own: no gateway runs behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from proxy.breakers.breaker import Permit
from proxy.control.operator import Engine, Operator
from proxy.control.routes import operator_routes
from proxy.control.settings.reload import Reloaded
from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.rules import Rules
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.providers.keys import Key
from proxy.providers.provider import Provider
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry
from proxy.server.connection import Request
from tests.control.served import Served
from tests.observe.exchanges import settled
from tests.support.gateway import to_config

SECRET = "sk-of-the-provider"
TWO = {
    "providers": {
        "up": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": SECRET},
        "twin": {"baseUrls": ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]},
    },
    "models": [
        {"name": "m", "provider": "up", "model": "up-model", "tags": ["quick"], "contextSize": 8000, "weight": 2},
        {"name": "m", "provider": "twin"},
    ],
}


class Operated(Served):
    """``async with Operated(TWO) as plane``; ``tried`` are the requests that were handed to the gateway.

    ``observers`` hand over at once, unless they are attached to the loop.
    """

    def __init__(self, source: Mapping[str, Any], **facts: Any) -> None:
        self.config = to_config(source)
        self._facts = facts
        self.active = 0
        self.observers = Observers()
        self.tried: list[tuple[Request, Client, bytes]] = []
        self.levels: list[str] = []
        self.awaited: list[str] = []
        super().__init__(lambda plane: operator_routes(self._operate()))

    def _operate(self) -> Operator:
        self.registry = Registry.of(self.config.circuit_breaker, lambda *change: self.operator.breaker_changed(*change))
        self.catalog = Catalog(self.config, self.registry, version="1", created=0)
        clock, metrics = self.clock, Metrics()
        engine = {
            "catalog": lambda: self.catalog,
            "wait_for_lists": self._wait_for_lists,
            "registry": self.registry,
            "limiter": self._limiter(metrics),
            "metrics": metrics,
            "now": clock.now,
            "wall": clock.wall,
            "active": lambda: self.active,
            "catch_up": self.catch_up,
            "serve_as": self._serve_as,
            "admit_log": self.levels.append,
            "secrets": lambda: [SECRET],
            "reload": None,
            "path": lambda: "config/config.yaml",
            "waits": lambda: ["server.port"],
        } | self._facts
        self.engine = Engine(**engine)
        self.operator = Operator(self.engine, lambda: self.config, self.bodies, "1.2.3")
        self.observers.lossy = (metrics.settle, self.operator.settle)
        return self.operator

    def _limiter(self, metrics: Metrics) -> Limiter:
        rules = Rules.of(self.config.rate_limiting, self.config.auth)
        return Limiter(Memory(self.clock.now, 1000), rules, self.clock.wall, metrics)

    async def _wait_for_lists(self, providers: Iterable[Provider]) -> None:
        self.awaited += [provider.name for provider in providers]

    def catch_up(self) -> None:
        self.observers.flush()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.operator.close()
        await super().__aexit__(kind, error, trace)

    async def _serve_as(self, request: Request, caller: Client, lines: bytes) -> None:
        self.tried.append((request, caller, lines))
        request.reply.send(200, lines, b"tried")

    def attempt(self, label: str, began: float, **facts: Any) -> Attempt:
        """An attempt at the deployment of that label, which took two seconds and went well unless ``facts`` differ."""
        deployment = next(each for each in self.catalog.deployments if each.label == label)
        attempt = Attempt(deployment, Permit.NORMAL, Key(0, b""), began)
        facts = {"connected": began + 0.01, "headers": began + 0.2, "ended": began + 2.0} | facts
        for name, value in facts.items():
            setattr(attempt, name, value)
        return attempt

    def settle(self, *attempts: Attempt, **facts: Any) -> Exchange:
        """An exchange that began three seconds ago and ended now, with these attempts."""
        now = asyncio.get_running_loop().time()
        times = {"began": now - 3.0, "first_content": now - 2.75, "ended": now}
        exchange = settled(**times | {"attempts": list(attempts), "model": "m"} | facts)
        self.observers.put(exchange)
        return exchange


def reloaded(**facts: Any) -> Reloaded:
    return Reloaded(**{"loaded": True, "why": "asked"} | facts)
