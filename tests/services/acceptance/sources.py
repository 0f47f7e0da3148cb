"""Where the gateway has the addresses of the backends from, and how they come and go there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, urlsplit

from tests.services.acceptance.backend import Backend
from tests.support.consul import FakeConsul
from tests.support.dnsmasq import OwnDnsmasq
from tests.support.gateway import ADMIN, GatewayProcess

HEALTH = {"path": "/health", "intervalSecs": 0.5, "healthy": 1, "unhealthy": 1}
NAME = "web.example"


class Source(ABC):
    """``settings``: of the gateway's configuration. ``leave`` and ``join`` tell what happened to a backend."""

    name: str

    @abstractmethod
    async def start(self, backends: Sequence[Backend], stack: AsyncExitStack) -> dict[str, Any]:
        """Begin with all backends; the settings of the gateway."""

    async def begin(self, gateway: GatewayProcess) -> None:
        """The gateway runs."""
        return

    @abstractmethod
    async def leave(self, backend: Backend) -> None: ...

    @abstractmethod
    async def join(self, backend: Backend) -> None: ...


class ConsulSource(Source):
    """Its check finds out that an instance is gone."""

    name = "Consul (fake)"

    async def start(self, backends: Sequence[Backend], stack: AsyncExitStack) -> dict[str, Any]:
        self._consul = await stack.enter_async_context(FakeConsul())
        self._ids = {
            each.host: self._consul.register("web", _port(each), instance=each.host, address=each.host)
            for each in backends
        }
        return {
            "services": {"web": {"consul": {"service": "web"}}},
            "routes": [{"path": "/web", "service": "web"}],
            "discovery": {"consul": {"url": self._consul.url}},
        }

    async def leave(self, backend: Backend) -> None:
        self._consul.check(self._ids[backend.host], "critical")

    async def join(self, backend: Backend) -> None:
        self._consul.check(self._ids[backend.host], "passing")


class DnsSource(Source):
    """Its address is taken from the name."""

    name = "DNS (dnsmasq)"

    async def start(self, backends: Sequence[Backend], stack: AsyncExitStack) -> dict[str, Any]:
        self._dns = await stack.enter_async_context(OwnDnsmasq())
        self._hosts = {each.host for each in backends}
        self._publish()
        return {
            "services": {"web": {"dns": {"host": NAME, "port": _port(backends[0])}}},
            "routes": [{"path": "/web", "service": "web"}],
            "discovery": {"dns": {"servers": [self._dns.address], "leastSecs": 0.5}},
        }

    async def leave(self, backend: Backend) -> None:
        self._hosts.discard(backend.host)
        self._publish()

    async def join(self, backend: Backend) -> None:
        self._hosts.add(backend.host)
        self._publish()

    def _publish(self) -> None:
        self._dns.hosts({NAME: sorted(self._hosts)})


class ApiSource(Source):
    """An operator deletes the address, and adds it again."""

    name = "admin API"

    async def start(self, backends: Sequence[Backend], stack: AsyncExitStack) -> dict[str, Any]:
        self._backends = backends
        return {}

    async def begin(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        addresses = [{"url": each.url} for each in self._backends]
        await self._call("POST", "/services", {"name": "web", "addresses": addresses, "health": HEALTH})
        await self._call("POST", "/routes", {"path": "/web", "service": "web"})

    async def leave(self, backend: Backend) -> None:
        await self._call("DELETE", f"/services/web/addresses?url={quote(backend.url)}")

    async def join(self, backend: Backend) -> None:
        await self._call("POST", "/services/web/addresses", {"url": backend.url})

    async def _call(self, method: str, path: str, body: Any = None) -> None:
        client = await self._gateway.client()
        answer = await client.fetch(method, path, headers=[("Authorization", f"Bearer {ADMIN}")], json=body)
        assert answer.status < 300, answer


def _port(backend: Backend) -> int:
    port = urlsplit(backend.url).port
    assert port is not None
    return port
