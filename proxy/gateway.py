"""The path of a model call, top to bottom: from the request's head to the settled exchange.

``Serving`` calls ``begin``, ``answer`` and ``settle``. ``answer`` runs the middlewares (authentication, limits). Then
``_serve`` reads the body, ``_dispatch`` plans the candidates, and ``dispatch/`` tries them. No code here runs per
token: the relay runs in the provider's read callback.

Functions that return an awaitable are deliberately not coroutines: a task that resumes enters every level of its
coroutines again.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Literal

from multidict import CIMultiDictProxy, istr

from proxy.billing import bill
from proxy.config.schema import ServerSettings as Settings
from proxy.dialects.call import Call
from proxy.dialects.patches.base import prepare
from proxy.dispatch.choice import DispatchCall, dispatch_call
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.list_fetcher import ListFetcher
from proxy.dispatch.planning import plan_call
from proxy.dispatch.uploads import dispatch_form, dispatch_opaque
from proxy.errors import ClientGone, GatewayError
from proxy.exchange import Exchange
from proxy.hooks import HookReply, RequestHook, ResponseHook
from proxy.identity import Client
from proxy.observe.defects import warn_of_defects
from proxy.observe.log import Log
from proxy.observe.observers import Observers
from proxy.responder import BIG_BODY, Responder
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import UNROUTED
from proxy.routing.lists import ListsPending
from proxy.routing.routes import Route, Routes, client_of
from proxy.server.body import BodyReader
from proxy.server.event_array import EventArray, wants_events
from proxy.server.flush import Flush
from proxy.server.outlet import Outlet
from proxy.server.request import Request
from proxy.serving import Handler
from proxy.wire.attribution import budget_of, labels_of, parent_of, run_of

Answer = Callable[[Responder], Awaitable[None]]
Middleware = Callable[[Answer], Answer]

_REQUEST_ID = istr("x-request-id")  # caches its lower case, which halves the cost of a lookup
_request_id = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
_NO_STREAM = (
    "A hook answered a streaming call without an event stream. If call.stream is true, on_request must return the"
    " call, a HookReply with an event stream, or a HookReply with an error status."
)


class Gateway(Handler[Responder]):
    """Handler of model calls, lists of models, and passthrough paths. It takes every path."""

    bounded = True
    cross_origin = True

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        dispatcher: Dispatcher,
        log: Log,
        lists: ListFetcher,
        observers: Observers,
        authenticate: Middleware | None = None,
        limit: Middleware | None = None,
        on_request: RequestHook | None = None,
        on_response: ResponseHook | None = None,
        trace: Callable[[Exchange, CIMultiDictProxy[str]], None] | None = None,
    ) -> None:
        """``trace`` sets the trace context of an exchange from the request's headers."""
        self._dispatcher = dispatcher
        self._context = dispatcher.context
        self._loop = dispatcher.context.loop
        self.adopt(catalog)
        self._log = log
        self._lists = lists
        self._on_request = on_request
        self._on_response = on_response
        self._observers = observers
        self.capture: Callable[[Exchange, Call], None] | None = None  # called with each call, if prompts are captured
        self.learn_run: Callable[[str, str], Awaitable[None] | None] | None = None  # with each run and its parent
        self.renew: Callable[[], None] = _nothing  # compiles the catalog again if addresses or lists changed
        self.dispatch_call: DispatchCall = dispatch_call  # or the cache, which stands before it
        self.uncached_lines = b""  # header lines of answers that the cache has no part in, if it is on
        self._trace = trace
        self._body_timeout = settings.body_timeout_secs
        self._max_body = int(settings.max_body_mb * 1024 * 1024)
        # Unique by the random part. One process has one counter; a UUID costs twice as much.
        self._id_prefix = os.urandom(6).hex()
        self._ids = count(10_000_000)  # always eight digits; padding would cost twice as much
        self._routes = Routes(("/v1", settings.base_path))
        self.paths = tuple(self._routes.posted)
        # Routes are found after authentication, so that no path is disclosed without it, and before limits count.
        limited = self._serve if limit is None else limit(self._serve)
        self._routed = limited if authenticate is None else authenticate(limited)
        unrouted = self._find_route(limited)
        self._unrouted = unrouted if authenticate is None else authenticate(unrouted)
        self._trusted = self._find_route(self._serve)

    def adopt(self, catalog: Catalog) -> None:
        """New requests use this catalog. Running ones keep theirs."""
        self.catalog = catalog
        self._dispatcher.adopt(catalog)

    # -- once per request -------------------------------------------------------------------------

    def begin(self, request: Request) -> Responder:
        given = request.headers.get(_REQUEST_ID) if request.rare else None
        request_id = given if given and _request_id(given) else f"{self._id_prefix}{next(self._ids)}"
        route = self._routes.posted.get(request.path) if request.method == "POST" else None
        endpoint = UNROUTED if route is None else route.endpoint
        exchange = Exchange(endpoint, self.catalog, request_id, self._loop.time())
        if request.attributed:
            exchange.run = run = run_of(request.headers)
            exchange.run_parent = parent_of(request.headers, run)
        return Responder(exchange, request, request.reply, route, self._on_response)

    def begin_as(self, client: Client, request: Request) -> tuple[Handler[Responder], Responder]:
        """Begin a request that the control plane makes, for ``client``. No limit applies to it."""
        responder = self.begin(request)
        responder.exchange.caller = client
        return self, responder

    def answer(self, responder: Responder) -> Awaitable[None]:
        exchange = responder.exchange
        if self._trace is not None:
            self._trace(exchange, responder.request.headers)
        if exchange.caller is not None:
            return self._trusted(responder)
        return self._unrouted(responder) if responder.route is None else self._routed(responder)

    def outlet(self, responder: Responder) -> Outlet:
        responder.wrap_outlet()
        return responder.outlet

    async def flush(self, responder: Responder) -> None:
        """Wait until the client has read its answer."""
        responder.release_request()
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

    def refuse(self, responder: Responder, fault: GatewayError) -> None:
        if responder.exchange.endpoint is UNROUTED:  # refused before its route was found, or without one
            self._find_endpoint(responder)
        _bypass(responder, self.uncached_lines)
        responder.refuse(fault)

    def abandon(self, responder: Responder, outcome: Literal["client_gone", "cancelled"]) -> None:
        responder.exchange.outcome = outcome
        responder.wrap_outlet()  # ``on_response`` runs once per exchange, for this one as well

    def settle(self, responder: Responder) -> None:
        """Account for the exchange, and report it.

        Exact observers get it whole. The others may keep it, so they get it last, final and without its catalog.
        """
        exchange, request = responder.exchange, responder.request
        reply = request.reply
        exchange.ended = self._loop.time()
        exchange.status = reply.status
        exchange.bytes_out = reply.bytes_out
        body = responder.body
        if body is not None:
            exchange.bytes_in = body.received
            if body.held > BIG_BODY and responder.call is not None:
                responder.call.release()  # an error's traceback would keep it until the next collection
            body.release()
        if not exchange.client:
            exchange.client = request.remote
        if not exchange.outcome:
            exchange.outcome = "ok" if reply.status < 400 else "error"
        if exchange.endpoint is UNROUTED:  # canceled before its route was found
            self._find_endpoint(responder)
        bill(exchange)
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

    def log_fields(self, responder: Responder) -> dict[str, str]:
        return {"request_id": responder.exchange.request_id}

    # -- behind the middlewares -------------------------------------------------------------------

    def _find_route(self, answer: Answer) -> Answer:
        """Return an ``answer`` that first finds the route of a request that is not in ``Routes.posted``."""

        def routed(responder: Responder) -> Awaitable[None]:
            exchange, request = responder.exchange, responder.request
            client = client_of(request.headers)
            route = self._routes.find(request.method, request.path, exchange.catalog, client)
            responder.route, exchange.endpoint = route, route.endpoint
            if route.endpoint.in_path and route.endpoint.force_stream and not wants_events(request.query):
                responder.outlet = EventArray(responder.outlet)
            return self._serve_models(responder, route) if route.endpoint.kind == "models" else answer(responder)

        return routed

    def _find_endpoint(self, responder: Responder) -> None:
        """Find the endpoint for an exchange without a route: its errors are in the client's dialect."""
        exchange, request = responder.exchange, responder.request
        client = client_of(request.headers)
        exchange.endpoint = self._routes.endpoint_of(request.method, request.path, exchange.catalog, client)

    def _serve(self, responder: Responder) -> Awaitable[None]:
        """Read the body if it is complete, and dispatch the call. Raises ClientFault."""
        request, route = responder.request, responder.route
        assert route is not None
        if request.attributed:
            exchange = responder.exchange
            exchange.added_labels = labels_of(request.headers)
            exchange.run_cap = budget_of(request.headers)
            if exchange.run_parent and self.learn_run is not None:
                learning = self.learn_run(exchange.run_key(exchange.run), exchange.run_key(exchange.run_parent))
                if learning is not None:
                    return _served_after(learning, self._serve, responder)
        reader = responder.body = BodyReader(request, self._max_body, self._body_timeout, self._context.budget)
        endpoint = route.endpoint
        if endpoint.body == "json":
            body = reader.read_now()
            if body is None or len(body) > BIG_BODY or self._on_request is not None:
                return self._serve_slowly(responder, route, reader, body)
            return self._dispatch(responder, route, endpoint.dialect.requests.read(body))  # the usual case
        responder.wrap_outlet()
        _bypass(responder, self.uncached_lines)
        if endpoint.body == "multipart":
            return dispatch_form(self._dispatcher, self._lists, responder, route, reader)
        return dispatch_opaque(self._dispatcher, responder, route, reader)

    def _dispatch(self, responder: Responder, route: Route, call: Call, waited: bool = False) -> Awaitable[None]:
        """Plan the candidates, and try them. ``waited``: the providers' lists were waited for."""
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
        if self.capture is not None:
            self.capture(exchange, call)
        responder.call = call
        return self.dispatch_call(self._dispatcher, responder, plan, call)

    # -- what few requests need -------------------------------------------------------------------

    async def _serve_slowly(self, responder: Responder, route: Route, reader: BodyReader, body: bytes | None) -> None:
        """Serve a call whose body is incomplete (``None``) or large, or that a hook sees first."""
        if body is None:
            reader.admit()
            body = await reader.read_all()
        big, requests = len(body) > BIG_BODY, route.endpoint.dialect.requests
        if big:  # each step takes milliseconds; other requests run between them
            await asyncio.sleep(0)
            for _ in requests.check(body):
                await asyncio.sleep(0)
        call = requests.read(body, checked=big)
        del body  # the call owns it, and releases it
        if self._on_request is not None:
            changed = await self._hooked(self._on_request, responder, route, call)
            if changed is None:
                return
            call = changed
        if big:
            await asyncio.sleep(0)
            for _ in prepare(call, responder.exchange.catalog.patches.get(route.endpoint.path, ())):
                await asyncio.sleep(0)
        await self._dispatch(responder, route, call)

    async def _hooked(self, on_request: RequestHook, responder: Responder, route: Route, call: Call) -> Call | None:
        """Return the call that the hooks return; ``None`` if they answered."""
        exchange, endpoint = responder.exchange, route.endpoint
        call.stream |= endpoint.force_stream
        if route.model:
            call.use_model(route.model)
        exchange.model, exchange.stream = call.model or "", call.stream
        result = await on_request(exchange, call)
        if not isinstance(result, HookReply):
            return result
        if call.stream and endpoint.streams and result.status < 400 and result.media_type != b"text/event-stream":
            self._log.error(_NO_STREAM, request_id=exchange.request_id)
            raise GatewayError(_NO_STREAM, code="hook_reply_is_no_stream")
        responder.wrap_outlet()
        _bypass(responder, self.uncached_lines)
        await responder.send_hook_reply(result)
        return None

    async def _dispatch_listed(self, responder: Responder, route: Route, call: Call, pending: ListsPending) -> None:
        """Dispatch a call whose model may be in the providers' own lists; wait for these first."""
        await self._lists.wait(pending.sites)
        self._renew_catalog(responder.exchange)
        await self._dispatch(responder, route, call, waited=True)

    async def _serve_models(self, responder: Responder, route: Route) -> None:
        exchange = responder.exchange
        await self._lists.wait(exchange.catalog.stale_lists(self._dispatcher.now()))
        self._renew_catalog(exchange)
        _bypass(responder, self.uncached_lines)
        await responder.send_models(exchange.catalog, route.path)

    def _renew_catalog(self, exchange: Exchange) -> None:
        """Use the catalog with the models that were waited for, unless another configuration is in force."""
        self.renew()
        if self.catalog.config is exchange.catalog.config:
            exchange.catalog = self.catalog


def _nothing() -> None:
    """No addresses change."""


def _bypass(responder: Responder, lines: bytes) -> None:
    """Say that the cache has no part in an answer, unless it said something. ``lines``: ``b""`` if it is off."""
    if lines and not responder.exchange.cache:
        responder.exchange.cache = "bypass"
        responder.request.response_lines += lines


async def _served_after(learning: Awaitable[None], serve: Answer, responder: Responder) -> None:
    """Serve a call once the runs are known for which it counts."""
    await learning
    await serve(responder)
