"""The models as the API lists them, for a page that has no key for the API."""

from __future__ import annotations

from collections.abc import Callable

from proxy.control.replies import JSON
from proxy.routing.access import ALL
from proxy.routing.catalog import Catalog
from proxy.transport.server import Request


class Models:
    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog

    async def list(self, request: Request) -> None:
        """GET /admin/models: the body of GET /v1/models, of all models."""
        request.reply.send(200, JSON, self._catalog().listed(ALL))
