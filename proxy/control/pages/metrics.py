"""What is served for who scrapes the gateway."""

from __future__ import annotations

import asyncio

from proxy.net.budget import Budget
from proxy.observe.exposition import render
from proxy.observe.metrics import Metrics
from proxy.server.connection import Request
from proxy.server.flush import send

_LINES = b"Content-Type: %b\r\nX-Content-Type-Options: nosniff\r\n"


class Pages:
    """A scrape counts against ``budget`` until its client has taken it: it is the scrape's own, and may be large."""

    def __init__(self, metrics: Metrics, budget: Budget) -> None:
        self._metrics = metrics
        self._budget = budget
        self._rendering = asyncio.Lock()  # one at a time, or many scrapers would hold many bodies that none counts

    async def metrics(self, request: Request) -> None:
        """The Prometheus exposition. Raises Overloaded, ClientGone."""
        async with self._rendering:
            body, content_type = await render(self._metrics, request.headers.get("Accept"))
            self._budget.take(len(body))
        try:
            await send(request, request.reply, 200, _LINES % content_type.encode(), body)
        finally:
            self._budget.give(len(body))
