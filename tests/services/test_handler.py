"""Which requests go to services, and what becomes of those that cannot."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import Upstream, completion, json_answer
from tests.support.service_gateway import ServiceGateway, plain, to_services


async def test_the_paths_of_the_api_go_before_every_route() -> None:
    async with Upstream() as up:
        up.on(lambda request: plain(b"from the service"))
        async with ServiceGateway(to_services(up, route={"path": "/"})) as gw:
            client = await gw.client()
            assert (await client.fetch("GET", "/anything")).body == b"from the service"
            assert (await client.fetch("GET", "/v1/models")).json["object"] == "list"
            assert (await client.fetch("GET", "/health/live")).status == 200
        assert len(up.requests) == 1


async def test_a_path_without_a_route_is_unknown() -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        client = await gw.client()
        answer = await client.fetch("GET", "/other")
        assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_path")


@pytest.mark.parametrize("path", ["/s/../v1/x", "/s/%2e%2e/x", "/s//x", "/s/a%5cb"])
async def test_a_path_that_servers_read_differently_is_refused(path: str) -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        client = await gw.client()
        answer = await client.fetch("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (400, "bad_path")
        exchange = await gw.done()
        assert (exchange.outcome, exchange.error, exchange.attempts) == ("error", "bad_path", [])


async def test_trace_is_not_relayed() -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        client = await gw.client()
        answer = await client.fetch("TRACE", "/s")
        assert (answer.status, answer.header("allow") is not None) == (405, True)


async def test_a_request_that_may_go_no_further_ends_here() -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        client = await gw.client()
        assert (await client.fetch("OPTIONS", "/s", headers=[("Max-Forwards", "0")])).status == 204
        assert up.requests == []


async def test_a_service_that_is_gone_is_unavailable() -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        del gw.services._services["s"]
        client = await gw.client()
        answer = await client.fetch("GET", "/s")
        assert (answer.status, answer.json["error"]["code"]) == (503, "no_service")
        assert answer.header("retry-after") == "1"


async def test_an_error_of_the_gateway_has_the_shape_of_the_api_and_the_id_of_the_request() -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        await up.stop()
        client = await gw.client()
        answer = await client.fetch("POST", "/s", headers=[("x-request-id", "mine")])
        assert (answer.status, answer.header("x-request-id")) == (502, "mine")
        error = answer.json["error"]
        assert (error["code"], error["message"]) == ("upstream_unreachable", "The service could not be reached.")
        exchange = await gw.done()
        assert (exchange.status, exchange.outcome, exchange.error) == (502, "error", "upstream_unreachable")
        assert str(up.port) in exchange.error_detail
        assert str(up.port) not in answer.body.decode()
        await up.start()


async def test_an_exchange_has_the_facts_of_the_request() -> None:
    async with Upstream() as up:
        up.on(lambda request: plain(b"hello", status=404))
        async with ServiceGateway(to_services(up)) as gw:
            client = await gw.client()
            await client.fetch("PUT", "/s/a?b=c", body=b"four")
            exchange = await gw.done()
            assert (exchange.method, exchange.path, exchange.route, exchange.service) == ("PUT", "/s/a", "r", "s")
            assert (exchange.status, exchange.outcome, exchange.error) == (404, "ok", "")
            assert (exchange.bytes_in, exchange.bytes_out, exchange.client) == (4, 5, "127.0.0.1")
            assert exchange.ended is not None
            assert exchange.ended >= exchange.began
            assert [(each.url, each.status, each.failure) for each in exchange.attempts] == [(up.origin, 404, "")]


async def test_calls_of_models_are_served_beside_services() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()) if request.target.startswith("/v1/") else plain(b"s"))
        models: dict[str, Any] = {"providers": {"up": {"baseUrl": up.url}}, "models": [{"name": "m", "provider": "up"}]}
        async with ServiceGateway(to_services(up, **models)) as gw:
            client = await gw.client()
            for _ in range(2):
                call = {"model": "m", "messages": []}
                assert (await client.fetch("POST", "/v1/chat/completions", json=call)).json[
                    "object"
                ] == "chat.completion"
                assert (await client.fetch("GET", "/s")).body == b"s"
        assert len(up.connections) == 1
