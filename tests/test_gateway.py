"""The handler of model calls without sockets: routing, order of middlewares, settlement."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.config.schema import ServerSettings
from proxy.dialects.call import Call
from proxy.dispatch.dispatcher import Dispatcher
from proxy.errors import ClientFault, Unauthorized
from proxy.exchange import Exchange
from proxy.gateway import Gateway
from proxy.hooks import HookReply
from proxy.identity import Client
from proxy.net.budget import Budget
from proxy.observe.log import Log
from proxy.observe.observers import Observers
from proxy.responder import Responder
from proxy.routing.endpoints import UNROUTED
from proxy.server.outlet import Outlet, OutletWrapper
from proxy.server.reply import Reply
from proxy.server.request import Request
from tests.support.catalogs import rivals

CHAT = "/v1/chat/completions"
BODY = b'{"model":"m","messages":[]}'

Answer = Callable[[Responder], Awaitable[None]]


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data


class Rig:
    """A gateway whose dispatch answers ``{}``; ``steps`` are the middlewares and the dispatch, as they run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.steps: list[str] = []
        self.settled: list[Exchange] = []
        self.offered: list[bool] = []  # whether the exchange still had its catalog
        self.wire = Wire()
        self.log = io.BytesIO()
        self.budget = Budget(10**6)
        loop = asyncio.get_running_loop()
        context = SimpleNamespace(loop=loop, budget=self.budget, ticker=None)
        self.catalog = rivals(1)
        observers = Observers()
        observers.lossy = (self.settled.extend,)
        observers.exact = (SimpleNamespace(offer=lambda exchange: self.offered.append(exchange.catalog is not None)),)
        self.gateway = Gateway(
            ServerSettings(max_body_mb=0.001),
            self.catalog,
            cast("Dispatcher", SimpleNamespace(context=context, adopt=lambda catalog: None, now=loop.time)),
            Log(self.log, "info", readable=False),
            cast("Any", SimpleNamespace(wait=self._wait)),
            observers,
            lambda answer: self._middleware("authenticate", answer),
            lambda answer: self._middleware("limit", answer),
            **options,
        )
        monkeypatch.setattr("proxy.gateway.plan_call", lambda *_: None)
        self.gateway.dispatch_call = self._dispatch  # type: ignore[assignment]

    async def _wait(self, providers: object) -> None:
        """No list is fetched."""

    def _middleware(self, name: str, answer: Answer) -> Answer:
        def wrapped(responder: Responder) -> Awaitable[None]:
            self.steps.append(name)
            return answer(responder)

        return wrapped

    async def _dispatch(self, dispatcher: Dispatcher, responder: Responder, plan: None, call: Call) -> None:
        self.steps.append(f"dispatch {call.model}{' stream' if call.stream else ''}")
        responder.outlet.send(200, b"", b"{}")

    def request(self, path: str = CHAT, method: str = "POST", body: bytes = BODY, **headers: str) -> Request:
        fields = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))
        loop = asyncio.get_running_loop()
        payload = StreamReader(BaseProtocol(loop), limit=2**16, loop=loop)
        payload.feed_data(body)
        payload.feed_eof()
        request = SimpleNamespace(
            path=path,
            query="",
            method=method,
            headers=fields,
            rare=bool(headers),
            attributed=bool(headers),
            payload=payload,
            http11=True,
            remote="192.0.2.1",
            reply=Reply(self.wire, http10=False, head_only=False, keep_alive=True),
            response_lines=b"",
            gone=False,
            body_withheld=False,
        )
        return cast("Request", request)

    async def serve(self, request: Request) -> Responder:
        """As ``Serving`` does it, but that errors are raised."""
        responder = self.gateway.begin(request)
        await self.gateway.answer(responder)
        self.gateway.settle(responder)
        return responder


# -- begin --------------------------------------------------------------------------------------------------------


async def test_a_request_without_a_valid_id_gets_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)

    def name(**headers: str) -> str:
        return rig.gateway.begin(rig.request(**headers)).exchange.request_id

    assert name(x_request_id="mine-1") == "mine-1"
    for given in ("", "a b", "x" * 129, "é"):
        assert name(x_request_id=given) != given
    first, second = name(), name()
    assert first != second
    assert first[:12] == second[:12]


async def test_a_sub_agents_call_names_its_parent_and_the_cap_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    request = rig.request(session_id="child", x_codex_parent_thread_id="root", x_router_budget_usd="0.5")
    exchange = (await rig.serve(request)).exchange
    assert (exchange.run, exchange.run_parent, exchange.run_cap) == ("child", "root", 500_000_000)
    exchange = (await rig.serve(rig.request())).exchange
    assert (exchange.run, exchange.run_parent, exchange.run_cap) == ("", "", None)


async def test_a_sub_agents_call_waits_until_the_runs_above_it_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    known: set[tuple[str, str]] = set()

    async def ask(run: str, parent: str) -> None:
        rig.steps.append("ask")
        known.add((run, parent))

    rig.gateway.learn_run = lambda run, parent: None if (run, parent) in known else ask(run, parent)
    for _ in range(2):
        await rig.serve(rig.request(session_id="child", x_codex_parent_thread_id="root"))
    await rig.serve(rig.request(session_id="root"))
    served = ["authenticate", "limit"]
    assert rig.steps == [*served, "ask", "dispatch m", *served, "dispatch m", *served, "dispatch m"]


async def test_a_usual_path_is_routed_by_one_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    assert CHAT in rig.gateway.paths
    assert rig.gateway.begin(rig.request()).exchange.endpoint.path == "chat/completions"
    for request in (rig.request(method="GET"), rig.request("/v1/models", "GET"), rig.request("/v1/nothing")):
        responder = rig.gateway.begin(request)
        assert (responder.route, responder.exchange.endpoint) == (None, UNROUTED)


# -- answer -------------------------------------------------------------------------------------------------------


async def test_a_call_is_authenticated_limited_and_dispatched(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    await rig.serve(rig.request())
    assert rig.steps == ["authenticate", "limit", "dispatch m"]
    assert rig.wire.written.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("path", [CHAT + "/stream", CHAT + "/"])
async def test_other_spellings_of_a_path_are_handled_the_same(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    await rig.serve(rig.request(path))
    assert rig.steps[:2] == ["authenticate", "limit"]
    assert rig.steps[2].startswith("dispatch m")


async def test_an_unknown_path_is_a_404_after_authentication_and_is_not_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    with pytest.raises(ClientFault) as caught:
        await rig.serve(rig.request("/v1/nothing"))
    assert (caught.value.status, rig.steps) == (404, ["authenticate"])


async def test_the_list_of_models_is_not_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    await rig.serve(rig.request("/v1/models", "GET"))
    assert rig.steps == ["authenticate"]
    assert b'"id":"m"' in rig.wire.written


async def test_a_request_of_the_control_plane_is_neither_authenticated_nor_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    handler, responder = rig.gateway.begin_as(Client("admin:try"), rig.request())
    await handler.answer(responder)
    assert rig.steps == ["dispatch m"]
    assert responder.exchange.caller == Client("admin:try")


@pytest.mark.parametrize("body", [b'{"model":"m","messages":[],"x":"%b"}' % (b"x" * 2000), b"[]"])
async def test_an_oversized_or_invalid_body_is_rejected(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    with pytest.raises(ClientFault):
        await rig.serve(rig.request(body=body))
    assert rig.steps == ["authenticate", "limit"]


# -- hooks --------------------------------------------------------------------------------------------------------


async def test_request_hook_response_hook_and_dispatch_run_in_that_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def on_request(exchange: Exchange, call: Call) -> Call | HookReply:
        rig.steps.append("on_request")
        return call

    def on_response(exchange: Exchange, outlet: Outlet) -> Outlet:
        rig.steps.append("on_response")
        return OutletWrapper(outlet)

    rig = Rig(monkeypatch, on_request=on_request, on_response=on_response)
    await rig.serve(rig.request())
    assert rig.steps == ["authenticate", "limit", "on_request", "on_response", "dispatch m"]


async def test_the_response_hook_runs_once_for_a_rejected_or_abandoned_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Outlet] = []

    def on_response(exchange: Exchange, outlet: Outlet) -> Outlet:
        seen.append(outlet)
        return outlet

    rig = Rig(monkeypatch, on_response=on_response)
    refused, abandoned = rig.gateway.begin(rig.request()), rig.gateway.begin(rig.request())
    rig.gateway.refuse(refused, Unauthorized())
    rig.gateway.abandon(abandoned, "client_gone")
    assert len(seen) == 2
    assert rig.gateway.outlet(refused) is refused.request.reply
    assert len(seen) == 2


# -- settle -------------------------------------------------------------------------------------------------------


async def test_a_settled_exchange_has_its_figures_and_releases_catalog_and_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    responder = await rig.serve(rig.request())
    (exchange,) = rig.settled
    assert exchange is responder.exchange
    assert (exchange.outcome, exchange.status, exchange.bytes_in, exchange.bytes_out) == ("ok", 200, len(BODY), 2)
    assert (exchange.client, exchange.model) == ("192.0.2.1", "m")
    assert exchange.ended is not None
    assert not hasattr(exchange, "catalog")
    assert rig.offered == [True]  # before anything was dropped
    assert rig.budget.used == 0


async def test_a_rejected_request_is_counted_for_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    for path, endpoint in ((CHAT + "/", "chat/completions"), ("/v1/nothing", UNROUTED.path)):
        responder = rig.gateway.begin(rig.request(path))
        rig.gateway.refuse(responder, Unauthorized())
        rig.gateway.settle(responder)
        assert (rig.settled[-1].endpoint.path, rig.settled[-1].outcome) == (endpoint, "error")


async def test_defects_of_a_provider_are_logged_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    responder = rig.gateway.begin(rig.request(x_request_id="r-1"))
    responder.exchange.dropped_events = 2
    rig.gateway.settle(responder)
    rig.gateway._log.flush()
    (line,) = map(json.loads, rig.log.getvalue().splitlines())
    assert (line["request_id"], line["events"]) == ("r-1", 2)
    assert rig.gateway.log_fields(responder) == {"request_id": "r-1"}
