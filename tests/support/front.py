"""The listener with a trivial handler, for tests of the server."""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import TracebackType
from typing import Any

from proxy.config.schema import ListenTls
from proxy.config.schema import ServerSettings as Settings
from proxy.errors import GatewayError
from proxy.net.budget import Budget
from proxy.net.clocks import Ticker
from proxy.net.outbox import Outbox
from proxy.responder import refuse
from proxy.server.connection_limit import ConnectionLimiter
from proxy.server.flush import Flushing
from proxy.server.listener import Listener
from proxy.server.peer_faults import PeerFaults
from proxy.server.reply import Reply
from proxy.server.request import Request
from proxy.server.server import Server
from proxy.server.tls_listener import TlsListener
from tests.support.client import RawClient
from tests.support.patience import until, within
from tests.support.secure import SecureClient


class Front:
    """``async with Front(max_connections=2) as front``; every request is answered with its path.

    ``rejected`` holds the reasons for which connections were rejected, with a response or without. At the end of the block
    nothing may be left.
    """

    def __init__(self, *, tls: ListenTls | None = None, **settings: Any) -> None:
        self.settings = Settings(**{"port": 0, "tls": tls} | settings)
        self.rejected: list[str] = []
        self.lines: list[tuple[str, dict[str, object]]] = []  # of the log
        self.hold: asyncio.Event | None = None  # requests wait for it
        self.problems: list[str] = []  # messages to the event loop's exception handler
        self._clients: list[RawClient | socket.socket] = []

    async def __aenter__(self) -> Front:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self.problems.append(repr(context)))
        loop = asyncio.get_running_loop()
        flushing = Flushing(loop, Ticker(loop), Budget(1024 * 1024 * 1024))
        faults = PeerFaults(lambda message, /, **fields: self.lines.append((message, fields)), loop.time)
        self.server = Server(
            self._answer, self.settings, self._on_fault, self.rejected.append, Outbox(loop), flushing, faults
        )
        self.listener = Listener(self.server, self.settings)
        await self.listener.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        await within(self.listener.stop(), "the listener to stop")
        if error is None:
            await until(lambda: not self.limiter.connections, f"every connection to be gone: {self.listener}")
            await until(lambda: not self.limiter._lingering, "those turned away to be gone")
            assert self.limiter._of_address == {}
            assert not self.settings.tls or self.termination.handshakes == set()
            assert self.problems == []

    async def _answer(self, request: Request) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if not request.gone:
            request.reply.send(200, b"", request.path.encode())

    def _on_fault(self, reply: Reply, fault: GatewayError) -> None:
        self.rejected.append(fault.code or fault.kind)
        refuse(reply, fault)

    @property
    def limiter(self) -> ConnectionLimiter:
        return self.server.limiter

    @property
    def termination(self) -> TlsListener:
        assert self.listener._tls_listener is not None
        return self.listener._tls_listener

    @property
    def port(self) -> int:
        return self.listener.port

    async def client(self, **options: Any) -> RawClient:
        client = await RawClient(self.port, **options).connect()
        self._clients.append(client)
        return client

    async def secure(self, context: ssl.SSLContext, **options: Any) -> SecureClient:
        client = await SecureClient(self.port, context, **options).connect()
        self._clients.append(client)
        return client

    def silent(self, address: str = "127.0.0.1") -> socket.socket:
        """A connection from ``address`` that sends nothing."""
        made = socket.create_connection(("127.0.0.1", self.port), source_address=(address, 0))
        made.setblocking(False)
        self._clients.append(made)
        return made


async def ended(connection: socket.socket) -> bytes:
    """Read from ``connection`` until its end or a reset."""
    loop, rest = asyncio.get_running_loop(), bytearray()

    async def take() -> None:
        try:
            while piece := await loop.sock_recv(connection, 65536):
                rest.extend(piece)
        except ConnectionError:
            pass

    await within(take(), "the connection's end", lambda: bytes(rest))
    return bytes(rest)
