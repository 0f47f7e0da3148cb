"""The routes of routes: which requests go to which service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec import UNSET

from proxy.config.service_schema import RouteSettings
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies, parse_query
from proxy.control.http.responses import send_json, send_no_content
from proxy.control.http.router import ControlRoute, below_admin
from proxy.control.services.bodies import read_new_route, read_route_settings
from proxy.control.services.faults import unknown_route
from proxy.control.services.handlers import CHANGED, CONDITIONS, CREATION
from proxy.control.services.preconditions import Preconditions, etag_line
from proxy.control.services.route_views import RouteList, RouteView
from proxy.control.services.schemas import RouteListQuery
from proxy.control.services.survey import ServiceSurvey
from proxy.control.services.writer import RoutingWriter
from proxy.server.request import Request
from proxy.services.entries import Entries
from proxy.services.store.base import EntryChange

ROUTES: Final = "/routes"
_ONE: Final = f"{ROUTES}/{{id}}"
_EXAMPLE: Final = {"path": "/api/v1/analyze", "service": "backend"}


class RouteHandlers:
    def __init__(self, survey: ServiceSurvey, writer: RoutingWriter, bodies: RequestBodies) -> None:
        self._survey = survey
        self._writer = writer
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        show_all = Operation("services", "List the routes", RouteList, query=RouteListQuery)
        create = Operation(
            "services",
            "Create a route",
            RouteView,
            201,
            body=RouteSettings,
            example=_EXAMPLE,
            answers={200: RouteView},
            headers=CREATION,
            errors=CHANGED,
            notes="Without an `id`, a route that this API made for the same requests is replaced (200).",
        )
        show = Operation("services", "Show a route", RouteView)
        replace = Operation(
            "services",
            "Create or replace a route",
            RouteView,
            body=RouteSettings,
            answers={201: RouteView},
            headers=CREATION,
            errors=CHANGED,
        )
        patch = Operation(
            "services",
            "Change settings of a route",
            RouteView,
            body=RouteSettings,
            headers=CONDITIONS,
            errors=CHANGED,
            notes="A JSON merge patch (RFC 7396): absent members stay, `null` brings back the default.",
        )
        delete = Operation("services", "Delete a route", status=204, media=(), headers=CONDITIONS, errors=CHANGED)
        routes = (
            ControlRoute("GET", ROUTES, "admin", self.list, show_all),
            ControlRoute("POST", ROUTES, "admin", self.create, create),
            ControlRoute("GET", _ONE, "admin", self.show, show),
            ControlRoute("PUT", _ONE, "admin", self.replace, replace),
            ControlRoute("PATCH", _ONE, "admin", self.change, patch),
            ControlRoute("DELETE", _ONE, "admin", self.delete, delete),
        )
        return (*routes, *below_admin(routes))

    async def list(self, request: Request) -> None:
        """GET /routes?limit=&after=&service=: in the order of their ids."""
        query, survey = parse_query(request, RouteListQuery), self._survey
        ids = survey.routes_by_service().get(query.service, ()) if query.service else survey.route_ids
        page = [id_ for id_ in sorted(ids) if id_ > query.after][: query.limit + 1]
        views = [view for id_ in page[: query.limit] if (view := survey.route(id_)) is not None]
        last = views[-1].id if views else None
        notice = self._writer.notice or UNSET
        send_json(request, 200, RouteList(views, last, len(page) > query.limit, len(ids), notice))

    async def create(self, request: Request) -> None:
        """POST /routes: 201, or 200 where it replaced a route."""
        body = read_new_route(await self._bodies.members(request))
        given = Preconditions.of(request)
        made: list[tuple[str, bool]] = []

        def plan(entries: Entries) -> Sequence[EntryChange]:
            change = self._survey.route_plans(entries, given).create(body)
            made[:] = [(change.name, entries.get("route", change.name) is not None)]
            return [change]

        await self._writer.write(request, plan)
        id_, replaced = made[0]
        self._answer(request, 200 if replaced else 201, id_, self._writer.notice)

    async def show(self, request: Request, id_: str) -> None:
        """GET /routes/{id}."""
        self._answer(request, 200, id_, "")

    async def replace(self, request: Request, id_: str) -> None:
        """PUT /routes/{id}: 201 for a new one, else 200."""
        settings = read_route_settings(id_, await self._bodies.members(request))
        given = Preconditions.of(request)
        before: list[bool] = []

        def plan(entries: Entries) -> Sequence[EntryChange]:
            before[:] = [entries.get("route", id_) is not None]
            return [self._survey.route_plans(entries, given).replace(id_, settings)]

        await self._writer.write(request, plan)
        self._answer(request, 200 if before[0] else 201, id_, self._writer.notice)

    async def change(self, request: Request, id_: str) -> None:
        """PATCH /routes/{id}."""
        patch: dict[str, Any] = await self._bodies.members(request)
        given = Preconditions.of(request)
        await self._writer.write(request, lambda entries: [self._survey.route_plans(entries, given).patch(id_, patch)])
        self._answer(request, 200, id_, self._writer.notice)

    async def delete(self, request: Request, id_: str) -> None:
        """DELETE /routes/{id}: 204."""
        given = Preconditions.of(request)
        await self._writer.write(request, lambda entries: [self._survey.route_plans(entries, given).delete(id_)])
        send_no_content(request)

    def _answer(self, request: Request, status: int, id_: str, notice: str) -> None:
        view = self._survey.route(id_, notice)
        if view is None:
            raise unknown_route(id_)
        location = f"Location: {ROUTES}/{quote(id_, safe='')}\r\n".encode("ascii") if status == 201 else b""
        send_json(request, status, view, etag_line(view.version) + location)
