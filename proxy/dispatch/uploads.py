"""Requests whose body streams through: multipart forms, and paths that are relayed untouched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Final

from proxy.dispatch.attempt import AttemptRun, run_attempt
from proxy.dispatch.dispatch import Dispatch
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.list_fetcher import ListFetcher
from proxy.dispatch.planning import plan_form
from proxy.dispatch.requests import UploadBody, UploadRequests
from proxy.errors import ClientFault
from proxy.exchange import Attempt
from proxy.net.clocks import NEVER
from proxy.responder import Responder
from proxy.routing.lists import ListsPending
from proxy.routing.plan import Plan
from proxy.routing.routes import Route
from proxy.server.body import BodyReader
from proxy.server.form import Form
from proxy.server.query import check as check_query

_READING: Final = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))  # methods that no provider bills


async def dispatch_form(
    dispatcher: Dispatcher, lists: ListFetcher, responder: Responder, route: Route, reader: BodyReader
) -> None:
    """Answer a call whose body is a form. Its field ``model`` is replaced by the upstream model name."""
    reader.admit()
    form = Form(reader, responder.request.headers.get("Content-Type", ""))
    try:
        model = await form.find_model()
        named = route.model or model
        exchange = responder.exchange
        exchange.model = named or ""
        try:
            plan = plan_form(dispatcher, responder, named, route.pinned)
        except ListsPending as pending:
            await lists.wait(pending.sites)
            plan = plan_form(dispatcher, responder, named, route.pinned, waited=True)

        def body(attempt: Attempt) -> tuple[AsyncIterator[bytes], int | None]:
            upstream = attempt.deployment.upstream_model or route.model or None
            changed = upstream if model != upstream else None
            return form.pieces(changed), form.length(changed)

        await _dispatch_upload(dispatcher, responder, plan, route, body)
    finally:
        form.close()


async def dispatch_opaque(dispatcher: Dispatcher, responder: Responder, route: Route, reader: BodyReader) -> None:
    """Relay a request untouched to the provider of its path. Raises ClientFault (403) without the scope for it."""
    assert route.pinned is not None
    reader.admit(decode=False)
    exchange = responder.exchange
    exchange.free = responder.request.method in _READING
    if exchange.caller is not None and not exchange.caller.passthrough:
        raise ClientFault(
            "Paths that are relayed untouched need a credential with the scope passthrough.",
            status=403,
            code="scope_missing",
        )
    if responder.request.query:
        check_query(responder.request.query, opaque=True)
    plan = exchange.catalog.opaque_plan(route.pinned, exchange.access, dispatcher.random)
    await _dispatch_upload(dispatcher, responder, plan, route, lambda attempt: (reader.untouched(), reader.declared))


def _dispatch_upload(
    dispatcher: Dispatcher, responder: Responder, plan: Plan, route: Route, body: UploadBody
) -> Awaitable[None]:
    """Send the request. Another attempt is possible only until its body is read."""
    exchange, upload = responder.exchange, UploadRequests(route, body)
    routing = exchange.catalog.config.routing
    deadline = exchange.began + routing.deadline_secs if routing.deadline_secs else NEVER
    dispatch = Dispatch(dispatcher, responder, exchange, plan, routing, upload.request, deadline)

    async def run_once(run: AttemptRun) -> AttemptFailure | None:
        failure = await run_attempt(run)
        if failure is not None:
            # Reading never begins for a request without a body. It may have run: see ``may_have_run``.
            failure.final = upload.begun
        return failure

    return dispatch.run(run_once)
