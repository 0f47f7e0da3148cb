"""A gateway with a route to services."""

from __future__ import annotations

from random import Random
from typing import Any

from proxy.addresses.book import AddressBook
from proxy.addresses.live import LiveAddress
from proxy.net.address import TrustedProxies
from proxy.services.exchange import ServiceExchange
from proxy.services.handler import ServiceHandler
from proxy.services.live import LiveServices
from proxy.services.relay.context import RelayContext
from proxy.services.relay.request_head import RequestHeads
from proxy.services.relay.retries import RetryBudget
from tests.support.gateway import Gateway
from tests.support.patience import until
from tests.support.steps import Headers, Script, Send
from tests.support.upstream import Upstream


def to_services(
    *ups: Upstream, service: dict[str, Any] | None = None, route: dict[str, Any] | None = None, **sections: Any
) -> dict[str, Any]:
    """A configuration: the service ``s`` with the upstreams as addresses, and the public route ``/s`` to it."""
    addresses = [up.origin for up in ups]
    return {
        "services": {"s": {"addresses": addresses} | (service or {})},
        "routes": [{"id": "r", "path": "/s", "service": "s", "public": True} | (route or {})],
    } | sections


def plain(body: bytes, *headers: tuple[str, str], status: int = 200) -> Script:
    """An answer with a length."""
    return [Headers(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers]), Send(body)]


class ServiceGateway(Gateway):
    """``settled`` exchanges of services are in ``served``."""

    served: list[ServiceExchange]

    async def __aenter__(self) -> ServiceGateway:
        await super().__aenter__()
        app, config = self.app, self.app.config
        transport = app._dispatcher.context
        self.served = []
        self.services = services = LiveServices(
            AddressBook(),
            now=transport.loop.time,
            context=app._dialer.context,
            owns=lambda path: path.startswith("/v1/"),
            warn=app.log.warning,
        )
        services.adopt(config)
        pseudonym = app._pseudonym
        relay = RelayContext(
            transport,
            RequestHeads(TrustedProxies(config.server.trusted_proxies), pseudonym),
            f"Via: 1.1 {pseudonym}\r\n".encode(),
            config.server.body_timeout_secs,
            RetryBudget(),
            Random(1),
        )
        handler = ServiceHandler(services, relay, services._owns, None, [self.served.append])
        app.serving.use(app.plane.router, handler, app.gateway)
        return self

    def address(self, up: Upstream) -> LiveAddress:
        """The live state of ``up`` in the service ``s``."""
        return next(each for each in self.services.book.group("s").addresses if each.url == up.origin)

    async def done(self, count: int = 1) -> ServiceExchange:
        """The ``count``-th settled exchange of a service."""
        await until(lambda: len(self.served) >= count, f"{count} settled exchanges of services")
        return self.served[count - 1]
