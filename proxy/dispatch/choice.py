"""Compose the dispatch of a JSON call: the plain attempt, and the configured wrappers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, get_args

from proxy.config.schema import Recovery
from proxy.dialects.call import Call
from proxy.dialects.table import CHAT
from proxy.dispatch.aliased import Aliased
from proxy.dispatch.attempt import run_attempt
from proxy.dispatch.continuation import Continuation
from proxy.dispatch.dispatch import Dispatch, RunAttempt
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.hedging import Hedging
from proxy.dispatch.hold import Hold
from proxy.dispatch.requests import call_request
from proxy.errors import ClientFault
from proxy.net.clocks import NEVER
from proxy.responder import Responder
from proxy.routing.plan import Plan

RECOVERY = "x-router-stream-recovery"

DispatchCall: TypeAlias = Callable[[Dispatcher, Responder, Plan, Call], Awaitable[None]]


def dispatch_call(dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> Awaitable[None]:
    """Answer a JSON call. Raises ClientFault if the request's header names an unknown recovery."""
    exchange = responder.exchange
    routing = exchange.catalog.config.routing
    dispatch = Dispatch(
        dispatcher,
        responder,
        exchange,
        plan,
        routing,
        call_request,
        exchange.began + routing.deadline_secs if routing.deadline_secs else NEVER,
        exchange.endpoint.replayable or call.stateless,
        call.stream,
    )
    recovery = _recovery(responder, routing.stream_recovery) if call.stream else "fail"
    if recovery == "fail" and not (routing.hedge_after_ms or call.aliased):
        return dispatch.run(run_attempt)  # the usual case
    return _with_options(dispatch, call, recovery)


def _with_options(dispatch: Dispatch, call: Call, recovery: str) -> Awaitable[None]:
    endpoint, hold, conclude = dispatch.exchange.endpoint, None, None
    attempt: RunAttempt = Aliased(run_attempt, call.model or "").run_attempt if call.aliased else run_attempt
    if recovery == "hold" and endpoint.streams and endpoint.answer == "json":
        hold = Hold(dispatch, attempt)
        attempt = hold.run_attempt
        dispatch.pings = False  # ``hold.pinged`` sends all pings
    elif recovery == "continue" and endpoint.dialect is CHAT:
        continuation = Continuation(dispatch, attempt, call)
        attempt, conclude = continuation.run_attempt, continuation.conclude
    if dispatch.routing.hedge_after_ms:
        attempt = Hedging(dispatch, attempt).run_attempt
    running = dispatch.run(attempt, conclude)
    return running if hold is None else hold.pinged(running)


def _recovery(responder: Responder, configured: Recovery) -> str:
    """The request's own recovery, else the configured one."""
    if not responder.request.rare:
        return configured
    wanted = responder.request.headers.get(RECOVERY, "").strip().lower()
    if wanted and wanted not in get_args(Recovery):
        raise ClientFault(
            f"{RECOVERY!r} must be one of {', '.join(get_args(Recovery))}.", param=RECOVERY, code="invalid_value"
        )
    return wanted or configured
