"""The plan for a request, from its model names, its criteria and its affinity."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.schema import Routing
from proxy.dialects.call import AUTO, Call
from proxy.dispatch.dispatcher import Dispatcher
from proxy.providers.provider import Provider
from proxy.responder import Responder
from proxy.routing.access import ALL, forbidden_member
from proxy.routing.plan import Plan
from proxy.routing.spec import Spec
from proxy.server.query import check as check_query
from proxy.wire.criteria import NONE, of_headers

PREFIX = 2048  # bytes of the prompt: about 500 tokens; providers cache prompts of 1,024 tokens or more


def plan_call(
    dispatcher: Dispatcher, responder: Responder, call: Call, pinned: Provider | None, waited: bool = False
) -> Plan:
    """The candidates for a JSON call. Raises ClientFault (400, 403, 404)."""
    if responder.request.query:
        check_query(responder.request.query, opaque=False)
    exchange, headers = responder.exchange, responder.request.headers
    catalog, caller, names = exchange.catalog, exchange.caller, call.names
    criteria = call.criteria
    if responder.request.rare:
        criteria = of_headers(headers, criteria, call.router_fields)
    affinity = _affinity(catalog.config.routing, headers, call) if catalog.has_affinity else b""
    if (
        pinned is None
        and criteria is NONE
        and len(names) == 1
        and not call.auto
        and (caller is None or caller.access is ALL)
    ):
        plan = catalog.cached_plan(names[0], exchange.endpoint.path, affinity, dispatcher.random)
        if plan is not None:
            return plan
    auto = call.auto
    if catalog.aliases:
        names, auto = catalog.aliases.expand(names, auto)
        call.aliased = (names, auto) != (call.names, call.auto)
    if call.other_models and exchange.access is not ALL:
        raise forbidden_member(call.other_models)
    spec = Spec(names, auto, criteria, exchange.endpoint.path, affinity, exchange.access, waited)
    return catalog.plan(spec, pinned, dispatcher.now(), dispatcher.random)


def plan_form(
    dispatcher: Dispatcher, responder: Responder, model: str | None, pinned: Provider | None, waited: bool = False
) -> Plan:
    """The candidates for a form that names ``model``. Raises the same errors as ``plan_call``."""
    if responder.request.query:
        check_query(responder.request.query, opaque=False)
    exchange = responder.exchange
    names = () if model is None or model == AUTO else (model,)
    criteria = of_headers(responder.request.headers)
    spec = Spec(names, not names, criteria, exchange.endpoint.path, access=exchange.access, waited=waited)
    return exchange.catalog.plan(spec, pinned, dispatcher.now(), dispatcher.random)


def _affinity(routing: Routing, headers: Mapping[str, str], call: Call) -> bytes:
    """The affinity key. Requests with equal keys should go to the same deployment, as its caches are warm for them."""
    if routing.affinity == "session":
        return headers.get(routing.affinity_header, "").encode("utf-8", "surrogateescape")
    members = call.members
    return (
        members.beginning("messages", PREFIX)
        or members.beginning("prompt", PREFIX)
        or members.beginning("input", PREFIX)
    )
