"""The routes of services: show, create, change and delete them while the gateway runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec import UNSET

from proxy.config.service_schema import ServiceSettings
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies, parse_query
from proxy.control.http.responses import send_json, send_no_content
from proxy.control.http.router import ControlRoute, below_admin
from proxy.control.services.bodies import read_new_service, read_service_settings
from proxy.control.services.preconditions import Preconditions, etag_line
from proxy.control.services.schemas import DeletionQuery, NewService, ServiceListQuery
from proxy.control.services.survey import ServiceSurvey
from proxy.control.services.views import ServiceList, ServiceView
from proxy.control.services.writer import RoutingWriter
from proxy.server.request import Request
from proxy.services.entries import Entries
from proxy.services.store.base import EntryChange

SERVICES: Final = "/services"
ONE: Final = f"{SERVICES}/{{name}}"
DOWN: Final = (503,)  # the store does not answer
CHANGED: Final = (409, 412, *DOWN)
CONDITIONS: Final = {
    "If-Match": ({"type": "string"}, "The `ETag` that was read: without it a change of somebody else may be undone."),
}
CREATION: Final = CONDITIONS | {
    "If-None-Match": ({"type": "string", "enum": ["*"]}, "Refuse (412) if it exists already: nothing is replaced."),
}
_EXAMPLE: Final = {"name": "backend", "addresses": [{"url": "http://10.0.0.5:8000", "weight": 2}]}
_PATCH: Final = "A JSON merge patch (RFC 7396): absent members stay, `null` brings back the default."


class ServiceHandlers:
    def __init__(self, survey: ServiceSurvey, writer: RoutingWriter, bodies: RequestBodies) -> None:
        self._survey = survey
        self._writer = writer
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        show_all = Operation("services", "List the services", ServiceList, query=ServiceListQuery)
        create = Operation(
            "services",
            "Create a service, or add an address to one",
            ServiceView,
            201,
            body=NewService,
            example=_EXAMPLE,
            answers={200: ServiceView},
            headers=CREATION,
            errors=CHANGED,
            notes="The short form `name`, `url`, `weight` adds the address to a service that is there (200).",
        )
        show = Operation("services", "Show a service and the state of its addresses", ServiceView)
        replace = Operation(
            "services",
            "Create or replace a service",
            ServiceView,
            body=ServiceSettings,
            answers={201: ServiceView},
            headers=CREATION,
            errors=CHANGED,
        )
        patch = Operation(
            "services",
            "Change settings of a service",
            ServiceView,
            body=ServiceSettings,
            headers=CONDITIONS,
            errors=CHANGED,
            notes=_PATCH,
        )
        delete = Operation(
            "services",
            "Delete a service",
            status=204,
            media=(),
            query=DeletionQuery,
            headers=CONDITIONS,
            errors=CHANGED,
        )
        routes = (
            ControlRoute("GET", SERVICES, "admin", self.list, show_all),
            ControlRoute("POST", SERVICES, "admin", self.create, create),
            ControlRoute("GET", ONE, "admin", self.show, show),
            ControlRoute("PUT", ONE, "admin", self.replace, replace),
            ControlRoute("PATCH", ONE, "admin", self.change, patch),
            ControlRoute("DELETE", ONE, "admin", self.delete, delete),
        )
        return (*routes, *below_admin(routes))

    async def list(self, request: Request) -> None:
        """GET /services?limit=&after=&search=: in the order of their names."""
        query = parse_query(request, ServiceListQuery)
        survey, routes = self._survey, self._survey.routes_by_service()
        names = [name for name in survey.names if query.search.lower() in name.lower()]
        page = [name for name in names if name > query.after][: query.limit + 1]
        views = [survey.service(name, routes) for name in page[: query.limit]]
        found = ServiceList(
            views,
            views[-1].name if views else None,
            len(page) > query.limit,
            len(names),
            survey.store(),
            survey.mistakes(),
            self._writer.notice or UNSET,
        )
        send_json(request, 200, found)

    async def create(self, request: Request) -> None:
        """POST /services: 201, or 200 where the short form added an address to a service."""
        body = read_new_service(await self._bodies.members(request))
        given = Preconditions.of(request)
        before: list[bool] = []

        def plan(entries: Entries) -> Sequence[EntryChange]:
            before[:] = [entries.get("service", body.name) is not None]
            return self._survey.service_plans(entries, given).create(body)

        await self._writer.write(request, plan)
        self._answer(request, 200 if before[0] else 201, body.name)

    async def show(self, request: Request, name: str) -> None:
        """GET /services/{name}."""
        self._answer(request, 200, name, notice="")

    async def replace(self, request: Request, name: str) -> None:
        """PUT /services/{name}: 201 for a new one, else 200."""
        settings = read_service_settings(name, await self._bodies.members(request))
        given = Preconditions.of(request)
        before: list[bool] = []

        def plan(entries: Entries) -> Sequence[EntryChange]:
            before[:] = [entries.get("service", name) is not None]
            return self._survey.service_plans(entries, given).replace(name, settings)

        await self._writer.write(request, plan)
        self._answer(request, 200 if before[0] else 201, name)

    async def change(self, request: Request, name: str) -> None:
        """PATCH /services/{name}."""
        patch: dict[str, Any] = await self._bodies.members(request)
        given = Preconditions.of(request)
        await self._writer.write(request, lambda entries: self._survey.service_plans(entries, given).patch(name, patch))
        self._answer(request, 200, name)

    async def delete(self, request: Request, name: str) -> None:
        """DELETE /services/{name}?force=: 204."""
        force, given = parse_query(request, DeletionQuery).force, Preconditions.of(request)

        def plan(entries: Entries) -> Sequence[EntryChange]:
            used_by = () if force else self._survey.routes_by_service().get(name, ())
            return self._survey.service_plans(entries, given).delete(name, used_by)

        await self._writer.write(request, plan)
        send_no_content(request)

    def _answer(self, request: Request, status: int, name: str, notice: str | None = None) -> None:
        """The service as it is now. ``notice`` ``None``: what a change should know of the store."""
        survey = self._survey
        view = survey.service(name, survey.routes_by_service(), self._writer.notice if notice is None else notice)
        location = f"Location: {SERVICES}/{quote(name, safe='')}\r\n".encode("ascii") if status == 201 else b""
        send_json(request, status, view, etag_line(view.version) + location)
