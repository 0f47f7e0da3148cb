"""All routes of services and routes, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.control.access.credential import AdminCredential
from proxy.control.clock import WallClock
from proxy.control.http.requests import RequestBodies
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.control.services.address_handlers import AddressHandlers
from proxy.control.services.change_handlers import ChangeHandlers
from proxy.control.services.handlers import ServiceHandlers
from proxy.control.services.route_handlers import RouteHandlers
from proxy.control.services.survey import ServiceSurvey
from proxy.control.services.writer import RoutingWriter
from proxy.server.request import Request
from proxy.services.opening import ServiceParts


def service_routes(
    services: ServiceParts,
    live: LiveConfig,
    credential: AdminCredential,
    address: Callable[[Request], str],
    clock: WallClock,
    bodies: RequestBodies,
) -> Sequence[ControlRoute]:
    """``address`` returns the client's address of a request."""
    survey = ServiceSurvey(services.live, services.follower, live, services.discovery.states, clock)
    writer = RoutingWriter(services.live, services.follower, credential, address)
    return (
        *ServiceHandlers(survey, writer, bodies).routes(),
        *AddressHandlers(survey, writer, bodies, services.health).routes(),
        *RouteHandlers(survey, writer, bodies).routes(),
        *ChangeHandlers(services.follower).routes(),
    )
