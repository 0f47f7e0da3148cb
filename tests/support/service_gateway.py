"""A gateway with a route to services."""

from __future__ import annotations

from typing import Any

from proxy.addresses.live import LiveAddress
from proxy.services.exchange import ServiceExchange
from tests.support.gateway import Gateway
from tests.support.patience import until
from tests.support.steps import Headers, Script, Send
from tests.support.upstream import Upstream


def to_services(
    *ups: Upstream, service: dict[str, Any] | None = None, route: dict[str, Any] | None = None, **sections: Any
) -> dict[str, Any]:
    """A configuration: the service ``s`` with the upstreams as addresses, and the public route ``/s`` to it.

    No database unless ``database`` configures one: tests that run at once would share it, with its services and checks.
    """
    addresses = [up.origin for up in ups]
    return {
        "services": {"s": {"addresses": addresses} | (service or {})},
        "routes": [{"id": "r", "path": "/s", "service": "s", "public": True} | (route or {})],
        "database": {"enabled": False},
    } | sections


def plain(body: bytes, *headers: tuple[str, str], status: int = 200) -> Script:
    """An answer with a length."""
    return [Headers(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers]), Send(body)]


class ServiceGateway(Gateway):
    """``settled`` exchanges of services are in ``served``."""

    served: list[ServiceExchange]

    async def __aenter__(self) -> ServiceGateway:
        await super().__aenter__()
        self.served = []
        self.services = self.app.services.live
        self.app.services.handler.observers = [*self.app.services.handler.observers, self.served.append]
        return self

    def address(self, up: Upstream) -> LiveAddress:
        """The live state of ``up`` in the service ``s``."""
        return next(each for each in self.services.book.group("s").addresses if each.url == up.origin)

    async def done(self, count: int = 1) -> ServiceExchange:
        """The ``count``-th settled exchange of a service."""
        await until(lambda: len(self.served) >= count, f"{count} settled exchanges of services")
        return self.served[count - 1]
