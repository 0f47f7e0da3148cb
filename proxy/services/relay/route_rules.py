"""The rules of one route for the relay, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.services.relay.request_head import RequestRules

if TYPE_CHECKING:
    from proxy.config.service_schema import RouteRetries
    from proxy.services.header_changes import HeaderChanges
    from proxy.services.table.route import ServiceRoute


class RouteRules(Struct, frozen=True, eq=False):
    """``without_credentials``: of a request whose credential is the gateway's. ``answer``: ``None``: lines of answers
    stay as they are. ``statuses``: after these a request that is safe to repeat goes to another address.
    """

    request: RequestRules
    without_credentials: RequestRules
    answer: HeaderChanges | None
    retries: RouteRetries
    statuses: frozenset[int]
    max_body_mb: float

    @staticmethod
    def of(route: ServiceRoute, *, credentials: bool) -> RouteRules:
        """``credentials``: the client's credential goes on to the service."""
        settings = route.settings
        retries = settings.retries
        return RouteRules(
            RequestRules.of(route, credentials),
            RequestRules.of(route, credentials=False),
            route.response_headers or None,
            retries,
            frozenset(retries.statuses) if retries.attempts else frozenset(),
            settings.max_body_mb,
        )
