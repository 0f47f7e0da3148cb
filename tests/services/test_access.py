"""Who may send requests to services, over real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from proxy.services.store.base import EntryChange
from tests.support import RawClient, Upstream
from tests.support.gateway import ADMIN
from tests.support.service_gateway import ServiceGateway, plain, to_services

PLAIN, PLAIN_HASH = new_key()
SCOPED, SCOPED_HASH = new_key()
AUTH: dict[str, Any] = {
    "mode": "keys",
    "keys": [
        {"name": "plain", "hash": PLAIN_HASH},
        {"name": "scoped", "hash": SCOPED_HASH, "scopes": ["analyze:read", "passthrough"]},
    ],
}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as found:
        yield found


async def get(gw: ServiceGateway, key: str = "", *headers: tuple[str, str]) -> Any:
    client: RawClient = await gw.client()
    given = [("Authorization", f"Bearer {key}")] if key else []
    return await client.fetch("GET", "/s", headers=[*given, *headers])


async def test_a_route_needs_a_credential_as_models_do_and_keeps_it(up: Upstream) -> None:
    up.on(lambda request: plain(b"yes"))
    async with ServiceGateway(to_services(up, route={"public": False}, auth=AUTH)) as gw:
        assert (await get(gw)).status == 401
        assert (await get(gw, "sk-wrong")).status == 401
        assert (await get(gw, PLAIN)).status == 200
        exchange = await gw.done(3)
    assert exchange.caller is not None
    assert exchange.caller.name == "plain"
    assert [request.header("authorization") for request in up.requests] == [None]


async def test_all_scopes_of_a_route_are_needed(up: Upstream) -> None:
    up.on(lambda request: plain(b"yes"))
    route = {"public": False, "scopes": ["analyze:read"]}
    async with ServiceGateway(to_services(up, route=route, auth=AUTH)) as gw:
        refused = await get(gw, PLAIN)
        assert refused.status == 403
        assert b"insufficient_scope" in refused.body
        assert b"analyze:read" in refused.body
        assert (await get(gw, SCOPED)).status == 200


async def test_a_stored_route_with_scopes_refuses_everybody_once_authentication_is_off(
    up: Upstream, tmp_path: Path
) -> None:
    """A wider route must not admit its requests. The log says so at the start."""
    config = to_services(up, route={"path": "/", "public": False}, database={}, dataDir=str(tmp_path))
    stored = EntryChange("route", "inner", {"path": "/s", "service": "s", "scopes": ["analyze:read"]})
    async with ServiceGateway(config | {"auth": AUTH}) as gw:
        await gw.app.services.follower.change(lambda entries: [stored], "test")
    async with ServiceGateway(config) as gw:
        answer = await get(gw)
        assert (answer.status, answer.json["error"]["code"]) == (403, "insufficient_scope")
        lines = [json.loads(line) for line in gw.log_lines]
        [line] = [each for each in lines if each.get("message") == "A route of the store refuses all requests."]
        assert (line["entry"], line["mistake"]) == ("route inner", "scopes: need authentication: set auth.mode")
    assert up.requests == []


async def test_a_public_route_passes_credentials_on(up: Upstream) -> None:
    up.on(lambda request: plain(b"yes"))
    async with ServiceGateway(to_services(up, auth=AUTH)) as gw:
        assert (await get(gw)).status == 200
        assert (await get(gw, "for-the-service")).status == 200
    assert [request.header("authorization") for request in up.requests] == [None, "Bearer for-the-service"]


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "X_Api_Key"])
async def test_a_public_route_keeps_keys_of_the_gateway(up: Upstream, name: str) -> None:
    """A client that sends its key with every request must not give it to a service that did not ask for it."""
    up.on(lambda request: plain(b"yes"))
    headers = [("Authorization", f"Bearer {PLAIN}"), *([] if name == "Authorization" else [(name, PLAIN)])]
    async with ServiceGateway(to_services(up, auth=AUTH)) as gw:
        assert (await get(gw, "", *headers)).status == 200
    assert PLAIN not in str(up.requests[0].headers)


async def test_a_public_route_keeps_keys_that_must_be_looked_up(up: Upstream, tmp_path: Path) -> None:
    up.on(lambda request: plain(b"yes"))
    async with ServiceGateway(
        to_services(up, auth={"mode": "keys"}, dataDir=str(tmp_path), database={"enabled": True})
    ) as gw:
        client = await gw.client()
        admin = [("Authorization", f"Bearer {ADMIN}")]
        made = await client.fetch("POST", "/auth/api-keys", json={"name": "n"}, headers=admin)
        key = made.json["key"]
        assert (await get(gw, key)).status == 200
        assert (await get(gw, "for-the-service")).status == 200
    assert [request.header("authorization") for request in up.requests] == [None, "Bearer for-the-service"]


async def test_a_public_route_passes_keys_of_the_gateway_on_if_it_says_so(up: Upstream) -> None:
    up.on(lambda request: plain(b"yes"))
    async with ServiceGateway(to_services(up, route={"forwardCredentials": True}, auth=AUTH)) as gw:
        assert (await get(gw, PLAIN)).status == 200
    assert up.requests[0].header("authorization") == f"Bearer {PLAIN}"


async def test_the_limits_of_a_route_apply(up: Upstream) -> None:
    up.on(lambda request: plain(b"yes"))
    async with ServiceGateway(to_services(up, route={"limits": {"requestsPerHour": 1}})) as gw:
        first = await get(gw)
        assert (first.status, first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")) == (
            200,
            "1",
            "0",
        )
        second = await get(gw)
        assert second.status == 429
        assert 0 < int(second.header("retry-after") or 0) <= 3600
        assert b"this route" in second.body


async def test_requests_to_services_count_for_their_client(up: Upstream) -> None:
    up.on(lambda request: plain(b"yes"))
    limits = {"enabled": True, "perClient": {"requestsPerHour": 1}}
    async with ServiceGateway(to_services(up, route={"public": False}, auth=AUTH, rateLimiting=limits)) as gw:
        assert [(await get(gw, key)).status for key in (PLAIN, PLAIN, SCOPED)] == [200, 429, 200]
