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


async def test_a_route_for_everything_has_the_first_page_too_and_the_dashboard_stays() -> None:
    async with Upstream() as up:
        up.on(lambda request: plain(b"from the service"))
        config = to_services(up, route={"path": "/"})
        async with ServiceGateway(config) as gw:
            client = await gw.client()
            for path in ("/", "/index.html", "/v1", "/v1/other", "/api", "/api/v1/analyze", "/adminx", "/openai"):
                assert (await client.fetch("GET", path)).body == b"from the service", path
            assert b"/admin/assets/main.js" in (await client.fetch("GET", "/admin")).body
            assert (await client.fetch("GET", "/admin/nothing")).status == 401
            for path in ("/v1/chat/completions", "/v1/files", "/proxy/x", "/redoc", "/routes"):
                assert (await client.fetch("GET", path)).body != b"from the service", path
            assert len(up.requests) == 8


async def test_options_of_the_first_page_is_a_health_check_unless_a_host_has_a_route() -> None:
    async with Upstream() as up:
        up.on(lambda request: plain(b"from the service"))
        config = to_services(up, route={"path": "/"})
        config["routes"].append({"host": "api.example", "path": "/", "service": "s", "public": True})
        async with ServiceGateway(config) as gw:
            client = await gw.client()
            await client.send(b"OPTIONS / HTTP/1.0\r\n\r\n")
            assert (await client.read_answer()).json["status"] == "not_ready"  # no model can be requested
            client = await gw.client()
            answer = await client.fetch("OPTIONS", "/", headers=[("Host", "api.example")])
            assert answer.body == b"from the service"


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
        assert (answer.status, answer.header("allow")) == (405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
        assert answer.json["error"]["message"] == "The gateway does not relay TRACE."
        assert up.requests == []


@pytest.mark.parametrize("path", ["/s", "/s/responses"])
async def test_websocket_is_not_relayed(path: str) -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        client = await gw.client()
        headers = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ]
        answer = await client.fetch("GET", path, headers=headers)
        assert (answer.status, answer.json["error"]["code"]) == (501, "no_websocket")
        assert answer.json["error"]["message"] == "The gateway does not relay WebSocket connections."
        assert up.requests == []


async def test_another_upgrade_is_ignored() -> None:
    async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
        up.on(lambda request: plain(b"plain"))
        client = await gw.client()
        headers = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")]
        assert (await client.fetch("GET", "/s", headers=headers)).body == b"plain"
        request = await up.request(0)
        assert request.header("upgrade") is request.header("connection") is request.header("http2-settings") is None


async def test_a_tunnel_is_refused() -> None:
    async with Upstream() as up, ServiceGateway(to_services(up, route={"path": "/"})) as gw:
        client = await gw.client()
        answer = await client.fetch("CONNECT", "api.example:443", headers=[("Host", "api.example:443")])
        assert (answer.status, answer.json["error"]["message"]) == (405, "The gateway is not a forward proxy.")
        assert (answer.header("allow"), up.requests) == ("GET, POST", [])


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
