"""What is served for who scrapes the gateway."""

from __future__ import annotations

from proxy.observe.exposition import render
from proxy.observe.metrics import Metrics
from proxy.transport.server import Request


class Pages:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def metrics(self, request: Request) -> None:
        """The Prometheus exposition."""
        body, content_type = await render(self._metrics, request.headers.get("Accept"))
        request.reply.send(
            200, b"Content-Type: %b\r\nX-Content-Type-Options: nosniff\r\n" % content_type.encode(), body
        )
