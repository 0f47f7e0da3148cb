"""What a listener hands new sockets to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.config.schema import ServerSettings as Settings
from proxy.errors import GatewayError
from proxy.net.outbox import Outbox
from proxy.server import aiohttp_internals
from proxy.server.connection import Connection
from proxy.server.connection_limit import ConnectionLimiter
from proxy.server.flush import Flushing
from proxy.server.peer_faults import PeerFaults
from proxy.server.reply import Reply
from proxy.server.request import Request


class Server(web.Server):
    """Makes a ``Connection`` for each client.

    ``on_fault`` answers bytes that are no request with an error, and counts it. ``rejected`` counts, by the error's
    code, clients that get no answer; ``faults`` logs some of them. Replies go through ``outbox``; ``flushing`` waits
    for slow clients.
    Raises ConfigError if aiohttp's version does not fit.
    """

    def __init__(
        self,
        handler: Callable[[Request], Awaitable[None]],
        settings: Settings,
        on_fault: Callable[[Reply, GatewayError], None],
        rejected: Callable[[str], None],
        outbox: Outbox,
        flushing: Flushing,
        faults: PeerFaults,
    ) -> None:
        aiohttp_internals.check()
        super().__init__(handler)  # type: ignore[arg-type]  # our handler takes our Request
        self._settings = settings
        self.on_fault = on_fault
        self.outbox = outbox
        self.flushing = flushing
        self.faults = faults
        self.limiter = ConnectionLimiter(settings, on_fault, rejected)

    def __call__(self, remote: str = "") -> Connection:
        """A connection over plain TCP or a unix socket. ``remote``: the client's address; ``""``: the peer's."""
        return Connection(self, asyncio.get_running_loop(), self._settings, remote, secure=False)

    def over_tls(self, remote: str, certificate_name: str = "") -> Connection:
        """A connection over TLS, for a client that was admitted already."""
        loop = asyncio.get_running_loop()
        return Connection(self, loop, self._settings, remote, certificate_name, secure=True)
