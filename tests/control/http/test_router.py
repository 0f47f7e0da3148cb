"""Which paths are the control plane's, and what each answers to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.http.replies import send
from proxy.control.http.router import BELOW, EXACTLY, Route, Router
from proxy.errors import GatewayError
from proxy.server.connection import Request
from tests.control.served import Served


async def told(request: Request, *parameters: str) -> None:
    send(request, 200, {"method": request.method, "parameters": parameters})


async def failing(request: Request) -> None:
    raise GatewayError("It broke.", status=503, code="broken", retry_after=7)


def routes(_: object = None) -> Iterable[Route]:
    return [
        Route("GET", "/health", "open", told),
        Route("GET", "/admin/things", "admin", told),
        Route("POST", "/admin/things", "admin", told),
        Route("GET", "/admin/things/{id}", "admin", told),
        Route("POST", "/admin/things/{id}/parts/{part}", "admin", told),
        Route("POST", "/admin/any/{+id}/reset", "admin", told),
        Route("POST", "/admin/door", "open", told),
        Route("GET", "/admin/failing", "open", failing),
        Route("GET", "/", "open", told),
    ]


@pytest.fixture
async def plane() -> AsyncIterator[Served]:
    async with Served(routes) as plane:
        yield plane


def test_nothing_else_is_ours() -> None:
    router = Router(routes(), None, lambda: None, [].append)
    for path in (*EXACTLY, *(prefix + "x" for prefix in BELOW), "/", "/admin/things/1"):
        assert router.find(path) is not None, path
    for path in ("/v1/models", "/v1/chat/completions", "/healthz", "/adminx", "/authx/y", "/readyz", "/metrics/x", ""):
        assert router.find(path) is None, path


@given(st.text("adminuthelz/v1{}%."))
def test_a_path_is_ours_by_its_beginning_only(path: str) -> None:
    ours = path in (*EXACTLY, "/") or path.startswith(BELOW)
    assert (Router(routes(), None, lambda: None, [].append).find(path) is not None) == ours


async def test_what_is_not_there_is_a_404_for_the_admin_and_a_401_for_others(plane: Served) -> None:
    for path in ("/admin", "/admin/", "/admin/nothing", "/admin/things/1/parts", "/auth", "/auth/x"):
        assert (await plane.fetch("GET", path)).status == 401
        answer = await plane.ask("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_path")
    assert (await plane.fetch("GET", "/health/x")).status == 404


async def test_a_slash_at_the_end_of_a_page_makes_no_difference(plane: Served) -> None:
    for path in ("/health/", "/"):
        assert (await plane.fetch("GET", path)).status == 200
    for path in ("/admin/things/", "/admin/things/1/"):
        assert (await plane.fetch("GET", path)).status == 401
        assert (await plane.ask("GET", path)).status == 200
    assert Router(routes(), None, lambda: None, [].append).find("//") is None


async def test_a_parameter_may_be_more_than_one_segment(plane: Served) -> None:
    for name in ("a", "a/b", "a%2Fb", "a/reset/b"):
        answer = await plane.ask("POST", f"/admin/any/{name}/reset", body=b"")
        assert answer.json["parameters"] == [name.replace("%2F", "/")]


async def test_other_methods_are_a_405_that_says_which_but_not_to_everybody(plane: Served) -> None:
    answer = await plane.ask("DELETE", "/admin/things")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD, POST")
    assert answer.json["error"]["code"] == "method_not_allowed"
    assert (await plane.fetch("DELETE", "/admin/things")).status == 401
    answer = await plane.fetch("OPTIONS", "/health")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")
    assert (await plane.fetch("GET", "/admin/door")).header("allow") == "POST"


async def test_parameters_come_decoded_and_are_one_segment_each(plane: Served) -> None:
    answer = await plane.ask("GET", "/admin/things/config:a%2Fb%20c%25")
    assert answer.json["parameters"] == ["config:a/b c%"]
    answer = await plane.ask("POST", "/admin/things/1/parts/2", body=b"")
    assert answer.json["parameters"] == ["1", "2"]
    assert (await plane.ask("GET", "/admin/things/1/2")).status == 404
    assert (await plane.ask("GET", "/admin/things//")).status == 404


async def test_head_is_get_without_its_body(plane: Served) -> None:
    answer = await plane.ask("HEAD", "/admin/things")
    assert (answer.status, answer.body) == (200, b"")
    assert (await plane.fetch("HEAD", "/admin/things")).status == 401


async def test_a_query_changes_nothing(plane: Served) -> None:
    assert (await plane.ask("GET", "/admin/things?a=/admin/door")).json["method"] == "GET"


async def test_answers_are_kept_by_nobody_and_never_open_to_other_origins(plane: Served) -> None:
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


async def test_what_fails_is_told_in_the_shape_of_the_api(plane: Served) -> None:
    answer = await plane.fetch("GET", "/admin/failing")
    assert (answer.status, answer.header("retry-after")) == (503, "7")
    assert answer.json == {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": "broken"}}


async def test_a_body_that_nobody_asked_for_is_not_taken_for_the_next_request(plane: Served) -> None:
    client = await plane.client()
    assert (await client.fetch("POST", "/admin/door", body=b"GET /admin/things HTTP/1.1\r\n\r\n" * 1000)).status == 200
    assert (await client.fetch("GET", "/health")).json["method"] == "GET"


async def test_a_client_that_waits_to_be_asked_for_its_body_gets_its_401_first(plane: Served) -> None:
    client = await plane.client()
    headers = [("Expect", "100-continue"), ("Content-Length", "100")]
    await client.request("POST", "/admin/things", headers=headers)
    answer = await client.read_answer()
    assert (answer.status, answer.header("connection")) == (401, "close")
