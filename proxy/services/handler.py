"""The path of a request to a service, top to bottom: its route, who may use it, its relay, its settlement.

Functions that return an awaitable are deliberately not coroutines, as in ``gateway.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Final, Literal

from aiohttp.streams import EMPTY_PAYLOAD
from msgspec import Struct
from multidict import istr

from proxy.errors import ClientFault, ClientGone, GatewayError, ShuttingDown
from proxy.responder import refuse
from proxy.server.flush import Flush
from proxy.server.guard import HostOriginGuard
from proxy.server.origins import ASKED_METHOD, is_preflight
from proxy.server.request import Request
from proxy.server.security import NOSNIFF
from proxy.services.exchange import ServiceExchange
from proxy.services.live import LiveServices
from proxy.services.relay.context import RelayContext
from proxy.services.relay.faults import in_words_of_services, no_service
from proxy.services.relay.relayed import RelayedRequest
from proxy.services.relay.request_body import RequestBody
from proxy.services.relay.retries import SAFE_TO_REPEAT
from proxy.services.relay.route_rules import RouteRules
from proxy.services.relay.sticky_key import sticky_key
from proxy.services.table.route import ServiceRoute
from proxy.services.table.table import RouteMatch, RouteTable
from proxy.serving import Handler

Admit = Callable[["ServiceWork"], Awaitable[None] | None]
"""Check who sends the request, and limits. Raises GatewayError. ``None``: it is admitted without a wait."""

_HOST: Final = istr("Host")
_REQUEST_ID: Final = istr("x-request-id")
_MAX_FORWARDS: Final = istr("Max-Forwards")
_request_id: Final = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"  # no route can name TRACE
_GIVEN_UP: Final = (408, 413)  # statuses after which the rest of the body is not read


class ServiceWork(Struct, eq=False):
    """The state of one request. ``release`` gives back what its admission has taken, ``limit_lines`` tell of it.

    ``keeps_credentials``: they are the gateway's, so they do not go on to the service of a public route.
    """

    exchange: ServiceExchange
    request: Request
    match: RouteMatch
    host: str
    relayed: RelayedRequest | None = None
    release: Callable[[], None] | None = None
    limit_lines: bytes = b""
    keeps_credentials: bool = False


class ServiceHandler(Handler[ServiceWork]):
    """Handler of requests that have a route to a service.

    ``owns``: whether a path is the API's or the control plane's own. ``observers`` get each settled exchange.
    ``authenticates``: clients send credentials that are for the gateway.
    """

    bounded = True
    cross_origin = False
    relays = True

    def __init__(
        self,
        services: LiveServices,
        relay: RelayContext,
        owns: Callable[[str], bool],
        admit: Admit | None = None,
        observers: Sequence[Callable[[ServiceExchange], None]] = (),
        *,
        authenticates: bool = False,
    ) -> None:
        self._services = services
        self._relay = relay
        self._loop = relay.transport.loop
        self._chance = relay.chance.random
        self._owns = owns
        self._admit = admit
        self.observers = observers
        self._authenticates = authenticates
        self._id_prefix = os.urandom(6).hex()
        self._ids = count(10_000_000)  # always eight digits
        self._table: RouteTable | None = None
        self._rules: dict[str, RouteRules] = {}  # by the id of the route in ``_table``

    # -- once per request -------------------------------------------------------------------------

    def begin(self, request: Request) -> ServiceWork | None:
        table = self._services.table
        if not table.by_id or self._owns(request.path):
            return None
        host = request.headers.get(_HOST, "")
        match = table.match(host, request.path, request.method, request.headers)
        if request.method == "OPTIONS":
            match = _match_of_options(table, match, host, request)
        if match is None:
            return None
        given = request.headers.get(_REQUEST_ID) if request.rare else None
        request_id = given if given and _request_id(given) else f"{self._id_prefix}{next(self._ids)}"
        exchange = ServiceExchange(request_id, request.method, request.path, self._loop.time(), match.route.id)
        return ServiceWork(exchange, request, match, host)

    def answer(self, work: ServiceWork) -> Awaitable[None]:
        fault = work.match.fault
        if fault is not None:
            raise fault
        admitting = None if self._admit is None else self._admit(work)
        return self._relayed(work) if admitting is None else self._relayed_after(admitting, work)

    def check_relayed(self, work: ServiceWork, guard: HostOriginGuard) -> bytes:
        route = work.match.route
        needs_credential = self._authenticates and not route.settings.public
        return guard.check_relayed(work.request, work.host, named=bool(route.host), needs_credential=needs_credential)

    async def flush(self, work: ServiceWork) -> None:
        """Wait until the client has read its answer."""
        transport, service = self._relay.transport, work.relayed.service if work.relayed is not None else None
        flow = Flush(work.request, transport.budget, self._loop)
        stall = work.request.flushing.client_stall if service is None else service.clocks.client_stall
        try:
            await flow.run(transport.ticker, stall)
        except ClientGone:
            if flow.stalled:
                work.exchange.error = "timeout_clientStall"
            raise
        except GatewayError:
            work.exchange.outcome = "cancelled"
            raise

    def refuse(self, work: ServiceWork, fault: GatewayError) -> None:
        exchange, request = work.exchange, work.request
        reply = request.reply
        exchange.error = fault.code or fault.kind
        exchange.error_detail = fault.detail or exchange.error_detail
        if request.gone:
            exchange.outcome = "client_gone"
            return
        if reply.ended:
            return
        if reply.begun:
            exchange.outcome = "cancelled" if isinstance(fault, ShuttingDown) else "broken"
            reply.abort()  # a body without its end must not look complete
            return
        exchange.outcome = "cancelled" if isinstance(fault, ShuttingDown) else "error"
        if fault.status in _GIVEN_UP or request.body_withheld:
            reply.keep_alive = False
        fault.message = in_words_of_services(fault)
        id_line = _id_line(exchange)
        refuse(reply, fault, b"".join((NOSNIFF, id_line, work.limit_lines, request.response_lines)))

    def abandon(self, work: ServiceWork, outcome: Literal["client_gone", "cancelled"]) -> None:
        work.exchange.outcome = outcome

    def settle(self, work: ServiceWork) -> None:
        """Account for the request, and report it."""
        exchange, reply = work.exchange, work.request.reply
        if work.relayed is not None:
            work.relayed.finish()
        exchange.ended = self._loop.time()
        exchange.status = reply.status
        exchange.bytes_out = reply.bytes_out
        if not exchange.client:
            exchange.client = work.request.remote
        if not exchange.outcome:
            exchange.outcome = "ok"
        if work.release is not None:
            work.release()
        for observer in self.observers:
            observer(exchange)

    def log_fields(self, work: ServiceWork) -> dict[str, str]:
        return {"request_id": work.exchange.request_id}

    # -- behind the admission ---------------------------------------------------------------------

    async def _relayed_after(self, admitting: Awaitable[None], work: ServiceWork) -> None:
        await admitting
        await self._relayed(work)

    def _relayed(self, work: ServiceWork) -> Awaitable[None]:
        """Send the request to an address of its service. Raises GatewayError."""
        exchange, request, route, relay = work.exchange, work.request, work.match.route, self._relay
        if request.method == "TRACE":
            raise ClientFault(
                "The gateway does not relay TRACE.", status=405, code="method_not_allowed", allow=_METHODS
            )
        if request.method == "OPTIONS" and request.headers.get(_MAX_FORWARDS, "").strip() == "0":
            request.reply.send(204, b"")  # RFC 9110 7.6.2: the gateway is the last recipient
            return _nothing()
        service = self._services.pick(route, self._chance)
        if service is None:
            raise no_service(route.services[0][0])
        rules = self._rules.get(route.id) if self._services.table is self._table else None
        if rules is None:
            rules = self._compiled(route)
        exchange.service = service.name
        id_line = _id_line(exchange)
        head_rules = rules.without_credentials if work.keeps_credentials else rules.request
        lines = relay.heads.lines(request, work.host, id_line, head_rules)
        own_lines = relay.via + id_line + work.limit_lines
        work.relayed = relayed = RelayedRequest(
            relay,
            request,
            exchange,
            service,
            rules,
            work.match.path,
            work.host,
            lines,
            own_lines,
        )
        sticky = service.settings.sticky
        if sticky is not None:
            relayed.key, cookie_line = sticky_key(request, sticky)
            relayed.own_lines += cookie_line
        if request.payload is EMPTY_PAYLOAD:
            request.body_read = True
        else:
            relayed.body = self._body(relayed)
        return relayed.run()

    def _body(self, relayed: RelayedRequest) -> RequestBody:
        relay = self._relay
        return RequestBody(
            relayed.request,
            relayed.rules.max_body_mb,
            relay.body_timeout,
            relay.transport.budget,
            keeps=relayed.request.method in SAFE_TO_REPEAT,
            failed=relayed.interrupt,
            ended=relayed.uploaded,
            loop=self._loop,
        )

    def _compiled(self, route: ServiceRoute) -> RouteRules:
        """The rules of a route that is used for the first time in this table."""
        if self._services.table is not self._table:
            self._table, self._rules = self._services.table, {}
        settings = route.settings
        credentials = settings.public or settings.forward_credentials or not self._authenticates
        rules = self._rules[route.id] = RouteRules.of(route, credentials=credentials)
        return rules


def _id_line(exchange: ServiceExchange) -> bytes:
    return f"x-request-id: {exchange.request_id}\r\n".encode()


def _match_of_options(table: RouteTable, match: RouteMatch | None, host: str, request: Request) -> RouteMatch | None:
    """The route of a CORS preflight is that of the request that will follow, unless ``match`` names the method OPTIONS.

    ``OPTIONS /`` is HAProxy's default check of the gateway itself, so only a route of a host gets it.
    """
    if not is_preflight(request):
        return None if match is not None and request.path == "/" and not match.route.host else match
    if match is not None and match.route.methods:
        return match
    following = table.match(host, request.path, request.headers[ASKED_METHOD], request.headers)
    return match if following is None else following


async def _nothing() -> None:
    """The answer is written already."""
