"""The entry point: ``Serving.handle`` is called for every request of every listener.

It checks the protocol, host and origin of a request, and limits how many run. The first handler that begins a request
answers it. Any exception becomes an error for the client. At the end the handler settles the request.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

from multidict import istr

from proxy.config.schema import ServerSettings as Settings
from proxy.errors import ClientFault, ClientGone, GatewayError, LoopDetected, Overloaded, ShuttingDown, UpgradeRequired
from proxy.observe.bridge import place
from proxy.observe.log import Log
from proxy.responder import refuse
from proxy.server.guard import HostOriginGuard
from proxy.server.outlet import Outlet
from proxy.server.reply import Reply
from proxy.server.request import Request

END_SECS = 5.0  # after the drain, for handlers that ignore their cancellation

_VIA = istr("Via")  # caches its lower case, which halves the cost of a lookup
# OpenAI serves these over WebSocket, too. Codex falls back to HTTP at once after a 426, and only after that.
_RESPONSES = ("/responses", "/responses/")

Work = TypeVar("Work")  # a handler's state of one request


class Handler(ABC, Generic[Work]):
    """Base class for what answers one kind of request.

    The calls for each request: ``begin``, ``answer``, at most one of ``refuse`` and ``abandon``, and ``settle``.
    """

    paths: Sequence[str] = ()  # exact paths of frequent requests: they are found by one lookup
    bounded: ClassVar[bool]  # counts against ``maxInFlight``, is drained, and is refused during a stop
    cross_origin: ClassVar[bool]  # web pages of other origins may use it: CORS preflights are answered
    relays: ClassVar[bool] = False  # to services, which answer CORS preflights; ``check_relayed`` is called

    @abstractmethod
    def begin(self, request: Request) -> Work | None:
        """Make the state of a request, which the other methods get as ``work``; ``None``: it is for another handler.

        Never ``None`` for one of ``paths``.
        """

    @abstractmethod
    def answer(self, work: Work) -> Awaitable[None]:
        """Answer the request. Raises GatewayError, ClientGone."""

    def outlet(self, work: Work) -> Outlet:
        """Where the answer goes. Needed with ``cross_origin`` only, for the answers to CORS preflights."""
        raise NotImplementedError

    def check_relayed(self, work: Work, guard: HostOriginGuard) -> bytes:
        """Check Host and Origin. Needed with ``relays`` only. Raises ClientFault. Returns header lines of CORS."""
        raise NotImplementedError

    async def flush(self, work: Work) -> None:
        """Wait until a slow client has read its answer. Raises ClientGone, GatewayError."""

    @abstractmethod
    def refuse(self, work: Work, fault: GatewayError) -> None:
        """Send ``fault`` to the client, if an answer can still be sent."""

    def abandon(self, work: Work, outcome: Literal["client_gone", "cancelled"]) -> None:
        """Note that the request ends without an answer."""

    def settle(self, work: Work) -> None:
        """Account for the request. Runs once, last, synchronously, whatever happened."""

    @abstractmethod
    def log_fields(self, work: Work) -> dict[str, str]:
        """What identifies the request in the log: ``request_id`` or ``path``."""


class Serving:
    """Wrapper of all requests: a listener calls ``handle`` for each."""

    def __init__(
        self,
        settings: Settings,
        handlers: Sequence[Handler[Any]],
        log: Log,
        *,
        reject: Callable[[str], None],
        pseudonym: str = "",
        report: Callable[[BaseException, str], None] | None = None,
        protect_metrics: bool = False,
    ) -> None:
        """The first handler that begins a request answers it; the last handler must begin every request.

        ``reject`` counts malformed requests, by error code. ``pseudonym`` names this process in ``Via``. ``report``
        gets internal errors, with the request ID. ``protect_metrics``: a scrape needs the admin token.
        """
        self.use(*handlers)
        self._guard = HostOriginGuard(settings, local=bool(settings.unix_socket), protect_metrics=protect_metrics)
        self._log = log
        self._max_in_flight = settings.max_in_flight
        self._reject = reject
        self._pseudonym = pseudonym
        self._report = report
        self._running: dict[object, Request] = {}  # by the state that their handlers made
        self._idle = asyncio.Event()  # set once nothing runs during a stop
        self._serves_on = False  # while stopping, before the drain
        self.stopping = False  # /ready says so

    def __repr__(self) -> str:
        return f"<Serving running={len(self._running)}{' stopping' if self.stopping else ''}>"

    def use(self, *handlers: Handler[Any]) -> None:
        """Replace the handlers before the first request. For handlers that are made with this object."""
        self._handlers = handlers
        self._by_path: dict[str, Handler[Any]] = {
            path: handler for handler in reversed(handlers) for path in handler.paths
        }

    @property
    def running(self) -> int:
        """Number of bounded requests that run."""
        return len(self._running)

    # -- once per request -------------------------------------------------------------------------

    async def handle(self, request: Request, begun: tuple[Handler[Any], object] | None = None) -> None:
        """Answer one request. Raises only CancelledError.

        ``begun``: handler and state of a request that another handler has made and checked.
        """
        if begun is None:
            known = self._by_path.get(request.path)
            handler, work = self._begun(request) if known is None else (known, known.begin(request))
        else:
            handler, work = begun
        try:
            if begun is None:
                if request.upgrade or request.method == "CONNECT":
                    _refuse_other_protocols(request, relayed=handler.relays)
                if request.rare and _VIA in request.headers:
                    self._check_loop(request)
                guard = self._guard
                cors = handler.check_relayed(work, guard) if handler.relays else guard.check(request)
                if cors:
                    request.response_lines = cors
                    if handler.cross_origin and (lines := guard.preflight(request)):
                        handler.outlet(work).send(204, lines)
                        return
            if handler.bounded:
                if self.stopping or len(self._running) >= self._max_in_flight:
                    self._turn_away(request)
                self._running[work] = request
            await handler.answer(work)
            if request.writing_paused and not request.gone:
                await handler.flush(work)
        except ClientGone:
            self._abandon(handler, work, "client_gone")
        except GatewayError as fault:
            self._refuse(handler, work, request, fault)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if request.ended_by is None or task is None or task.uncancel() > 0:
                self._abandon(handler, work, "cancelled")
                raise
            # Only the request was ended; its connection stays open.
            if isinstance(request.ended_by, GatewayError):
                self._refuse(handler, work, request, request.ended_by)
            else:
                self._abandon(handler, work, "client_gone")
        except Exception as exc:
            self._log_defect(handler, work, exc)
            self._refuse(handler, work, request, _defect())
        finally:
            if self._running.pop(work, None) is not None and self.stopping and not self._running:
                self._idle.set()
            handler.settle(work)

    def refuse_bytes(self, reply: Reply, fault: GatewayError) -> None:
        """Answer a malformed request, or a head that did not arrive in time."""
        self._reject(fault.code or fault.kind)
        refuse(reply, fault)

    def _begun(self, request: Request) -> tuple[Handler[Any], object]:
        for handler in self._handlers:
            work = handler.begin(request)
            if work is not None:
                return handler, work
        raise RuntimeError("The last handler must begin every request.")

    def _check_loop(self, request: Request) -> None:
        """Raises LoopDetected for a request that this process has sent. Two gateways in a row are no loop."""
        if self._pseudonym and any(self._pseudonym in value for value in request.headers.getall(_VIA)):
            raise LoopDetected

    def _turn_away(self, request: Request) -> None:
        """Raises Overloaded, except in the shutdown delay: then only the connection ends with the answer."""
        if self.stopping:
            request.reply.keep_alive = False
            if not self._serves_on:
                raise Overloaded("The gateway is shutting down.", code="shutting_down")
        if len(self._running) >= self._max_in_flight:
            raise Overloaded(f"Too many concurrent requests (limit {self._max_in_flight}).")

    def _refuse(self, handler: Handler[Any], work: object, request: Request, fault: GatewayError) -> None:
        try:
            handler.refuse(work, fault)
        except Exception as exc:  # a hook failed: send a plain error, or cut the connection
            self._log_defect(handler, work, exc)
            if request.reply.begun:
                request.reply.abort()
            else:
                refuse(request.reply, _defect())

    def _abandon(self, handler: Handler[Any], work: object, outcome: Literal["client_gone", "cancelled"]) -> None:
        try:
            handler.abandon(work, outcome)
        except Exception as exc:  # a hook failed
            self._log_defect(handler, work, exc)

    def _log_defect(self, handler: Handler[Any], work: object, exc: Exception) -> None:
        fields = handler.log_fields(work)
        self._log.error("A request failed inside the gateway.", **fields, exception=place(exc))
        if self._report is not None:
            self._report(exc, fields.get("request_id", ""))

    # -- stopping ---------------------------------------------------------------------------------

    def announce_stop(self) -> None:
        """Let health checks fail, and serve requests until ``drain``."""
        self.stopping = self._serves_on = True

    async def drain(self, seconds: float) -> None:
        """Let running requests finish for ``seconds``, then end each. From now on new requests get a 503."""
        self.stopping, self._serves_on = True, False
        self._idle.clear()
        if not await self._idle_within(seconds):
            await self.end(END_SECS)

    async def end(self, seconds: float) -> None:
        """End each running request, and wait up to ``seconds`` until they are settled. New requests get a 503."""
        self.stopping, self._serves_on = True, False
        self._idle.clear()
        for request in list(self._running.values()):
            request.interrupt(ShuttingDown("Request cancelled: server is shutting down"))
        if not await self._idle_within(seconds):
            self._log.warning("Some requests could not be ended.", requests=len(self._running))

    async def _idle_within(self, seconds: float) -> bool:
        if not self._running:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


def _defect() -> GatewayError:
    return GatewayError("The gateway failed to handle this request.")


def _refuse_other_protocols(request: Request, *, relayed: bool) -> None:
    """Raises GatewayError for CONNECT and WebSocket. Any other ``Upgrade`` may be ignored (RFC 9110, 7.8)."""
    if request.method == "CONNECT":
        raise ClientFault(
            "The gateway is not a forward proxy.", status=405, code="method_not_allowed", allow="GET, POST"
        )
    if request.headers.get("Upgrade", "").lower() == "websocket":
        if request.path.endswith(_RESPONSES) and not relayed:
            raise UpgradeRequired
        raise GatewayError("The gateway does not relay WebSocket connections.", status=501, code="no_websocket")
