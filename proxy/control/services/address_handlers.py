"""The routes of a service's addresses and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import UNSET

from proxy.config.service_schema import ServerAddress
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies, parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute, below_admin
from proxy.control.services.bodies import read_address, read_address_change, read_url, read_weight
from proxy.control.services.faults import unknown_service
from proxy.control.services.handlers import CHANGED, CONDITIONS, ONE
from proxy.control.services.health_views import ServiceHealthView, health_view
from proxy.control.services.preconditions import Preconditions, etag_line
from proxy.control.services.schemas import AddressChange, AddressQuery, WeightChange
from proxy.control.services.survey import ServiceSurvey
from proxy.control.services.views import AddressList, WeightView
from proxy.control.services.writer import RoutingWriter
from proxy.server.request import Request
from proxy.services.health.history import AddressHealth

_ADDRESSES: Final = f"{ONE}/addresses"
_WEIGHT: Final = f"{ONE}/weight"
_URL: Final = "http://10.0.0.5:8000"
_KEPT: Final = "Of any service, also one of the configuration. It is kept for a service that is not there yet."


class AddressHandlers:
    """``checks`` returns what health checks say of the addresses of a service."""

    def __init__(
        self,
        survey: ServiceSurvey,
        writer: RoutingWriter,
        bodies: RequestBodies,
        checks: Callable[[str], Sequence[AddressHealth]],
    ) -> None:
        self._checks = checks
        self._survey = survey
        self._writer = writer
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        show = Operation("services", "The addresses of a service and their state", AddressList)
        add = Operation(
            "services",
            "Add an address to a service, or replace it",
            AddressList,
            body=ServerAddress,
            example={"url": _URL, "weight": 2},
            headers=CONDITIONS,
            errors=CHANGED,
        )
        change = Operation(
            "services",
            "Drain an address, or change it",
            AddressList,
            query=AddressQuery,
            body=AddressChange,
            example={"drained": True},
            headers=CONDITIONS,
            errors=CHANGED,
            notes="Any address can be drained and weighed, wherever it was found.",
        )
        delete = Operation(
            "services",
            "Remove an address from a service",
            AddressList,
            query=AddressQuery,
            headers=CONDITIONS,
            errors=CHANGED,
        )
        health = Operation("services", "The health of a service, and its last changes", ServiceHealthView)
        weight = Operation("services", "The weights of a service and its addresses", WeightView)
        set_weight = Operation(
            "services",
            "Set the weight of a service or of one of its addresses",
            WeightView,
            body=WeightChange,
            example={"weight": 2},
            headers=CONDITIONS,
            errors=CHANGED,
            notes=_KEPT,
        )
        routes = (
            ControlRoute("GET", _ADDRESSES, "admin", self.list, show),
            ControlRoute("POST", _ADDRESSES, "admin", self.add, add),
            ControlRoute("PATCH", _ADDRESSES, "admin", self.change, change),
            ControlRoute("DELETE", _ADDRESSES, "admin", self.delete, delete),
            ControlRoute("GET", f"{ONE}/health", "admin", self.health, health),
            ControlRoute("GET", _WEIGHT, "admin", self.weight, weight),
            ControlRoute("PUT", _WEIGHT, "admin", self.set_weight, set_weight),
            ControlRoute("PATCH", _WEIGHT, "admin", self.set_weight, set_weight),
        )
        return (*routes, *below_admin(routes))

    async def list(self, request: Request, name: str) -> None:
        """GET /services/{name}/addresses."""
        self._answer(request, name, "")

    async def add(self, request: Request, name: str) -> None:
        """POST /services/{name}/addresses: 200 with all of them."""
        address = read_address(await self._bodies.members(request))
        given = Preconditions.of(request)
        await self._writer.write(
            request, lambda entries: self._survey.service_plans(entries, given).add_address(name, address)
        )
        self._answer(request, name, self._writer.notice)

    async def change(self, request: Request, name: str) -> None:
        """PATCH /services/{name}/addresses?url=."""
        url = read_url(parse_query(request, AddressQuery).url)
        change = read_address_change(url, await self._bodies.members(request))
        given, known = Preconditions.of(request), url in self._survey.sources(name)
        await self._writer.write(
            request,
            lambda entries: self._survey.service_plans(entries, given).change_address(name, url, change, known),
        )
        self._answer(request, name, self._writer.notice)

    async def delete(self, request: Request, name: str) -> None:
        """DELETE /services/{name}/addresses?url=: 200 with those that are left."""
        url, given = read_url(parse_query(request, AddressQuery).url), Preconditions.of(request)
        source = self._survey.sources(name).get(url, "")
        await self._writer.write(
            request, lambda entries: self._survey.service_plans(entries, given).delete_address(name, url, source)
        )
        self._answer(request, name, self._writer.notice)

    async def health(self, request: Request, name: str) -> None:
        """GET /services/{name}/health."""
        service, addresses = self._survey.find(name), self._survey.addresses(name)
        send_json(request, 200, health_view(service, addresses, self._checks(name)))

    async def weight(self, request: Request, name: str) -> None:
        """GET /services/{name}/weight."""
        if not self._survey.has_weight(name):
            raise unknown_service(name)
        self._send_weight(request, self._survey.weight(name))

    async def set_weight(self, request: Request, name: str) -> None:
        """PUT or PATCH /services/{name}/weight."""
        url, weight = read_weight(name, await self._bodies.members(request))
        given, most = Preconditions.of(request), self._survey.most
        await self._writer.write(
            request, lambda entries: self._survey.service_plans(entries, given).set_weight(name, url, weight, most)
        )
        self._send_weight(request, self._survey.weight(name, self._writer.notice))

    def _answer(self, request: Request, name: str, notice: str) -> None:
        version = self._survey.version(name)
        view = AddressList(self._survey.addresses(name), version, notice or UNSET)
        send_json(request, 200, view, etag_line(version))

    def _send_weight(self, request: Request, view: WeightView) -> None:
        send_json(request, 200, view, etag_line(view.version))
