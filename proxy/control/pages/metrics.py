"""GET /metrics: the metrics for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from proxy.control.http.operation import Operation
from proxy.control.http.router import ControlRoute
from proxy.net.budget import Budget
from proxy.observe.exposition import render
from proxy.observe.metrics import Metrics
from proxy.server.flush import send
from proxy.server.request import Request

_HEADER_LINES: Final = b"Content-Type: %b\r\nX-Content-Type-Options: nosniff\r\n"


class MetricsPage:
    """A response may be large, so it counts against ``budget`` until the client has read it."""

    def __init__(self, metrics: Metrics, budget: Budget, *, protected: bool) -> None:
        self._metrics = metrics
        self._budget = budget
        self._protected = protected
        self._rendering = asyncio.Lock()  # bodies that are being rendered are not counted yet: one at a time

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation(
            "health",
            "The metrics for Prometheus",
            media=("text/plain", "application/openmetrics-text"),
            notes="The format depends on `Accept`.",
        )
        return (ControlRoute("GET", "/metrics", "admin" if self._protected else "open", self.show, operation),)

    async def show(self, request: Request) -> None:
        """GET /metrics. Raises Overloaded, ClientGone."""
        async with self._rendering:
            body, content_type = await render(self._metrics, request.headers.get("Accept"))
            self._budget.take(len(body))
        try:
            await send(request, request.reply, 200, _HEADER_LINES % content_type.encode(), body)
        finally:
            self._budget.give(len(body))
