"""Where a gateway has the addresses of a service from, and how servers come and go there."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from tests.support.consul import FakeConsul
from tests.support.dnsmasq import OwnDnsmasq
from tests.support.gateway import ADMIN, GatewayProcess

HEALTH = {"path": "/health", "intervalSecs": 0.5, "healthy": 1, "unhealthy": 1}


class Server(Protocol):
    """One of the service. For DNS all of them have the same port."""

    @property
    def host(self) -> str: ...

    @property
    def url(self) -> str: ...


class Source(ABC):
    """The source of ``service``. ``leave`` and ``join`` tell it what happened to a server."""

    name: str

    def __init__(self, service: str) -> None:
        self.service = service

    @abstractmethod
    async def start(self, servers: Sequence[Server], stack: AsyncExitStack) -> dict[str, Any]:
        """Begin with all servers; the settings of the gateway."""

    async def begin(self, gateway: GatewayProcess) -> None:
        """The gateway runs."""
        return

    @abstractmethod
    async def leave(self, server: Server) -> None: ...

    @abstractmethod
    async def join(self, server: Server) -> None: ...


class ConsulSource(Source):
    """Its check finds out that an instance is gone."""

    name = "Consul (fake)"

    async def start(self, servers: Sequence[Server], stack: AsyncExitStack) -> dict[str, Any]:
        self._consul = await stack.enter_async_context(FakeConsul())
        self._ids = {
            each.host: self._consul.register(self.service, _port(each), instance=each.host, address=each.host)
            for each in servers
        }
        return {
            "services": {self.service: {"consul": {"service": self.service}}},
            "discovery": {"consul": {"url": self._consul.url}},
        }

    async def leave(self, server: Server) -> None:
        self._consul.check(self._ids[server.host], "critical")

    async def join(self, server: Server) -> None:
        self._consul.check(self._ids[server.host], "passing")


class DnsSource(Source):
    """Its address is taken from the name."""

    name = "DNS (dnsmasq)"

    async def start(self, servers: Sequence[Server], stack: AsyncExitStack) -> dict[str, Any]:
        self._dns = await stack.enter_async_context(OwnDnsmasq())
        self._hosts = {each.host for each in servers}
        self._name = f"{self.service}.example"
        self._publish()
        return {
            "services": {self.service: {"dns": {"host": self._name, "port": _port(servers[0])}}},
            "discovery": {"dns": {"servers": [self._dns.address], "leastSecs": 0.5}},
        }

    async def leave(self, server: Server) -> None:
        self._hosts.discard(server.host)
        self._publish()

    async def join(self, server: Server) -> None:
        self._hosts.add(server.host)
        self._publish()

    def _publish(self) -> None:
        self._dns.hosts({self._name: sorted(self._hosts)})


class FileSource(Source):
    """A program writes the file anew."""

    name = "file"

    async def start(self, servers: Sequence[Server], stack: AsyncExitStack) -> dict[str, Any]:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        self._path = Path(folder) / "consul.yml"
        self._urls = {each.url for each in servers}
        self._write()
        return {"services": {self.service: {"file": str(self._path)}}}

    async def leave(self, server: Server) -> None:
        self._urls.discard(server.url)
        self._write()

    async def join(self, server: Server) -> None:
        self._urls.add(server.url)
        self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps({self.service: sorted(self._urls)}))  # JSON is YAML, too


class ApiSource(Source):
    """An operator deletes the address, and adds it again."""

    name = "admin API"

    async def start(self, servers: Sequence[Server], stack: AsyncExitStack) -> dict[str, Any]:
        self._servers = servers
        return {}

    async def begin(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        addresses = [{"url": each.url} for each in self._servers]
        service = {"name": self.service, "addresses": addresses, "health": HEALTH}
        await call_admin(gateway, "POST", "/services", service)

    async def leave(self, server: Server) -> None:
        await call_admin(self._gateway, "DELETE", self._address(server))

    async def join(self, server: Server) -> None:
        await call_admin(self._gateway, "POST", f"/services/{self.service}/addresses", {"url": server.url})

    def _address(self, server: Server) -> str:
        return f"/services/{self.service}/addresses?url={quote(server.url)}"


class DrainingSource(ApiSource):
    """An operator drains the address, and ends that again."""

    name = "drained"

    async def leave(self, server: Server) -> None:
        await call_admin(self._gateway, "PATCH", self._address(server), {"drained": True})

    async def join(self, server: Server) -> None:
        await call_admin(self._gateway, "PATCH", self._address(server), {"drained": False})


SOURCES: Final[tuple[Callable[[str], Source], ...]] = (ConsulSource, DnsSource, FileSource, ApiSource, DrainingSource)


async def call_admin(gateway: GatewayProcess, method: str, path: str, body: Any = None) -> None:
    """Raises AssertionError if it is refused."""
    client = await gateway.client()
    answer = await client.fetch(method, path, headers=[("Authorization", f"Bearer {ADMIN}")], json=body)
    assert answer.status < 300, answer


def _port(server: Server) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port
