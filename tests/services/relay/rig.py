"""A relayed request without sockets: the services and the client are played, all between them is real."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from multidict import CIMultiDict, CIMultiDictProxy

from proxy.addresses.book import AddressBook
from proxy.addresses.live import LiveAddress
from proxy.client.connection import ReadBuffer, UpstreamConnection
from proxy.client.dial import Origin
from proxy.config.provider_schema import Tls
from proxy.config.service_schema import RouteRetries, RouteSettings, ServerAddress, ServiceSettings
from proxy.config.timeouts import SERVICE, Clocks
from proxy.errors import ConnectFailed
from proxy.net.address import TrustedProxies
from proxy.net.budget import Budget
from proxy.net.clocks import Ticker
from proxy.net.outbox import Outbox
from proxy.relay.context import TransportContext
from proxy.server.reply import Reply
from proxy.services.exchange import ServiceExchange
from proxy.services.live_service import LiveService
from proxy.services.relay.context import RelayContext
from proxy.services.relay.relayed import RelayedRequest
from proxy.services.relay.request_head import RequestHeads
from proxy.services.relay.retries import RetryBudget
from proxy.services.relay.route_rules import RouteRules
from proxy.services.table.route import ServiceRoute

OK = b"HTTP/1.1 200 OK\r\n"
VIA = b"Via: 1.1 me\r\n"


class Wire(asyncio.Transport):
    """A socket that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = self.paused = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data: Any) -> None:
        self.written += b"".join(list_of_data)

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Line:
    """A connection to a service; the test plays the service."""

    def __init__(self, rig: RelayRig, origin: Origin, uses: int = 0) -> None:
        self.wire = Wire()
        self.lost = False
        self._buffer = rig.buffer
        self._outbox = rig.outbox
        self.connection = UpstreamConnection(origin, rig.loop, rig.buffer, rig.outbox, self._ended)
        self.connection.connection_made(self.wire)
        self.connection.uses = uses

    @property
    def sent(self) -> bytes:
        """What the service has got."""
        self._outbox.flush()
        return self.wire.written

    def read(self, *reads: bytes) -> None:
        """The service's bytes arrive, in these reads."""
        for data in reads:
            if self.wire.aborted:
                return
            self._buffer.memory[: len(data)] = data
            self.connection.buffer_updated(len(data))

    def close(self, why: Exception | None = None) -> None:
        self.connection.connection_lost(why)

    def _ended(self, connection: UpstreamConnection) -> None:
        self.lost = True


class Pool:
    """``idle`` lines by address are taken first; others are opened, unless the address is in ``down``."""

    def __init__(self, rig: RelayRig) -> None:
        self._rig = rig
        self.idle: dict[str, list[Line]] = {}
        self.down: set[str] = set()
        self.opened: list[Line] = []
        self.released: list[UpstreamConnection] = []

    def take(self, origin: Origin, now: float) -> UpstreamConnection | None:
        lines = self.idle.get(origin.host)
        return lines.pop().connection if lines else None

    async def open(self, origin: Origin, timeout: float) -> UpstreamConnection:
        if origin.host in self.down:
            raise ConnectFailed("The provider could not be reached.")
        line = Line(self._rig, origin)
        self.opened.append(line)
        return line.connection

    def release(self, connection: UpstreamConnection) -> None:
        self.released.append(connection)


class RelayRig:
    """One request to the service ``s``, which has an idle connection to each of ``hosts``."""

    def __init__(
        self,
        *hosts: str,
        method: str = "GET",
        http10: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
        retries: RouteRetries | None = None,
        service: ServiceSettings | None = None,
        clocks: Clocks = SERVICE,
    ) -> None:
        self.loop = loop = asyncio.get_running_loop()
        self.buffer, self.outbox = ReadBuffer(), Outbox(loop)
        self.pool = Pool(self)
        self.ticker, self.budget = Ticker(loop), Budget(10**6)
        self.book = AddressBook()
        settings = service or ServiceSettings()
        addresses = [ServerAddress(url=f"http://{host}") for host in hosts or ("a",)]
        self.book.put("s", settings, addresses, loop.time())
        self.service = LiveService("s", settings, clocks, "file", 1.0, self.book)
        self.lines = {
            each.settings.url[7:]: Line(self, Origin("http", each.settings.url[7:], 80, Tls()), uses=1)
            for each in self.addresses
        }
        self.pool.idle = {host: [line] for host, line in self.lines.items()}
        self.client = Wire()
        self.reply = Reply(self.client, http10=http10, head_only=method == "HEAD", keep_alive=True)
        self.request = SimpleNamespace(
            method=method,
            query="",
            gone=False,
            flow=None,
            unsent=0,
            reply=self.reply,
            response_lines=b"",
            http11=not http10,
            headers=CIMultiDictProxy(CIMultiDict(headers)),
        )
        transport = TransportContext(
            loop, self.ticker, cast(Any, self.pool), self.budget, cast(Any, None), 1000, 0.0, 0.0
        )
        self.retries = RetryBudget()
        relay = RelayContext(transport, RequestHeads(TrustedProxies(), "me"), VIA, 60.0, self.retries, Random(1))
        route = ServiceRoute.of(
            "r", RouteSettings(path="/", service="s", retries=retries or RouteRetries()), "file", (0, "")
        )
        self.exchange = ServiceExchange("i", method, "/x", loop.time())
        self.relayed = RelayedRequest(
            relay,
            cast(Any, self.request),
            self.exchange,
            self.service,
            RouteRules.of(route, credentials=True),
            "/x",
            "gateway",
            b"A: b\r\n",
            VIA,
        )

    @property
    def addresses(self) -> tuple[LiveAddress, ...]:
        return self.service.group.addresses

    @property
    def asked(self) -> Line:
        """The line with the running request."""
        found = [line for line in (*self.lines.values(), *self.pool.opened) if line.connection.sink is not None]
        assert len(found) == 1, found
        return found[0]

    @property
    def answer(self) -> bytes:
        """What the client has got."""
        return self.client.written

    async def over(self) -> BaseException | None:
        """The end of the request; what it ended with, if that is an error."""
        outcome = self.relayed._outcome
        assert outcome is not None
        await asyncio.wait((outcome,), timeout=30)
        assert outcome.done(), "the request does not end"
        error = outcome.exception()
        self.relayed.finish()
        return error
