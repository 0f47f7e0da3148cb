"""The health pages: short ones for whoever restarts processes or sends traffic, long ones for the operator."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import json

from proxy.config.known_providers import NONE_USABLE
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import Clock, breaker_view
from proxy.control.health.changes import Changes
from proxy.control.health.probes import Probes
from proxy.control.health.providers import PORTION, Providers
from proxy.control.health.system import System
from proxy.control.health.views import (
    BreakersView,
    ChangesView,
    Component,
    DetailedView,
    HealthView,
    StandingView,
    StatusView,
    SystemView,
    component_view,
)
from proxy.control.http.replies import JSON, send
from proxy.observe.gauges import STATES
from proxy.observe.lag import Lag
from proxy.server.connection import Request

_encode = json.Encoder().encode


class Health:
    """``components`` tells by name how each stands now, ``stopping`` whether the gateway takes no more requests."""

    def __init__(
        self,
        version: str,
        components: Callable[[], Mapping[str, Component]],
        stopping: Callable[[], bool],
        *,
        roster: DeploymentIndex,
        clock: Clock,
        providers: Providers,
        probes: Probes,
        changes: Changes,
        system: System,
        lag: Lag,
    ) -> None:
        self._version = version
        self._components = components
        self._stopping = stopping
        self._roster = roster
        self._clock = clock
        self._providers = providers
        self._probes = probes
        self._changes = changes
        self._system = system
        self._lag = lag
        self._began = clock.now()

    # -- for machines -----------------------------------------------------------------------------

    async def health(self, request: Request) -> None:
        """GET /health: 200 as long as requests are served, ``degraded`` where something it can do without is not up.

        ``components`` names only what is not up: this page is open to anybody.
        """
        standing = self._components()
        view = HealthView(_status(standing), self._version)
        down = {name: component_view(each) for name, each in standing.items() if not each.up}
        if down:
            view.components = down
        send(request, _code(view.status), view)

    async def live(self, request: Request) -> None:
        """GET /health/live: 200 as long as the process answers. Only a restart could help where it does not."""
        send(request, 200, StatusView("alive"))

    async def ready(self, request: Request) -> None:
        """GET /ready: 503 while no provider is usable, and from the moment that the gateway is told to stop.

        A load balancer should look here.
        """
        if self._stopping():
            view = StatusView("stopping")
        elif not self._roster.catalog.providers:
            view = StatusView("not_ready", NONE_USABLE)
        else:
            view = StatusView("ready")
        send(request, 200 if view.status == "ready" else 503, view)

    # -- for the operator -------------------------------------------------------------------------

    async def detailed(self, request: Request) -> None:
        """GET /health/detailed: every component and every provider."""
        standing = self._components()
        view = DetailedView(
            status=_status(standing),
            version=self._version,
            uptime=self._uptime(),
            components={name: component_view(each) for name, each in standing.items()},
            providers=await self._providers.all(self._probes.of),
        )
        send(request, _code(view.status), view)

    async def breakers(self, request: Request) -> None:
        """GET /health/circuit-breakers: each breaker, and how many are in which state."""
        counts: dict[str, int] = dict.fromkeys(STATES, 0)
        pieces: list[bytes] = []
        for number, member in enumerate(list(self._roster), 1):
            breaker = member.live.breaker
            counts[breaker.state] += 1
            pieces.append(_encode(StandingView(member.id, member.provider.name, breaker_view(breaker, self._clock))))
            if not number % PORTION:
                await asyncio.sleep(0)
        head = _encode(BreakersView(counts, [])).removesuffix(b"]}")
        request.reply.send(200, JSON, b"%b%b]}" % (head, b",".join(pieces)))

    async def system(self, request: Request) -> None:
        """GET /health/system: what the process takes of its machine."""
        usage = await asyncio.to_thread(self._system.look)
        view = SystemView(
            version=self._version,
            python=platform.python_version(),
            uptime=self._uptime(),
            cpu_seconds=round(usage.cpu_seconds, 3),
            cpu_percent=None if usage.cpu_percent is None else round(usage.cpu_percent, 2),
            memory_bytes=usage.memory,
            open_files=usage.open_files,
            max_open_files=usage.most_open_files,
            event_loop_lag_ms=round(self._lag.last * 1000, 3),
            event_loop_lag_max_ms=round(self._lag.worst * 1000, 3),
        )
        send(request, 200, view)

    async def history(self, request: Request) -> None:
        """GET /health/history: what has changed within the last hour."""
        self._changes.components(self._components())
        send(request, 200, ChangesView(self._changes.latest()))

    def _uptime(self) -> float:
        return round(self._clock.now() - self._began, 3)


def _status(standing: Mapping[str, Component]) -> Literal["ok", "degraded", "down"]:
    if any(each.vital and not each.up for each in standing.values()):
        return "down"
    return "ok" if all(each.up for each in standing.values()) else "degraded"


def _code(status: str) -> int:
    return 503 if status == "down" else 200
