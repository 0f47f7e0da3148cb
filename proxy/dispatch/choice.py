"""Which dispatch a JSON call gets: how far it goes for an answer is the configuration's choice, or the client's."""

from __future__ import annotations

from typing import get_args

from proxy.config.schema import Recovery
from proxy.dispatch.calling import Calling
from proxy.dispatch.dispatch import Dispatch
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.hedging import Hedging
from proxy.dispatch.recovery import Continuing, Holding
from proxy.errors import ClientFault
from proxy.responder import Responder
from proxy.routing.plan import Plan
from proxy.wire.call import Call

RECOVERY = "x-router-stream-recovery"


def dispatch_of(dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> Dispatch:
    """Raises ClientFault where the request's header says what there is not."""
    routing = responder.exchange.catalog.config.routing
    if call.stream:
        recovery = _recovery(responder) or routing.stream_recovery
        endpoint = responder.exchange.endpoint
        if recovery == "hold" and endpoint.streams and endpoint.answer == "json":
            return Holding(dispatcher, responder, plan, call)
        if recovery == "continue" and endpoint.dialect == "openai.chat":
            return Continuing(dispatcher, responder, plan, call)
    if routing.hedge_after_ms:
        return Hedging(dispatcher, responder, plan, call)
    return Calling(dispatcher, responder, plan, call)


def _recovery(responder: Responder) -> str:
    if not responder.request.rare:
        return ""
    wanted = responder.request.headers.get(RECOVERY, "").strip().lower()
    if wanted and wanted not in get_args(Recovery):
        raise ClientFault(
            f"{RECOVERY!r} must be one of {', '.join(get_args(Recovery))}.", param=RECOVERY, code="invalid_value"
        )
    return wanted
