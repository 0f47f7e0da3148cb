"""The list of models for the dashboard, which has no API key."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from proxy.control.deployments.index import DeploymentIndex
from proxy.control.http.operation import Operation
from proxy.control.http.responses import JSON_HEADERS
from proxy.control.http.router import ControlRoute
from proxy.control.openapi.api import ModelListView
from proxy.providers.provider import Site
from proxy.server.request import Request


class ModelListSource(Protocol):
    """Fetches the model lists of providers: ``proxy.dispatch.fetching.ListFetcher``."""

    def wait(self, sites: Iterable[Site]) -> Awaitable[None]:
        """Wait until the lists of these addresses have been fetched."""


class ModelListHandler:
    def __init__(self, index: DeploymentIndex, lists: ModelListSource) -> None:
        self._index = index
        self._lists = lists

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation("operator", "List the models as the API does", ModelListView)
        return (ControlRoute("GET", "/admin/models", "admin", self.list, operation),)

    async def list(self, request: Request) -> None:
        """GET /admin/models: the same body as GET /v1/models for a client that may use every model."""
        catalog = self._index.catalog
        await self._lists.wait(catalog.stale_lists(self._index.now()))
        request.reply.send(200, JSON_HEADERS, catalog.listing)
