"""What is served for who watches the gateway: health, readiness and metrics. None of it is an exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from proxy.control.replies import moment, send
from proxy.observe.exposition import render
from proxy.observe.metrics import Metrics
from proxy.transport.server import Request


class Component(Struct, frozen=True):
    """How something stands that the gateway leans on.

    ``since`` when, in Unix seconds; ``latency``: how long it last took, in seconds. ``vital``: without it no request
    is served.
    """

    up: bool
    since: float
    latency: float | None = None
    vital: bool = False


class Pages:
    """``components`` tells by name how each stands now, ``stopping`` whether the gateway takes no more requests."""

    def __init__(
        self,
        metrics: Metrics,
        version: str,
        components: Callable[[], Mapping[str, Component]],
        stopping: Callable[[], bool],
    ) -> None:
        self._metrics = metrics
        self._version = version
        self._components = components
        self._stopping = stopping

    async def health(self, request: Request) -> None:
        """200 as long as the process answers and serves, ``degraded`` where something is down that it can do without.

        ``components`` names only what is down: this page is open to anybody.
        """
        standing = self._components()
        down = {name: _told(each) for name, each in standing.items() if not each.up}
        self._tell(request, standing, {"components": down} if down else {})

    async def detailed(self, request: Request) -> None:
        """The same with every component."""
        standing = self._components()
        self._tell(request, standing, {"components": {name: _told(each) for name, each in standing.items()}})

    async def ready(self, request: Request) -> None:
        """503 from the moment that the gateway is told to stop: what sends it traffic should look here."""
        ready = not self._stopping()
        send(request, 200 if ready else 503, {"status": "ready" if ready else "stopping"})

    async def metrics(self, request: Request) -> None:
        """The Prometheus exposition."""
        body, content_type = await render(self._metrics, request.headers.get("Accept"))
        request.reply.send(
            200, b"Content-Type: %b\r\nX-Content-Type-Options: nosniff\r\n" % content_type.encode(), body
        )

    def _tell(self, request: Request, standing: Mapping[str, Component], more: dict[str, Any]) -> None:
        dead = any(each.vital and not each.up for each in standing.values())
        well = all(each.up for each in standing.values())
        status = "down" if dead else "ok" if well else "degraded"
        send(request, 503 if dead else 200, {"status": status, "version": self._version, **more})


def _told(component: Component) -> dict[str, Any]:
    """A component as JSON; the latency in milliseconds, where it is known."""
    told: dict[str, Any] = {"status": "up" if component.up else "down", "since": moment(component.since)}
    if component.latency is not None:
        told["latencyMs"] = round(component.latency * 1000, 3)
    return told
