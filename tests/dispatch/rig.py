"""Exchanges without sockets: catalog, plan, breakers, keys and responder are real, upstream calls are scripted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, cast

from proxy.dialects.openai.call import REQUESTS
from proxy.dispatch import outcome, verdict
from proxy.dispatch.attempt import AttemptRun
from proxy.dispatch.dispatch import Dispatch
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.failure import AttemptFailure
from proxy.errors import GatewayError, UpstreamFault
from proxy.exchange import Exchange
from proxy.net.clocks import NEVER
from proxy.relay.body import CollectedAnswer as Collected
from proxy.responder import Responder
from proxy.routing.catalog import Catalog
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import ENDPOINTS
from proxy.routing.plan import Plan
from proxy.routing.routes import Route
from proxy.server.reply import Reply
from tests.support import Answer, completion
from tests.support.answers import compact
from tests.support.catalogs import plan_for
from tests.support.client import Head
from tests.support.clock import FakeClock

# What an upstream call brings: an answer, or how it failed. Each attempt gets a new one, as faults are changed.
Result = Callable[[], Collected | UpstreamFault]


def answer(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Result:
    """A collected JSON answer."""
    lines = [(name.lower().encode(), text.encode()) for name, text in headers]
    return lambda: Collected(status, lines, b"application/json", compact(value), b"")


WHOLE = answer(completion("whole"))


class _Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.written = b""


class Rig:
    """A gateway's dispatch for one ``catalog``. ``tried`` are the labels of all attempts."""

    def __init__(self, catalog: Catalog, results: dict[str, Result | list[Result]]) -> None:
        """``results`` by label: of every attempt, or of one after the other, the last one for all that follow."""
        self.catalog = catalog
        self.clock = FakeClock()
        context = SimpleNamespace(ping_after=0.0, ping_every=0.0)
        self.warnings: list[dict[str, object]] = []
        self.dispatcher = Dispatcher(
            cast(Any, context), self.clock, random.Random(7), lambda event, **fields: self.warnings.append(fields)
        )
        self.results = {
            label: list(result) if isinstance(result, list) else [result] for label, result in results.items()
        }
        self.tried: list[str] = []

    def deployment(self, label: str) -> Deployment:
        return next(each for each in self.catalog.deployments if each.label == label)

    def dispatch(
        self, *names: str, path: str = "chat/completions", repeatable: bool | None = None, plan: Plan | None = None
    ) -> Dispatch:
        """One exchange for the models of these names."""
        endpoint = next(each for each in ENDPOINTS if each.path == path)
        exchange = Exchange(endpoint, self.catalog, "id", self.clock.now())
        transport = _Transport()
        request = SimpleNamespace(
            rare=False,
            gone=False,
            headers={},
            query="",
            method="POST",
            body_withheld=False,
            flow=None,
            response_lines=b"",
        )
        request.reply = Reply(cast(Any, transport), http10=False, head_only=False, keep_alive=True)
        request.transport = transport
        responder = Responder(exchange, cast(Any, request), request.reply)
        responder.route = Route(endpoint, path)
        responder.call = REQUESTS.read(compact({"model": names[0], "messages": []}))
        exchange.model = names[0]
        routing = self.catalog.config.routing
        return Dispatch(
            self.dispatcher,
            responder,
            exchange,
            plan or plan_for(self.catalog, *names, endpoint=path, now=self.clock.now(), chance=random.Random(7)),
            routing,
            cast(Any, None),
            exchange.began + routing.deadline_secs if routing.deadline_secs else NEVER,
            endpoint.replayable if repeatable is None else repeatable,
        )

    def begin(self, dispatch: Dispatch, label: str) -> AttemptRun:
        """An attempt that is about to run."""
        run = dispatch.begin(self.deployment(label), self.clock.now())
        assert run is not None
        return run

    async def run(self, dispatch: Dispatch) -> Answer:
        """What the client sees."""
        try:
            await dispatch.run(self.attempt)
        except GatewayError as fault:
            dispatch.responder.refuse(fault)
        return _parsed(cast(Any, dispatch.responder.request).transport.written)

    async def ask(self, *names: str, **options: Any) -> Answer:
        return await self.run(self.dispatch(*names, **options))

    async def attempt(self, run: AttemptRun) -> AttemptFailure | None:
        """The one attempt, by the script."""
        attempt, responder, endpoint = run.attempt, run.responder, run.dispatch.exchange.endpoint
        label = attempt.deployment.label
        self.tried.append(label)
        script = self.results[label]
        result = (script.pop(0) if len(script) > 1 else script[0])()
        if isinstance(result, UpstreamFault):
            return outcome.failed(run, result)
        if result.status >= 400:
            return outcome.refused(run, result)
        try:
            info = responder.read_answer(result, attempt.deployment)
        except UpstreamFault as fault:
            return outcome.failed(run, fault)
        verdict.succeed(attempt, endpoint.path, self.clock.now(), collected=True)
        responder.send_answer(result, info)
        return None


def _parsed(written: bytes) -> Answer:
    head, _, body = written.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
    _, status, reason = first.split(" ", 2)
    return Answer(Head(int(status), reason, headers), body)
