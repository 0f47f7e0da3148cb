"""Requests to services by other names than the gateway's, and by web pages of other origins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from tests.support import Answer, Upstream
from tests.support.gateway import ADMIN
from tests.support.service_gateway import ServiceGateway, plain, to_services

KEY, KEY_HASH = new_key()
AUTH: dict[str, Any] = {"mode": "keys", "keys": [{"name": "client", "hash": KEY_HASH}]}
CREDENTIAL = ("Authorization", f"Bearer {KEY}")
PAGE = "https://page.example"
LISTED = "https://listed.example"
PREFLIGHT = (
    ("Origin", PAGE),
    ("Access-Control-Request-Method", "POST"),
    ("Access-Control-Request-Headers", "authorization"),
)
# What a service answers to its page.
ALLOWED = (("Access-Control-Allow-Origin", PAGE), ("Vary", "Origin"), ("Access-Control-Allow-Headers", "authorization"))
SERVER = {"corsOrigins": [LISTED]}
HOSTS = [{"host": "api.example", "path": "/"}, {"host": "*.beta.example", "path": "/"}]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: plain(b"hello", *ALLOWED))
        yield up


async def fetch(
    gw: ServiceGateway, host: str, *headers: tuple[str, str], path: str = "/s", method: str = "GET"
) -> Answer:
    return await (await gw.client()).fetch(method, path, headers=[("Host", host), *headers])


def cors_of(answer: Answer) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.head.headers if name.startswith("access-control-allow-origin")]


# -- Host -----------------------------------------------------------------------------------------


@pytest.fixture
async def by_host(up: Upstream) -> AsyncIterator[ServiceGateway]:
    config = to_services(up)
    config["routes"] = [each | {"service": "s", "public": True} for each in HOSTS] + config["routes"]
    async with ServiceGateway(config) as gw:
        yield gw


@pytest.mark.parametrize("host", ["api.example", "API.example:8080", "api.example.", "x.beta.example"])
async def test_the_host_of_a_route_needs_no_entry_in_allowed_hosts(host: str, by_host: ServiceGateway) -> None:
    assert (await fetch(by_host, host, path="/anything")).body == b"hello"


@pytest.mark.parametrize(
    "path", ["/v1/models", "/admin", "/admin/state", "/services", "/metrics", "/v1/health", "/docs"]
)
async def test_the_gateways_own_paths_stay_closed_to_the_host_of_a_route(path: str, by_host: ServiceGateway) -> None:
    """A page of that name could else use them, as its DNS record may lead to the gateway."""
    before = await fetch(by_host, "api.example", path="/anything")
    answer = await fetch(by_host, "api.example", path=path)
    assert (before.status, answer.status, answer.json["error"]["code"]) == (200, 421, "host_not_allowed")


@pytest.mark.parametrize(
    "host", ["evil.example", "beta.example", "api.example.evil.example", "api.example:80:x", "api.example:evil", ""]
)
async def test_every_other_host_is_refused_on_routed_paths(host: str, up: Upstream, by_host: ServiceGateway) -> None:
    assert (await fetch(by_host, host)).status == 421
    assert up.requests == []


async def test_the_host_of_a_route_that_is_made_at_run_time_is_good_until_the_route_goes(up: Upstream) -> None:
    async with ServiceGateway(to_services(up)) as gw:
        client = await gw.client()
        admin = [("Authorization", f"Bearer {ADMIN}"), ("Content-Type", "application/json")]
        assert (await fetch(gw, "late.example")).status == 421
        route = b'{"id": "late", "host": "late.example", "service": "s", "public": true}'
        assert (await client.fetch("POST", "/routes", headers=admin, body=route)).status == 201
        assert (await fetch(gw, "late.example")).status == 200
        assert (await client.fetch("DELETE", "/routes/late", headers=admin)).status in (200, 204)
        assert (await fetch(gw, "late.example")).status == 421


# -- Origin ---------------------------------------------------------------------------------------


async def test_a_preflight_is_the_services_business_and_needs_no_credential(up: Upstream) -> None:
    async with ServiceGateway(to_services(up, route={"public": False, "scopes": ["a"]}, auth=AUTH)) as gw:
        answer = await fetch(gw, "localhost", *PREFLIGHT, method="OPTIONS")
        assert (answer.status, cors_of(answer)) == (200, [("access-control-allow-origin", PAGE)])
        request = await up.request(0)
        assert request.method == "OPTIONS"
        assert [request.header(name.lower()) for name, _ in PREFLIGHT] == [value for _, value in PREFLIGHT]


async def test_a_preflight_of_a_listed_origin_is_the_services_business_too(up: Upstream) -> None:
    async with ServiceGateway(to_services(up, server=SERVER)) as gw:
        headers = [("Origin", LISTED), *PREFLIGHT[1:]]
        answer = await fetch(gw, "localhost", *headers, method="OPTIONS")
        assert (answer.status, cors_of(answer)) == (200, [("access-control-allow-origin", PAGE)])
        assert len(up.requests) == 1


@pytest.mark.parametrize("headers", [(), PREFLIGHT[:1], PREFLIGHT[1:]])
async def test_any_other_options_request_needs_the_credential(headers: Any, up: Upstream) -> None:
    async with ServiceGateway(to_services(up, route={"public": False}, auth=AUTH)) as gw:
        assert (await fetch(gw, "localhost", *headers, method="OPTIONS")).status == 401
        client = await gw.client()
        answer = await client.fetch("OPTIONS", "/s", headers=[*PREFLIGHT], body=b"no preflight has a body")
        assert answer.status == 401
        assert (await fetch(gw, "localhost", *PREFLIGHT)).status == 401
    assert up.requests == []


async def test_a_preflight_goes_where_the_request_will_go(up: Upstream) -> None:
    async with Upstream() as other:
        other.on(lambda request: plain(b"other"))
        config = to_services(up, route={"methods": ["POST"]})
        config["services"]["t"] = {"addresses": [other.origin]}
        config["routes"] += [
            {"path": "/", "service": "t", "public": True},
            {"path": "/named", "service": "s", "public": True, "methods": ["POST"]},
            {"path": "/named", "service": "t", "public": True, "methods": ["OPTIONS"]},
        ]
        async with ServiceGateway(config | {"server": {"corsOrigins": ["*"]}}) as gw:
            assert (await fetch(gw, "localhost", *PREFLIGHT, method="OPTIONS")).body == b"hello"
            assert (await fetch(gw, "localhost", method="OPTIONS")).body == b"other"
            delete = (PREFLIGHT[0], ("Access-Control-Request-Method", "DELETE"))
            assert (await fetch(gw, "localhost", *delete, method="OPTIONS")).body == b"other"
            assert (await fetch(gw, "localhost", *PREFLIGHT, path="/named", method="OPTIONS")).body == b"other"


@pytest.mark.parametrize("origin", [PAGE, LISTED])
async def test_headers_of_cors_come_from_the_service_once(origin: str, up: Upstream) -> None:
    async with ServiceGateway(to_services(up, route={"public": False}, auth=AUTH, server=SERVER)) as gw:
        answer = await fetch(gw, "localhost", CREDENTIAL, ("Origin", origin))
        assert (answer.status, cors_of(answer)) == (200, [("access-control-allow-origin", PAGE)])
        assert [value for name, value in answer.head.headers if name == "vary"] == ["Origin"]
        assert (await up.request(0)).header("origin") == origin


async def test_an_answer_without_cors_stays_without(up: Upstream) -> None:
    up.on(lambda request: plain(b"hello"))
    async with ServiceGateway(to_services(up, server=SERVER)) as gw:
        answer = await fetch(gw, "localhost", ("Origin", LISTED))
        assert (answer.status, cors_of(answer)) == (200, [])


@pytest.mark.parametrize(("origin", "readable"), [(LISTED, True), (PAGE, False)])
async def test_a_listed_origin_can_read_errors_of_the_gateway(origin: str, readable: bool, up: Upstream) -> None:
    expected = [("access-control-allow-origin", origin)] if readable else []
    async with ServiceGateway(to_services(up, route={"public": False}, auth=AUTH, server=SERVER)) as gw:
        refused = await fetch(gw, "localhost", ("Origin", origin))
        assert (refused.status, cors_of(refused)) == (401, expected)
        await up.stop()
        failed = await fetch(gw, "localhost", CREDENTIAL, ("Origin", origin))
        assert (failed.status, cors_of(failed)) == (502, expected)


async def test_a_page_uses_no_services_of_the_own_machine_without_a_credential(up: Upstream) -> None:
    async with ServiceGateway(to_services(up, server=SERVER)) as gw:
        for method, headers in (("POST", PREFLIGHT[:1]), ("OPTIONS", PREFLIGHT)):
            answer = await fetch(gw, "localhost", *headers, method=method)
            assert (answer.status, answer.json["error"]["code"]) == (403, "origin_not_allowed")
        assert up.requests == []
        assert (await fetch(gw, "localhost", ("Origin", LISTED), method="POST")).status == 200


async def test_a_page_may_use_public_routes_that_the_network_reaches(up: Upstream) -> None:
    async with ServiceGateway(to_services(up, server={"host": "0.0.0.0", "insecure": True})) as gw:
        answer = await fetch(gw, "localhost", ("Origin", PAGE), method="POST")
        assert (answer.status, cors_of(answer)) == (200, [("access-control-allow-origin", PAGE)])
