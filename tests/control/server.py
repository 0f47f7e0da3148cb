"""Routes of the control plane on a free port, with a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from proxy.config.schema import Admin
from proxy.config.schema import ServerSettings as Settings
from proxy.control.access.credential import AdminCredential
from proxy.control.access.gate import Gate
from proxy.control.access.throttle import LoginThrottle
from proxy.control.http.requests import RequestBodies
from proxy.control.http.router import ControlRoute, Router
from proxy.errors import ClientFault, ClientGone, GatewayError, Unauthorized
from proxy.identity import Client
from proxy.net.budget import Budget
from proxy.net.clocks import Ticker
from proxy.net.outbox import Outbox
from proxy.responder import refuse
from proxy.server.flush import Flushing
from proxy.server.listener import Listener
from proxy.server.peer_faults import PeerFaults
from proxy.server.request import Request
from proxy.server.server import Server
from tests.support import Answer, RawClient, within
from tests.support.clock import FakeClock

TOKEN = "the-admin-token-of-the-tests"
BEARER = ("Authorization", f"Bearer {TOKEN}")


class ControlServer:
    """``async with ControlServer(lambda plane: [ControlRoute(...), ...]) as plane``. Other paths are a 404 ``not_ours``.

    The header ``x-test-address`` is the client address of a request.
    """

    def __init__(
        self,
        routes: Callable[[ControlServer], Iterable[ControlRoute]],
        *,
        token: str = TOKEN,
        body_timeout: float = 5.0,
        **settings: object,
    ) -> None:
        self._settings = Settings(host="127.0.0.1", port=0, **settings)
        self.clock = clock = FakeClock()
        self.credential = AdminCredential(Admin(token=token), "", clock.wall)
        self.throttle = LoginThrottle(
            self.credential, lambda request: request.headers.get("x-test-address", ""), clock.now, clock.sleep
        )
        self.budget = Budget(10_000_000)
        self.bodies = RequestBodies(self.budget, body_timeout)
        self.warnings: list[dict[str, Any]] = []
        self.statuses: list[int] = []  # of all responses
        gate = Gate(self.credential, self.throttle)
        flush, count = lambda: self.catch_up(), self.statuses.append
        self.router = Router(routes(self), gate, self, identify=self.identify, flush=flush, count=count)
        self._clients: list[RawClient] = []

    async def identify(self, request: Request) -> Client:
        """The header ``x-test-client`` names the client."""
        name = request.headers.get("x-test-client")
        if name is None:
            raise Unauthorized(detail="no credential")
        return Client(f"key:{name}", owner=request.headers.get("x-test-owner", ""))

    def catch_up(self) -> None:
        """Called before each handler."""

    async def __aenter__(self) -> ControlServer:
        loop = asyncio.get_running_loop()
        flushing = Flushing(loop, Ticker(loop), self.budget)
        faults = PeerFaults(self.warning, loop.time)
        server = Server(self._handle, self._settings, refuse, lambda reason: None, Outbox(loop), flushing, faults)
        self._listener = Listener(server, self._settings)
        await self._listener.start()
        self.port = self._listener.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        await within(self._listener.stop(), "the server to stop")
        assert self.budget.used == 0

    async def _handle(self, request: Request) -> None:
        """As ``Serving``, without a guard."""
        router = self.router
        if not router.takes(request.path):
            refuse(request.reply, ClientFault("Not ours.", status=404, code="not_ours"))
            return
        try:
            await router.answer(request)
        except ClientGone:
            pass
        except GatewayError as fault:
            router.refuse(request, fault)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if request.ended_by is None or task is None or task.uncancel() > 0:
                raise
        finally:
            router.settle(request)

    def warning(self, message: str, **fields: Any) -> None:
        """As the log."""
        self.warnings.append(fields)

    async def client(self) -> RawClient:
        client = await RawClient(self.port).connect()
        self._clients.append(client)
        return client

    async def fetch(self, method: str, path: str, *headers: tuple[str, str], **request: object) -> Answer:
        """One request on a connection of its own, without a credential unless ``headers`` hold one."""
        client = await self.client()
        answer = await client.fetch(method, path, headers=headers, **request)
        client.close()
        return answer

    async def ask(self, method: str, path: str, *headers: tuple[str, str], **request: object) -> Answer:
        """The same as the admin."""
        return await self.fetch(method, path, BEARER, *headers, **request)
