"""The models as the API lists them, for a page that has no key for the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from proxy.control.http.replies import JSON
from proxy.providers.provider import Provider
from proxy.routing.catalog import Catalog
from proxy.server.connection import Request


class Models:
    """``now`` is the clock of the providers' own lists, ``wait`` lets them come."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        now: Callable[[], float],
        wait: Callable[[Iterable[Provider]], Awaitable[None]],
    ) -> None:
        self._catalog = catalog
        self._now = now
        self._wait = wait

    async def list(self, request: Request) -> None:
        """GET /admin/models: the body of GET /v1/models, of all models."""
        catalog = self._catalog()
        await self._wait(catalog.stale_lists(self._now()))
        request.reply.send(200, JSON, catalog.listing)
