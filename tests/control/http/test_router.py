"""Paths, methods and credentials of the control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.own_paths import CONTROL_PATHS, CONTROL_PREFIXES
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute, Router
from proxy.errors import GatewayError
from proxy.identity import Client
from proxy.server.request import Request
from tests.control.server import BEARER, TOKEN, ControlServer


async def handler(request: Request, *parameters: str) -> None:
    send_json(request, 200, {"method": request.method, "parameters": parameters})


async def failing(request: Request) -> None:
    raise GatewayError("It broke.", status=503, code="broken", retry_after=7)


async def either(request: Request, client: Client | None, name: str) -> None:
    send_json(request, 200, {"client": None if client is None else client.id, "name": name})


def routes(_: object = None) -> Iterable[ControlRoute]:
    return [
        ControlRoute("GET", "/health", "open", handler),
        ControlRoute("GET", "/admin/things", "admin", handler),
        ControlRoute("POST", "/admin/things", "admin", handler),
        ControlRoute("GET", "/admin/things/{id}", "admin", handler),
        ControlRoute("POST", "/admin/things/{id}/parts/{part}", "admin", handler),
        ControlRoute("POST", "/admin/any/{+id}/reset", "admin", handler),
        ControlRoute("POST", "/admin/door", "open", handler),
        ControlRoute("GET", "/admin/failing", "open", failing),
        ControlRoute("GET", "/billing/{id}", "either", either),
        ControlRoute("GET", "/", "open", handler),
    ]


def unattached() -> Router:
    return Router(routes(), None, None, identify=None, flush=lambda: None, count=[].append)


@pytest.fixture
async def plane() -> AsyncIterator[ControlServer]:
    async with ControlServer(routes) as plane:
        yield plane


def test_other_paths_are_not_found() -> None:
    router = unattached()
    for path in (*CONTROL_PATHS, *(prefix + "x" for prefix in CONTROL_PREFIXES), "/", "/admin/things/1"):
        assert router.takes(path), path
    for path in ("/v1/models", "/v1/chat/completions", "/healthz", "/adminx", "/authx/y", "/readyz", "/metrics/x", ""):
        assert not router.takes(path), path


@given(st.text("adminuthelz/v1{}%."))
def test_a_path_is_found_by_its_prefix_only(path: str) -> None:
    ours = path in (*CONTROL_PATHS, "/") or path.startswith(CONTROL_PREFIXES)
    assert unattached().takes(path) == ours


async def test_an_unknown_path_is_a_404_for_the_admin_and_a_401_for_others(plane: ControlServer) -> None:
    for path in ("/admin", "/admin/", "/admin/nothing", "/admin/things/1/parts", "/auth", "/auth/x"):
        assert (await plane.fetch("GET", path)).status == 401
        answer = await plane.ask("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_path")
    assert (await plane.fetch("GET", "/health/x")).status == 404


async def test_a_trailing_slash_is_ignored(plane: ControlServer) -> None:
    for path in ("/health/", "/"):
        assert (await plane.fetch("GET", path)).status == 200
    for path in ("/admin/things/", "/admin/things/1/"):
        assert (await plane.fetch("GET", path)).status == 401
        assert (await plane.ask("GET", path)).status == 200
    assert not unattached().takes("//")


async def test_a_plus_parameter_matches_several_segments(plane: ControlServer) -> None:
    for name in ("a", "a/b", "a%2Fb", "a/reset/b"):
        answer = await plane.ask("POST", f"/admin/any/{name}/reset", body=b"")
        assert answer.json["parameters"] == [name.replace("%2F", "/")]


async def test_another_method_is_a_405_after_the_credential_check(plane: ControlServer) -> None:
    answer = await plane.ask("DELETE", "/admin/things")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD, POST")
    assert answer.json["error"]["code"] == "method_not_allowed"
    assert (await plane.fetch("DELETE", "/admin/things")).status == 401
    answer = await plane.fetch("OPTIONS", "/health")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")
    assert (await plane.fetch("GET", "/admin/door")).header("allow") == "POST"


async def test_parameters_are_decoded_segments(plane: ControlServer) -> None:
    answer = await plane.ask("GET", "/admin/things/config:a%2Fb%20c%25")
    assert answer.json["parameters"] == ["config:a/b c%"]
    answer = await plane.ask("POST", "/admin/things/1/parts/2", body=b"")
    assert answer.json["parameters"] == ["1", "2"]
    assert (await plane.ask("GET", "/admin/things/1/2")).status == 404
    assert (await plane.ask("GET", "/admin/things//")).status == 404


async def test_head_has_the_headers_of_get(plane: ControlServer) -> None:
    answer = await plane.ask("HEAD", "/admin/things")
    assert (answer.status, answer.body) == (200, b"")
    assert (await plane.fetch("HEAD", "/admin/things")).status == 401


async def test_the_query_does_not_affect_routing(plane: ControlServer) -> None:
    assert (await plane.ask("GET", "/admin/things?a=/admin/door")).json["method"] == "GET"


async def test_responses_are_not_cached_and_have_no_cors_headers(plane: ControlServer) -> None:
    origin = ("Origin", "https://chat.example")
    for answer in (
        await plane.ask("GET", "/admin/things", origin),
        await plane.fetch("GET", "/admin/things", origin),
        await plane.ask("GET", "/admin/nothing", origin),
        await plane.fetch("GET", "/admin/failing", origin),
    ):
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("content-type") == "application/json"
        assert not [name for name, _ in answer.head.headers if name.startswith("access-control-")]


async def test_errors_have_the_shape_of_the_api(plane: ControlServer) -> None:
    answer = await plane.fetch("GET", "/admin/failing")
    assert (answer.status, answer.header("retry-after")) == (503, "7")
    assert answer.json == {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": "broken"}}


async def test_an_unread_body_is_not_parsed_as_the_next_request(plane: ControlServer) -> None:
    client = await plane.client()
    assert (await client.fetch("POST", "/admin/door", body=b"GET /admin/things HTTP/1.1\r\n\r\n" * 1000)).status == 200
    assert (await client.fetch("GET", "/health")).json["method"] == "GET"


async def test_expect_continue_gets_a_401_without_sending_the_body(plane: ControlServer) -> None:
    client = await plane.client()
    headers = [("Expect", "100-continue"), ("Content-Length", "100")]
    await client.request("POST", "/admin/things", headers=headers)
    answer = await client.read_answer()
    assert (answer.status, answer.header("connection")) == (401, "close")


async def test_a_route_for_either_tells_the_client_from_the_admin(plane: ControlServer) -> None:
    assert (await plane.ask("GET", "/billing/1")).json == {"client": None, "name": "1"}
    answer = await plane.fetch("GET", "/billing/1", ("x-test-client", "a"))
    assert answer.json == {"client": "key:a", "name": "1"}
    answer = await plane.fetch("GET", "/billing/1")
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert answer.header("www-authenticate") == 'Bearer realm="sluice"'


async def test_a_wrong_credential_counts_as_a_guess_at_the_admin_token(plane: ControlServer) -> None:
    wrong = ("Authorization", "Bearer wrong")
    statuses = [(await plane.fetch("GET", "/billing/1", wrong)).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert (await plane.ask("GET", "/billing/1")).status == 429  # a token as short as that of the tests waits as well


async def test_a_client_cannot_guess_at_the_admin_token(plane: ControlServer) -> None:
    """A right and a wrong token beside a client's own credential get the same answer."""
    client = ("x-test-client", "a")
    for token in ("wrong", TOKEN):
        answer = await plane.fetch(
            "GET", "/billing/1", ("Authorization", f"Bearer {token}"), ("x-api-key", "k"), client
        )
        assert answer.json == {"client": "key:a", "name": "1"}
    answer = await plane.fetch("GET", "/billing/1", BEARER, ("x-api-key", "k"))
    assert answer.json == {"client": None, "name": "1"}
