"""The admin routes over real sockets, with a real catalog and limiter but without a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from proxy.breakers.breaker import Permit
from proxy.control.activity.activity import Activity
from proxy.control.clock import WallClock
from proxy.control.deployments.handlers import DeploymentHandlers
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.models import ModelListHandler
from proxy.control.deployments.try_it import TryItHandler
from proxy.control.http.router import ControlRoute
from proxy.control.live import ReloadResult
from proxy.control.settings.config import ConfigHandler
from proxy.control.settings.log_level import LogLevelHandler
from proxy.control.settings.rate_limits import RateLimitHandler
from proxy.control.settings.reload import ReloadHandler
from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.rules import Rules
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.providers.keys import Key
from proxy.providers.provider import Site
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry
from proxy.server.request import Request
from tests.control.server import ControlServer
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


class AdminServer(ControlServer):
    """``async with AdminServer(TWO) as plane``: the admin routes on a catalog of their own.

    It stands for the gateway, the way in and the live configuration. ``tried`` are the requests that were passed on.
    ``observers`` hand over at once, unless they are attached to the loop.
    """

    catalog: Catalog
    config_path = "config/config.yaml"
    waiting = ("server.port",)
    left_out = ()
    secrets = (SECRET,)
    stopping = False

    def __init__(self, source: Mapping[str, Any], *, limiter: Limiter | None = None) -> None:
        self.config = to_config(source)
        self._given_limiter = limiter
        self.running = 0
        self.reload_result: ReloadResult | None = None
        self.observers = Observers()
        self.tried: list[tuple[Request, Client, bytes]] = []
        self.levels: list[str] = []
        self.awaited: list[str] = []
        super().__init__(lambda plane: self._routes())

    def _routes(self) -> Iterable[ControlRoute]:
        self.registry = Registry.of(self.config.circuit_breaker, lambda *change: self.activity.breaker_changed(*change))
        self.catalog = Catalog(self.config, self.registry, version="1", created=0)
        clock, metrics = WallClock(self.clock.now, self.clock.wall), Metrics()
        self.index = index = DeploymentIndex(self, clock.now)
        self.activity = activity = Activity(self, self, index, clock, metrics, self.observers, "1.2.3")
        self.observers.lossy = (metrics.settle, activity.settle)
        rules = Rules.of(self.config.rate_limiting, self.config.auth)
        self.limiter = limiter = self._given_limiter or Limiter(Memory(clock.now, 1000), rules, clock.wall, metrics)
        return (
            *DeploymentHandlers(index, activity.recorder.samples, clock).routes(),
            *ModelListHandler(index, self).routes(),
            *TryItHandler(self, self.begin_as, self.bodies).routes(),
            *activity.routes(),
            *ConfigHandler(self).routes(),
            *ReloadHandler(self).routes(),
            *LogLevelHandler(self, self.bodies).routes(),
            *RateLimitHandler(self, limiter).routes(),
        )

    def admit(self, level: str) -> None:
        """As the log."""
        self.levels.append(level)

    async def wait(self, sites: Iterable[Site]) -> None:
        """As the fetcher of model lists."""
        self.awaited += [site.provider.name for site in sites]

    async def reload(self) -> ReloadResult | None:
        return self.reload_result

    def begin_as(self, client: Client, request: Request) -> tuple[AdminServer, Client]:
        """As the gateway."""
        return self, client

    async def handle(self, request: Request, begun: tuple[AdminServer, Client]) -> None:
        """As ``Serving``."""
        self.tried.append((request, begun[1], request.response_lines))
        request.reply.send(200, request.response_lines, b"tried")

    def catch_up(self) -> None:
        self.observers.flush()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.activity.close()
        await super().__aexit__(kind, error, trace)

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
