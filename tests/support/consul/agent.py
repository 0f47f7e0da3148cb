"""The agent's sockets, and the faults that a test makes."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from aiohttp import web

from tests.support.consul.api import Api, plain
from tests.support.consul.catalog import Record
from tests.support.consul.kv import Entry
from tests.support.ports import free_port

MOST_CONNECTIONS = 200  # of one client: limits.http_max_conns_per_client

TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\nConnection: close\r\n\r\n"
    b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
)

FaultKind = Literal["silent", "error", "slow", "cut", "lost", "garbage"]


@dataclass
class Fault:
    """``silent``: no answer. ``cut``: half of one. ``lost``: the request is done, its connection ends. ``slow``: after ``seconds``. ``garbage``: an answer that is no JSON.

    ``times``: of so many requests; ``None``: of all.
    """

    kind: FaultKind
    path: str = "/v1/"
    status: int = 500
    text: str = "rpc error making call: EOF"
    seconds: float = 0.0
    times: int | None = None


class _Handler(web.RequestHandler):
    """Counts the connections of a client, and refuses those that are too many."""

    __slots__ = ("client", "front", "refused")

    front: FakeConsul

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client = str((transport.get_extra_info("peername") or ("unix",))[0])
        self.refused = self.front.connections[self.client] >= self.front.most_connections
        if self.refused:
            self.front.refused += 1
            # uvloop begins with a connection after this callback only.
            asyncio.get_running_loop().call_soon(_refuse, transport)
            return
        self.front.transports.add(transport)
        self.front.connections[self.client] += 1
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.refused:
            super().data_received(data)

    def eof_received(self) -> None:
        if not self.refused:
            super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self.refused:
            self.front.transports.discard(self.transport)
            self.front.connections[self.client] -= 1
            super().connection_lost(exc)


def _refuse(transport: asyncio.Transport) -> None:
    transport.write(TOO_MANY)
    transport.close()


class _Server(web.Server):
    front: FakeConsul

    def __call__(self) -> Any:
        handler = _Handler(self, loop=self._loop, **self._kwargs)
        handler.front = self.front
        return handler


class FakeConsul:
    """``async with FakeConsul() as consul``: ``consul.url`` stays the same over ``stop`` and ``start``, as does the state.

    ``requests``: method and path with query of each. ``api``: the state itself, with ``ticker`` (``advance`` lets TTLs
    pass), ``kv``, ``catalog`` and ``local``. ``most_connections``: of one client.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, tokens: tuple[str, ...] = ()) -> None:
        self.requests: list[str] = []
        self.refused = 0  # connections
        self.connections: Counter[str] = Counter()
        self.transports: set[Any] = set()
        self.most_connections = MOST_CONNECTIONS
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"
        self._tokens = tokens
        self._tls = tls
        self._faults: list[Fault] = []
        self._healed = asyncio.Event()
        self._snapshot: tuple[int, list[Entry]] | None = None
        self._listener: asyncio.Server | None = None

    # services, as their own agents would do

    def register(
        self,
        name: str,
        port: int,
        *,
        instance: str = "",
        address: str = "127.0.0.1",
        status: str = "passing",
        **more: Any,
    ) -> str:
        """Register an instance with a check of that status; its id. ``more``: members of the registration."""
        ident = instance or f"{name}-{port}"
        check = {"Name": "test", "TTL": "24h", "Status": status}
        self.api.local.register({"Name": name, "ID": ident, "Address": address, "Port": port, "Check": check} | more)
        return ident

    def deregister(self, ident: str) -> None:
        self.api.local.deregister(ident)

    def check(self, ident: str, status: str) -> None:
        """Set the state of the check of an instance."""
        self.api.local.set(f"service:{ident}", status)

    def checks(self) -> dict[str, Record]:
        return self.api.local.checks()

    # faults

    def fail(self, kind: FaultKind, path: str = "/v1/", **more: Any) -> None:
        self._healed.clear()
        self._faults.append(Fault(kind, path, **more))

    def heal(self) -> None:
        """End all faults. Requests that got no answer have their connections closed."""
        self._faults.clear()
        self._healed.set()

    def snapshot(self) -> None:
        """Keep the KV store and the index for ``restore``."""
        self._snapshot = self.api.index.value, self.api.kv.copied()

    def restore(self) -> None:
        """Restore what was kept: indexes go backwards, and all blocking queries return at once."""
        assert self._snapshot is not None
        value, entries = self._snapshot
        index = self.api.index
        index.value = value
        index.tables = {table: min(each, value) for table, each in index.tables.items()}
        index.generation += 1
        self.api.kv.restore(entries)
        self.api.catalog.lower(value)
        index.wake()

    def forget(self) -> None:
        """The agent lost its own services: restarted without its data."""
        for ident in [*self.api.local.services()]:
            self.api.local.deregister(ident)

    # sockets

    async def start(self) -> None:
        server = _Server(self._serve, access_log=None, handler_cancellation=True)
        server.front = self
        self._server = server
        self._listener = await asyncio.get_running_loop().create_server(
            server, "127.0.0.1", self.port, ssl=self._tls, reuse_address=True
        )

    async def stop(self) -> None:
        """As if it were killed: connections are reset, and new ones refused."""
        assert self._listener is not None
        self._listener.close()
        self._listener = None
        for transport in [*self.transports]:
            transport.abort()
        await self._server.shutdown(0.01)  # 0 would wait without end

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        fault = self._fault(request.path)
        if fault is None:
            return await self.api.handle(request)
        if fault.kind == "error":
            return plain(fault.text, fault.status)
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return await self.api.handle(request)
        if fault.kind == "garbage":
            return web.Response(body=b'[{"Node": 3', headers={"X-Consul-Index": "12"}, content_type="application/json")
        if fault.kind == "cut":
            at_once = request.clone(rel_url=request.rel_url.without_query_params("index"))
            answer = await self.api.handle(at_once)
            assert isinstance(answer, web.Response)
            body = answer.body
            assert isinstance(body, bytes)
            half = web.StreamResponse(status=answer.status, headers=answer.headers)
            half.content_length = max(2, len(body))
            await half.prepare(request)
            await half.write(body[: len(body) // 2] or b" ")
            assert request.transport is not None
            request.transport.close()
            return half
        if fault.kind == "lost":
            await self.api.handle(request)
        else:
            await self._healed.wait()
        transport: Any = request.transport
        transport.abort()
        return plain("", 500)

    def _fault(self, path: str) -> Fault | None:
        for fault in self._faults:
            if path.startswith(fault.path) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    async def __aenter__(self) -> FakeConsul:
        self.api = Api(tokens=self._tokens)
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self.api.local.stop()
        self.api.ticker.stop()
        if self._listener is not None:
            await self.stop()
