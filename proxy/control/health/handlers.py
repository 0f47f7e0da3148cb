"""The health routes: short ones for supervisors and load balancers, long ones for the operator."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import json
from msgspec.structs import replace

from proxy.config.known_providers import NONE_USABLE
from proxy.control.clock import WallClock, milliseconds
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import breaker_view
from proxy.control.health.changes import ChangeLog
from proxy.control.health.components import ComponentHealth
from proxy.control.health.probes import ProviderProbes
from proxy.control.health.providers import PORTION, ProviderHealth
from proxy.control.health.system import ProcessStats
from proxy.control.health.views import (
    BreakerStatusView,
    BreakersView,
    ChangesView,
    DetailedView,
    HealthView,
    StatusView,
    SystemView,
    component_view,
)
from proxy.control.http.operation import Operation
from proxy.control.http.responses import JSON_HEADERS, send_json
from proxy.control.http.router import ControlRoute
from proxy.observe.gauges import STATES
from proxy.observe.lag import Lag
from proxy.server.request import Request
from proxy.serving import Serving

_encode = json.Encoder().encode


class HealthHandlers:
    """``components`` returns the health of each component by name."""

    def __init__(
        self,
        version: str,
        components: Callable[[], Mapping[str, ComponentHealth]],
        serving: Serving,
        *,
        index: DeploymentIndex,
        clock: WallClock,
        providers: ProviderHealth,
        probes: ProviderProbes,
        changes: ChangeLog,
        process: ProcessStats,
        lag: Lag,
    ) -> None:
        self._version = version
        self._components = components
        self._serving = serving
        self._index = index
        self._clock = clock
        self._providers = providers
        self._probes = probes
        self._changes = changes
        self._process = process
        self._lag = lag
        self._began = clock.now()

    def routes(self, base_paths: Sequence[str]) -> Sequence[ControlRoute]:
        """Routes for the operator are below /admin as well: a browser's session is accepted only there.

        GET /health is below the base paths of the API as well, where clients of other gateways expect it.
        """
        health = Operation("health", "Whether requests are served", HealthView, answers={503: HealthView})
        live = Operation("health", "Whether the process responds", StatusView)
        hello = Operation("health", "Whether the gateway can be reached, for Claude Code", StatusView)
        ready = Operation("health", "Whether new requests are accepted", StatusView, answers={503: StatusView})
        detailed = Operation("health", "Every component and provider", DetailedView, answers={503: DetailedView})
        breakers = Operation("health", "Every circuit breaker", BreakersView)
        system = Operation("health", "Resources of the process", SystemView)
        history = Operation("health", "Changes within the last hour", ChangesView)
        for_operator = (
            ControlRoute("GET", "/health/detailed", "admin", self.detailed, detailed),
            ControlRoute("GET", "/health/circuit-breakers", "admin", self.breakers, breakers),
            ControlRoute("GET", "/health/system", "admin", self.system, system),
            ControlRoute("GET", "/health/history", "admin", self.history, history),
        )
        aliases = [f"{base.rstrip('/')}/health" for base in base_paths if base != "/"]
        return (
            ControlRoute("GET", "/health", "open", self.health, health),
            *(ControlRoute("GET", path, "open", self.health) for path in aliases),
            ControlRoute("GET", "/health/live", "open", self.live, live),
            ControlRoute("GET", "/ready", "open", self.ready, ready),
            # Claude Code asks this before its first request.
            ControlRoute("GET", "/api/hello", "open", self.live, hello),
            # HAProxy's default check is "OPTIONS /". Balancers with a path of their own may use the method, too.
            ControlRoute("OPTIONS", "/", "open", self.ready),
            ControlRoute("OPTIONS", "/health", "open", self.health),
            ControlRoute("OPTIONS", "/health/live", "open", self.live),
            ControlRoute("OPTIONS", "/ready", "open", self.ready),
            *for_operator,
            *(replace(route, path=f"/admin{route.path}") for route in for_operator),
        )

    # -- for machines -----------------------------------------------------------------------------

    async def health(self, request: Request) -> None:
        """GET /health: 200 as long as requests are served; ``degraded`` if a component is down that is not vital.

        It tells little of components that are up, because it is open to everyone.
        """
        components = self._components()
        statuses = {name: each.status for name, each in components.items()}
        view = HealthView(_status(components), self._version, self._uptime(), statuses)
        down = {name: component_view(each) for name, each in components.items() if not each.up}
        if down:
            view.components = down
        send_json(request, _code(view.status), view)

    async def live(self, request: Request) -> None:
        """GET /health/live: 200 as long as the process responds. If it does not, restart it."""
        send_json(request, 200, StatusView("alive"))

    async def ready(self, request: Request) -> None:
        """GET /ready: 503 without a usable provider, and once the gateway is stopping. For load balancers."""
        if self._serving.stopping:
            view = StatusView("stopping")
        elif not self._index.catalog.providers:
            view = StatusView("not_ready", NONE_USABLE)
        else:
            view = StatusView("ready")
        send_json(request, 200 if view.status == "ready" else 503, view)

    # -- for the operator -------------------------------------------------------------------------

    async def detailed(self, request: Request) -> None:
        """GET /health/detailed: every component and every provider."""
        components = self._components()
        view = DetailedView(
            status=_status(components),
            version=self._version,
            uptime=self._uptime(),
            components={name: component_view(each) for name, each in components.items()},
            providers=await self._providers.all(self._probes.of),
        )
        send_json(request, _code(view.status), view)

    async def breakers(self, request: Request) -> None:
        """GET /health/circuit-breakers: every breaker, and how many are in which state."""
        counts: dict[str, int] = dict.fromkeys(STATES, 0)
        pieces: list[bytes] = []
        for number, each in enumerate(list(self._index), 1):
            breaker = each.live.breaker
            counts[breaker.state] += 1
            pieces.append(_encode(BreakerStatusView(each.id, each.provider.name, breaker_view(breaker, self._clock))))
            if not number % PORTION:
                await asyncio.sleep(0)
        head = _encode(BreakersView(counts, [])).removesuffix(b"]}")
        request.reply.send(200, JSON_HEADERS, b"%b%b]}" % (head, b",".join(pieces)))

    async def system(self, request: Request) -> None:
        """GET /health/system: processor time, memory and files that the process uses."""
        usage = await asyncio.to_thread(self._process.read)
        view = SystemView(
            version=self._version,
            python=platform.python_version(),
            uptime=self._uptime(),
            cpu_seconds=round(usage.cpu_seconds, 3),
            cpu_percent=None if usage.cpu_percent is None else round(usage.cpu_percent, 2),
            memory_bytes=usage.memory,
            open_files=usage.open_files,
            max_open_files=usage.max_open_files,
            event_loop_lag_ms=milliseconds(self._lag.last),
            event_loop_lag_max_ms=milliseconds(self._lag.worst),
        )
        send_json(request, 200, view)

    async def history(self, request: Request) -> None:
        """GET /health/history: changes within the last hour."""
        self._changes.components(self._components())
        send_json(request, 200, ChangesView(self._changes.latest()))

    def _uptime(self) -> float:
        return round(self._clock.now() - self._began, 3)


def _status(components: Mapping[str, ComponentHealth]) -> Literal["ok", "degraded", "down"]:
    if any(each.vital and not each.up for each in components.values()):
        return "down"
    return "ok" if all(each.up for each in components.values()) else "degraded"


def _code(status: str) -> int:
    return 503 if status == "down" else 200
