"""The path of a request, top to bottom: from the client's head to the settled exchange.

Once per request: ``handle`` and what it calls. Once per attempt: ``_ask``. Per token nothing here runs at
all: the relay works from the provider's read callback (``relay/events.py``).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Literal, NoReturn

from multidict import CIMultiDictProxy, istr

from proxy.config.schema import ServerSettings as Settings
from proxy.dialects.call import Call
from proxy.dialects.openai_call import check as check_call
from proxy.dialects.openai_call import read as read_call
from proxy.dispatch.choice import dispatch_call, dispatch_upload
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.fetching import ListFetcher
from proxy.dispatch.planning import plan_call, plan_form
from proxy.errors import ClientFault, ClientGone, GatewayError, LoopDetected, Overloaded, ShuttingDown, UpgradeRequired
from proxy.exchange import Attempt, Exchange
from proxy.hooks import HookReply, RequestHook, ResponseHook
from proxy.identity import Client
from proxy.observe.bridge import place
from proxy.observe.defects import warn_of_defects
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.responder import BIG_BODY, Responder, refuse
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import MODELS, UNROUTED
from proxy.routing.lists import ListsPending
from proxy.routing.routes import Route, Routes
from proxy.server.body import BodyReader
from proxy.server.connection import Request
from proxy.server.flush import Flush
from proxy.server.form import Form
from proxy.server.guard import HostOriginGuard
from proxy.server.query import check as check_query
from proxy.server.reply import Reply

Handler = Callable[[Responder], Awaitable[None]]
Middleware = Callable[[Handler], Handler]
Page = Callable[[Request], Awaitable[None]]

END_SECS = 5.0  # for what does not heed its interruption, a hook for example

_REQUEST_ID = istr("x-request-id")  # a name that knows its lower case is found for half the price
_VIA = istr("Via")
_request_id = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
# OpenAI serves these over WebSocket, too. Codex goes on over HTTP at once after a 426, and only after that.
_RESPONSES = ("/responses", "/responses/")
_NO_STREAM = (
    "A hook answered a streaming call without an event stream. Where call.stream is true, on_request has to return the"
    " call, a HookReply with an event stream, or a HookReply with an error status."
)
_DEFECT = "The gateway failed to handle this request."
_STOPPING = "The gateway is shutting down."


class Gateway:
    """``handle`` is the server's handler. What ``page_at`` finds for a path is answered first, and is no exchange."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        dispatcher: Dispatcher,
        metrics: Metrics,
        log: Log,
        page_at: Callable[[str], Page | None],
        lists: ListFetcher,
        observers: Observers,
        authenticate: Middleware | None = None,
        limit: Middleware | None = None,
        on_request: RequestHook | None = None,
        on_response: ResponseHook | None = None,
        capture: Callable[[Exchange, Call], None] | None = None,
        trace: Callable[[Exchange, CIMultiDictProxy[str]], None] | None = None,
        report: Callable[[BaseException, str], None] | None = None,
        protect_metrics: bool = False,
        pseudonym: str = "",
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._context = context = dispatcher.context
        self._loop = context.loop
        self.adopt(catalog)
        self._metrics = metrics
        self._log = log
        self._page_at = page_at
        self._lists = lists
        self._on_request = on_request
        self._on_response = on_response
        self._observers = observers
        self._capture = capture  # sees each call, where prompts may be kept
        self._trace = trace  # gives an exchange its place in a trace
        self._report = report  # hears of defects of ours, and in which request they showed
        self._edge = HostOriginGuard(settings, local=bool(settings.unix_socket), protect_metrics=protect_metrics)
        self._routes = Routes(("/v1", settings.base_path))
        self._pseudonym = pseudonym  # in the Via of what this process sends
        self._most = settings.max_in_flight
        self._max_body = int(settings.max_body_mb * 1024 * 1024)
        self._running: dict[Exchange, Request] = {}
        self._idle = asyncio.Event()  # while it stops: nothing runs any more
        self.stopping = False
        # One process is one counter: unique with the random part, and half the price of a UUID.
        self._id_prefix = os.urandom(6).hex()
        self._ids = count(10_000_000)  # of eight digits, for a format that pads costs twice as much
        # The route is known before anything is taken from a bucket, and nobody without a credential learns of routes.
        self._unlimited = self._route_to(self._serve)
        routed = self._unlimited if limit is None else self._route_to(limit(self._serve))
        self._handler = routed if authenticate is None else authenticate(routed)

    def __repr__(self) -> str:
        return f"<Gateway running={len(self._running)}{' stopping' if self.stopping else ''}>"

    @property
    def running(self) -> int:
        """How many exchanges run now."""
        return len(self._running)

    def adopt(self, catalog: Catalog) -> None:
        """New requests go by this catalog; those that run keep theirs."""
        self.catalog = catalog
        self._dispatcher.adopt(catalog)

    # -- once per request -------------------------------------------------------------------------

    async def handle(self, request: Request, client: Client | None = None, lines: bytes = b"") -> None:
        """Answer one request; never raises for what a client or a provider did.

        ``client`` is who asks where that is settled already: a request that the control plane made of one of its own,
        and that nothing limits. Its answer has the header ``lines`` as well.
        """
        page = self._page_at(request.path) if client is None else None
        exchange = Exchange(UNROUTED, self.catalog, self._name(request), self._loop.time())
        responder = Responder(exchange, request, self._on_response)
        handler = self._handler
        try:
            if client is None:
                if request.upgrade or request.method == "CONNECT":
                    _refuse_other_protocols(request)
                if request.rare and _VIA in request.headers:
                    self._check_loop(request)
                responder.cors = self._edge.check(request)
                if page is not None:
                    await page(request)
                    return
                if responder.cors and self._edge.preflight(request, responder.cors):
                    return
            else:
                exchange.caller, responder.cors, handler = client, lines, self._unlimited
            if self.stopping or len(self._running) >= self._most:
                self._turn_away(request)
            self._running[exchange] = request
            self._metrics.in_flight += 1
            if self._trace is not None:
                self._trace(exchange, request.headers)
            await handler(responder)
            if request.writing_paused and not request.gone:
                responder.forget_request()
                await self._flush(responder)
        except ClientGone:
            self._abandon(responder, "client_gone")
        except GatewayError as fault:
            self._refuse(responder, fault)
            if page is not None and fault.detail:  # a page has no line of its own in the log
                self._log.warning("A page was refused.", path=request.path, code=fault.code, detail=fault.detail)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if request.ended_by is None or task is None or task.uncancel() > 0:
                self._abandon(responder, "cancelled")
                raise
            # Only the request was ended, its connection goes on.
            if isinstance(request.ended_by, GatewayError):
                self._refuse(responder, request.ended_by)
            else:
                self._abandon(responder, "client_gone")
        except Exception as exc:
            self._report_defect(exc, exchange)
            self._refuse(responder, GatewayError(_DEFECT))
        finally:
            if page is None:
                responder.release_body()
                self._settle(exchange, request)

    def _refuse(self, responder: Responder, fault: GatewayError) -> None:
        """A hook that fails here is not asked again: the client gets a plain error, or a cut."""
        try:
            responder.refuse(fault)
        except Exception as exc:
            self._report_defect(exc, responder.exchange)
            reply = responder.request.reply
            if reply.begun:
                reply.abort()
            else:
                refuse(reply, GatewayError(_DEFECT))

    def _abandon(self, responder: Responder, outcome: Literal["client_gone", "cancelled"]) -> None:
        """The exchange ends without an answer."""
        responder.exchange.outcome = outcome
        try:
            responder.wrap_outlet()  # a hook may wait for it
        except Exception as exc:
            self._report_defect(exc, responder.exchange)

    def _report_defect(self, exc: Exception, exchange: Exchange) -> None:
        self._log.error("A request failed inside the gateway.", request_id=exchange.request_id, exception=place(exc))
        if self._report is not None:
            self._report(exc, exchange.request_id)

    def _name(self, request: Request) -> str:
        if request.rare:
            given = request.headers.get(_REQUEST_ID)
            if given is not None and _request_id(given):
                return given
        return f"{self._id_prefix}{next(self._ids)}"

    def _check_loop(self, request: Request) -> None:
        """Raises LoopDetected for a request of our own. Gateways in a row, one of them twice, are none."""
        if self._pseudonym and any(self._pseudonym in value for value in request.headers.getall(_VIA)):
            raise LoopDetected

    def _turn_away(self, request: Request) -> NoReturn:
        if self.stopping:
            request.reply.keep_alive = False
            raise Overloaded(_STOPPING, code="shutting_down")
        raise Overloaded("The gateway serves as many requests as it may.")

    async def _flush(self, responder: Responder) -> None:
        """The client is slow to take the last of a large answer."""
        exchange, context = responder.exchange, self._context
        flow = Flush(responder.request, context.budget, self._loop)
        try:
            await flow.run(context.ticker, responder.client_stall)
        except ClientGone:
            if flow.stalled:
                exchange.error = "timeout_clientStall"
            raise
        except GatewayError:
            exchange.outcome = "cancelled"
            raise

    def _settle(self, exchange: Exchange, request: Request) -> None:
        """Once per exchange, synchronously, whatever happened: nothing about it may be lost.

        Exact observers see it whole. Lossy ones may keep it for long: what leads to a body or a catalog is dropped.
        """
        reply = request.reply
        exchange.ended = self._loop.time()
        exchange.status = reply.status
        exchange.bytes_out = reply.bytes_out
        if not exchange.client:
            exchange.client = request.remote
        if not exchange.outcome:
            exchange.outcome = "ok" if reply.status < 400 else "error"
        if self._running.pop(exchange, None) is not None:
            self._metrics.in_flight -= 1
            if self.stopping and not self._running:
                self._idle.set()
        if exchange.endpoint is UNROUTED:  # refused before its route was looked up, or without one
            exchange.endpoint = self._routes.endpoint_of(request.method, request.path, exchange.catalog)
        observers = self._observers
        if observers.exact:
            observers.offer(exchange)
        reservation = exchange.reservation
        if reservation is not None:
            reservation.settle(exchange)
            exchange.reservation = None
        if exchange.fault is not None:
            exchange.fault = None
        del exchange.catalog
        if exchange.dropped_events or exchange.lenient_events:
            warn_of_defects(self._log, exchange)
        observers.put(exchange)

    def _route_to(self, handler: Handler) -> Handler:
        """A handler that finds the route, and calls ``handler`` only for what a provider has to answer."""
        find, serve_models = self._routes.find, self._serve_models

        def routed(responder: Responder) -> Awaitable[None]:
            exchange, request = responder.exchange, responder.request
            responder.route = route = find(request.method, request.path, exchange.catalog)
            exchange.endpoint = route.endpoint
            if route.endpoint is MODELS:
                return serve_models(responder, route)
            return handler(responder)

        return routed

    def _serve(self, responder: Responder) -> Awaitable[None]:
        # No coroutine of its own: each level is entered anew whenever what it waits for has come.
        request, route = responder.request, responder.route
        endpoint = route.endpoint
        reader = responder.body = BodyReader(
            request,
            limit=self._max_body,
            timeout=self._settings.body_timeout_secs,
            budget=self._context.budget,
        )
        if endpoint.body == "json":
            body = reader.taken()
            if body is None or len(body) > BIG_BODY or self._on_request is not None:
                return self._serve_slowly(responder, route, reader, body)
            return self._dispatch(responder, route, read_call(body))  # the usual case
        if endpoint.body == "multipart":
            reader.admit()
            return self._serve_form(responder, route, reader)
        reader.admit(decode=False)
        return self._serve_opaque(responder, route, reader)

    async def _serve_models(self, responder: Responder, route: Route) -> None:
        catalog = responder.exchange.catalog
        await self._lists.wait(catalog.stale_lists(self._dispatcher.now()))
        await responder.models(catalog, route.path)

    async def _serve_slowly(self, responder: Responder, route: Route, reader: BodyReader, body: bytes | None) -> None:
        """A call whose body is still on its way, or large, or that a hook wants to see."""
        exchange = responder.exchange
        if body is None:
            reader.admit()
            body = await reader.whole()
        big = len(body) > BIG_BODY
        if big:
            await asyncio.sleep(0)
            for _ in check_call(body):
                await asyncio.sleep(0)
        call = read_call(body, checked=big)
        del body  # the call has it, and lets it go
        if self._on_request is not None:
            call.stream |= route.endpoint.force_stream
            exchange.model, exchange.stream = call.model or "", call.stream
            result = await self._on_request(exchange, call)
            if isinstance(result, HookReply):
                streams = call.stream and route.endpoint.streams and result.status < 400
                if streams and result.media_type != b"text/event-stream":
                    self._log.error(_NO_STREAM, request_id=exchange.request_id)
                    raise GatewayError(_NO_STREAM, code="hook_reply_is_no_stream")
                responder.wrap_outlet()
                await responder.send(result)
                return
            call = result
        if big:
            await asyncio.sleep(0)
        await self._dispatch(responder, route, call)

    def _dispatch(self, responder: Responder, route: Route, call: Call, waited: bool = False) -> Awaitable[None]:
        exchange = responder.exchange
        if route.endpoint.force_stream:
            call.stream = True
        if route.model:
            call.use_model(route.model)
        exchange.model = call.model or ""
        exchange.stream = call.stream
        if self._on_response is not None:
            responder.wrap_outlet()
        try:
            plan = plan_call(self._dispatcher, responder, call, route.pinned, waited)
        except ListsPending as pending:
            return self._dispatch_listed(responder, route, call, pending)
        if exchange.reservation is not None:
            exchange.reservation.set_call(route.endpoint, call)
        if self._capture is not None:
            self._capture(exchange, call)
        responder.call = call
        return dispatch_call(self._dispatcher, responder, plan, call)

    async def _dispatch_listed(self, responder: Responder, route: Route, call: Call, pending: ListsPending) -> None:
        """A call whose model only the providers' own lists may know."""
        await self._lists.wait(pending.providers)
        await self._dispatch(responder, route, call, waited=True)

    async def _serve_form(self, responder: Responder, route: Route, reader: BodyReader) -> None:
        responder.wrap_outlet()
        form = Form(reader, responder.request.headers.get("Content-Type", ""))
        try:
            model = await form.find_model()
            named = route.model or model
            exchange = responder.exchange
            exchange.model = named or ""
            try:
                plan = plan_form(self._dispatcher, responder, named, route.pinned)
            except ListsPending as pending:
                await self._lists.wait(pending.providers)
                plan = plan_form(self._dispatcher, responder, named, route.pinned, waited=True)
            if exchange.reservation is not None:
                exchange.reservation.set_call(route.endpoint, None)

            def body(attempt: Attempt) -> tuple[AsyncIterator[bytes], int | None]:
                upstream = attempt.deployment.upstream_model or route.model or None
                changed = upstream if model != upstream else None
                return form.pieces(changed), form.length(changed)

            await dispatch_upload(self._dispatcher, responder, plan, route, body)
        finally:
            form.close()

    async def _serve_opaque(self, responder: Responder, route: Route, reader: BodyReader) -> None:
        assert route.pinned is not None
        responder.wrap_outlet()
        exchange = responder.exchange
        if exchange.caller is not None and not exchange.caller.passthrough:
            raise ClientFault(
                "Paths that are relayed untouched need a credential with the scope passthrough.",
                status=403,
                code="scope_missing",
            )
        if responder.request.query:
            check_query(responder.request.query, opaque=True)
        plan = exchange.catalog.opaque_plan(route.pinned, exchange.access, self._dispatcher.random)
        await dispatch_upload(
            self._dispatcher, responder, plan, route, lambda attempt: (reader.untouched(), reader.declared)
        )

    def refuse_bytes(self, reply: Reply, fault: GatewayError) -> None:
        """Answer what never became a request: bytes that are no HTTP, a head that does not end."""
        self._metrics.reject(fault.code or fault.kind)
        refuse(reply, fault)

    # -- stopping ---------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Let what runs finish, then end each exchange cleanly. New requests get 503 from now on."""
        self.stopping = True
        if await self._rests_within(seconds):
            return
        for request in list(self._running.values()):
            request.interrupt(ShuttingDown("Request cancelled: server is shutting down"))
        if not await self._rests_within(END_SECS):
            self._log.warning("Some requests could not be ended in good order.", requests=len(self._running))

    async def _rests_within(self, seconds: float) -> bool:
        """Whether nothing runs any more, at the latest after ``seconds``."""
        if not self._running:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


def _refuse_other_protocols(request: Request) -> None:
    if request.method == "CONNECT":
        raise ClientFault("The gateway is no forward proxy.", status=405, code="method_not_allowed", allow="GET, POST")
    if request.headers.get("Upgrade", "").lower() == "websocket":
        if request.path.endswith(_RESPONSES):
            raise UpgradeRequired
        raise GatewayError("The gateway does not relay WebSocket connections.", status=501, code="no_websocket")
