"""Who may send a request to a service, and how many: the credential, its scopes, and limits."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from aiohttp.streams import EMPTY_PAYLOAD

from proxy.errors import ClientFault
from proxy.limits.requests import RequestReservation
from proxy.server.origins import is_preflight

if TYPE_CHECKING:
    from proxy.auth.authenticate import Authenticator
    from proxy.identity import Client
    from proxy.limits.requests import RequestLimits
    from proxy.server.request import Request
    from proxy.services.handler import ServiceWork


class ServiceAccess:
    """``admit`` is called for each request to a service."""

    def __init__(self, authenticator: Authenticator, limits: RequestLimits) -> None:
        self._authenticator = authenticator
        self._limits = limits

    def admit(self, work: ServiceWork) -> Awaitable[None] | None:
        """Raises GatewayError. ``None``: it is admitted without a wait, as with a known key and limits in memory."""
        request, authenticator = work.request, self._authenticator
        exchange, route = work.exchange, work.match.route
        exchange.client = authenticator.address(request)
        settings = route.settings
        if settings.public or _is_preflight(request):
            decided = settings.forward_credentials or not settings.public
            own = False if decided else authenticator.carries_own(request)
            if isinstance(own, bool):  # a check for Awaitable would cost more than the look at the headers
                work.keeps_credentials = own
                return self._within_limits(work, authenticator.anonymous(request))
            return self._public(work, own)
        client = authenticator.recognize(request)
        if client is None:
            return self._identified(work)
        return self._admitted(work, client)

    async def _public(self, work: ServiceWork, own: Awaitable[bool]) -> None:
        """Admit a request after its credential was looked up, which may be for the service or for the gateway."""
        work.keeps_credentials = await own
        waiting = self._within_limits(work, self._authenticator.anonymous(work.request))
        if waiting is not None:
            await waiting

    async def _identified(self, work: ServiceWork) -> None:
        """Look up a credential that is not known."""
        waiting = self._admitted(work, await self._authenticator.identify(work.request))
        if waiting is not None:
            await waiting

    def _admitted(self, work: ServiceWork, client: Client) -> Awaitable[None] | None:
        route = work.match.route
        if not route.scopes <= client.scopes:
            missing = ", ".join(sorted(route.scopes - client.scopes))
            raise ClientFault(
                f"This path needs a credential with the scope {missing}.", status=403, code="insufficient_scope"
            )
        return self._within_limits(work, client)

    def _within_limits(self, work: ServiceWork, client: Client) -> Awaitable[None] | None:
        route = work.match.route
        work.exchange.caller = client
        taken = self._limits.take(client, route.id, route.settings.limits)
        if taken is None:
            return None
        if isinstance(taken, RequestReservation):  # a check for Awaitable would cost more than the take
            _reserve(work, taken)
            return None
        return _reserved_later(work, taken)


def _is_preflight(request: Request) -> bool:
    """Whether it is a CORS preflight, for which browsers send no credential. It has no body either."""
    return request.method == "OPTIONS" and request.payload is EMPTY_PAYLOAD and is_preflight(request)


async def _reserved_later(work: ServiceWork, taking: Awaitable[RequestReservation]) -> None:
    _reserve(work, await taking)


def _reserve(work: ServiceWork, reservation: RequestReservation) -> None:
    work.release = reservation.settle
    work.limit_lines = reservation.header_lines()
