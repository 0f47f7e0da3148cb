"""What is served beside the API: health, readiness and metrics. None of it is an exchange."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import json

from proxy.errors import ClientFault
from proxy.observe.exposition import render
from proxy.observe.metrics import Metrics
from proxy.transport.server import Request

_JSON = b"Content-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"


class Subject(Protocol):
    """The gateway, as far as its health goes."""

    stopping: bool


class Pages:
    """``table`` maps exact paths to what answers them. ``subject`` is set before the first request."""

    def __init__(self, metrics: Metrics, version: str) -> None:
        self._metrics = metrics
        self._version = version
        self.subject: Subject | None = None
        self.table: dict[str, Callable[[Request], Awaitable[None]]] = {
            "/health": self.health,
            "/ready": self.ready,
            "/metrics": self.metrics,
        }

    async def health(self, request: Request) -> None:
        """200 as long as the process answers at all: what restarts it should look here."""
        _only_get(request)
        request.reply.send(200, _JSON, json.encode({"status": "ok", "version": self._version}))

    async def ready(self, request: Request) -> None:
        """503 from the moment that the gateway is told to stop: what sends it traffic should look here."""
        _only_get(request)
        ready = self.subject is not None and not self.subject.stopping
        body = json.encode({"status": "ready" if ready else "stopping"})
        request.reply.send(200 if ready else 503, _JSON, body)

    async def metrics(self, request: Request) -> None:
        """The Prometheus exposition."""
        _only_get(request)
        body, content_type = await render(self._metrics, request.headers.get("Accept"))
        request.reply.send(
            200, b"Content-Type: %b\r\nX-Content-Type-Options: nosniff\r\n" % content_type.encode(), body
        )


def _only_get(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        raise ClientFault("This path takes GET.", status=405, code="method_not_allowed", allow="GET, HEAD")
