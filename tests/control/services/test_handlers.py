"""Services by the admin API: made, changed, deleted, and refused whole when something is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.config.schema import Config, DiscoverySettings
from proxy.config.service_schema import RouteSettings, ServerAddress
from proxy.services.discovery.base import SourceState
from proxy.services.specs import read_service
from tests.control.server import ControlServer
from tests.control.services.rig import Routing
from tests.support import Answer

A, B, C = "http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000"
FILE = Config(
    services={"filed": read_service({"addresses": [A], "consul": {"service": "filed"}})},
    routes=[RouteSettings(path="/filed", service="filed")],
    discovery=DiscoverySettings(most_services=5),
)


@pytest.fixture
def routing() -> Routing:
    return Routing(FILE)


@pytest.fixture
async def plane(routing: Routing) -> AsyncIterator[ControlServer]:
    async with routing.plane() as plane:
        yield plane


async def made(plane: ControlServer, **body: Any) -> dict[str, Any]:
    answer = await plane.ask("POST", "/services", json={"name": "backend"} | body)
    assert answer.status in (200, 201), answer.json
    return answer.json


def error(answer: Answer) -> tuple[int, str, str | None]:
    found = answer.json["error"]
    return answer.status, found["code"], found["param"]


def urls(view: dict[str, Any]) -> list[str]:
    return [each["url"] for each in view["addresses"]]


# -- create ---------------------------------------------------------------------------------------


async def test_a_service_is_made_shown_and_in_force(plane: ControlServer, routing: Routing) -> None:
    body = {"name": "backend", "addresses": [{"url": A, "weight": 2}, B], "health": {"path": "/health"}}
    answer = await plane.ask("POST", "/services", json=body)
    assert (answer.status, answer.header("location"), answer.header("etag")) == (201, "/services/backend", '"1"')
    view = answer.json
    assert (view["name"], view["source"], view["version"], view["health"]) == ("backend", "api", 1, "up")
    assert [(each["url"], each["weight"], each["source"]) for each in view["addresses"]] == [
        (A, 2, "settings"),
        (B, 1, "settings"),
    ]
    assert view["settings"]["health"] == {"path": "/health"}
    shown = await plane.ask("GET", "/services/backend")
    assert shown.json | {"notice": ""} == view | {"notice": ""}
    assert [each.url for each in routing.book.group("backend").addresses] == [A, B]


async def test_the_short_form_makes_a_service_then_adds_addresses_to_it(plane: ControlServer) -> None:
    first = await plane.ask("POST", "/services", json={"name": "backend", "url": A, "weight": 0.5})
    second = await plane.ask("POST", "/services", json={"name": "backend", "url": B})
    again = await plane.ask("POST", "/services", json={"name": "backend", "url": A, "weight": 3})
    assert [each.status for each in (first, second, again)] == [201, 200, 200]
    assert [(each["url"], each["weight"]) for each in again.json["addresses"]] == [(A, 3), (B, 1)]
    assert (again.json["url"], again.json["version"]) == (A, 3)


async def test_the_short_form_takes_settings_of_a_new_service_too(plane: ControlServer) -> None:
    view = await made(plane, url=A, strategy="round_robin")
    assert (urls(view), view["settings"]["strategy"]) == ([A], "round_robin")
    answer = await plane.ask("POST", "/services", json={"name": "backend", "url": B, "strategy": "weighted"})
    assert error(answer) == (409, "service_exists", "name")


async def test_a_service_that_is_there_is_not_replaced_by_post(plane: ControlServer) -> None:
    await made(plane, addresses=[A])
    answer = await plane.ask("POST", "/services", json={"name": "backend", "addresses": [B]})
    assert error(answer) == (409, "service_exists", "name")
    assert urls((await plane.ask("GET", "/services/backend")).json) == [A]


@pytest.mark.parametrize(
    ("body", "param", "parts"),
    [
        ({}, "name", ["name: is missing"]),
        ({"name": 7}, "name", ["expected text"]),
        ({"name": "a/b"}, "name", ["letters, digits"]),
        ({"name": "a", "url": "10.0.0.1"}, "url", ["url: "]),
        ({"name": "a", "url": A, "addresses": [B]}, "url", ["not allowed beside addresses"]),
        ({"name": "a", "addresses": [{"url": A, "wieght": 1}]}, "addresses[0]", ["wieght", "weight"]),
        ({"name": "", "url": A, "weight": -1, "stratgy": "x"}, "name", ["name: ", "weight: ", "stratgy"]),
        ({"name": "a", "health": {"path": "no", "timeoutSecs": "x"}}, "health.path", ["health.path", "timeoutSecs"]),
    ],
)
async def test_every_mistake_of_a_body_is_told_at_once_with_its_field(
    plane: ControlServer, body: dict[str, Any], param: str, parts: list[str]
) -> None:
    answer = await plane.ask("POST", "/services", json=body)
    assert error(answer) == (400, "invalid_parameters", param)
    message = answer.json["error"]["message"]
    assert [part for part in parts if part not in message] == []
    assert (await plane.ask("GET", "/services")).json["total"] == 1


async def test_there_may_be_only_so_many_services(plane: ControlServer) -> None:
    for number in range(4):
        await made(plane, name=f"s{number}", url=A)
    answer = await plane.ask("POST", "/services", json={"name": "one-more", "url": A})
    assert error(answer)[:2] == (400, "invalid_parameters")
    assert "at most 5 services" in answer.json["error"]["message"]


async def test_a_change_says_that_it_is_kept_in_memory_only(plane: ControlServer) -> None:
    view = await made(plane, url=A)
    assert "no database" in view["notice"]
    assert "notice" not in (await plane.ask("GET", "/services/backend")).json
    listed = (await plane.ask("GET", "/services")).json
    assert listed["store"] == {"kind": "memory", "durable": False, "version": 1, "error": ""}
    assert "no database" in listed["notice"]


# -- change ---------------------------------------------------------------------------------------


async def test_put_replaces_all_settings_and_makes_what_is_missing(plane: ControlServer) -> None:
    new = await plane.ask("PUT", "/services/backend", json={"addresses": [A], "strategy": "round_robin"})
    assert (new.status, new.header("location")) == (201, "/services/backend")
    answer = await plane.ask("PUT", "/services/backend", json={"name": "backend", "addresses": [B]})
    assert (answer.status, urls(answer.json), answer.json["settings"]) == (
        200,
        [B],
        {"addresses": [{"url": B, "weight": 1.0, "priority": 0, "region": ""}]},
    )
    wrong = await plane.ask("PUT", "/services/backend", json={"name": "other", "addresses": [{}]})
    assert error(wrong) == (400, "invalid_parameters", "name")
    assert "addresses[0].url" in wrong.json["error"]["message"]


async def test_patch_changes_what_it_names_and_null_is_the_default(plane: ControlServer) -> None:
    await made(plane, addresses=[A], health={"path": "/health", "intervalSecs": 5}, strategy="round_robin")
    answer = await plane.ask("PATCH", "/services/backend", json={"health": {"intervalSecs": 2}, "strategy": None})
    settings = answer.json["settings"]
    assert (settings["health"], settings.get("strategy")) == ({"path": "/health", "intervalSecs": 2}, None)
    assert urls(answer.json) == [A]
    assert (await plane.ask("PATCH", "/services/backend", json={"health": None})).json["settings"].get("health") is None
    wrong = await plane.ask("PATCH", "/services/backend", json={"strategy": "best"})
    assert error(wrong) == (400, "invalid_parameters", "strategy")
    assert error(await plane.ask("PATCH", "/services/none", json={})) == (404, "unknown_service", None)


async def test_delete_removes_the_service_and_what_was_set_of_it(plane: ControlServer, routing: Routing) -> None:
    await made(plane, addresses=[A])
    await plane.ask("PUT", "/services/backend/weight", json={"weight": 7})
    assert (await plane.ask("DELETE", "/services/backend")).status == 204
    assert error(await plane.ask("GET", "/services/backend")) == (404, "unknown_service", None)
    assert error(await plane.ask("DELETE", "/services/backend")) == (404, "unknown_service", None)
    assert "backend" not in routing.book.groups
    assert (await made(plane, addresses=[A]))["weight"] == 1


async def test_a_service_that_routes_lead_to_is_deleted_by_force_only(plane: ControlServer) -> None:
    await made(plane, addresses=[A])
    await plane.ask("POST", "/routes", json={"id": "r", "path": "/x", "service": "backend"})
    answer = await plane.ask("DELETE", "/services/backend")
    assert error(answer) == (409, "service_in_use", None)
    assert "lead to this service: r." in answer.json["error"]["message"]
    assert (await plane.ask("DELETE", "/services/backend?force=true")).status == 204
    assert (await plane.ask("GET", "/routes/r")).json["missing"] == ["backend"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/services", {"name": "filed", "url": B}),
        ("PUT", "/services/filed", {"addresses": [B]}),
        ("PATCH", "/services/filed", {"strategy": "round_robin"}),
        ("DELETE", "/services/filed", None),
        ("POST", "/services/filed/addresses", {"url": B}),
        ("DELETE", f"/services/filed/addresses?url={A}", None),
    ],
)
async def test_a_service_of_the_file_is_changed_only_there(
    plane: ControlServer, method: str, path: str, body: Any
) -> None:
    more = {} if body is None else {"json": body}
    answer = await plane.ask(method, path, **more)
    assert error(answer) == (409, "configured_service", None)
    assert "configured in the file" in answer.json["error"]["message"]
    view = (await plane.ask("GET", "/services/filed")).json
    assert (view["source"], view["version"], urls(view), view["routes"]) == ("file", 0, [A], ["filed"])


# -- If-Match --------------------------------------------------------------------------------------


async def test_a_change_of_an_older_version_is_refused(plane: ControlServer) -> None:
    await made(plane, addresses=[A])
    read = (await plane.ask("GET", "/services/backend")).header("etag") or ""
    changed = await plane.ask("PATCH", "/services/backend", ("If-Match", read), json={"weight": 2})
    assert changed.status == 200
    for method, path, body in (
        ("PATCH", "/services/backend", {"weight": 3}),
        ("PUT", "/services/backend", {"addresses": [B]}),
        ("POST", "/services/backend/addresses", {"url": B}),
        ("PUT", "/services/backend/weight", {"weight": 3}),
        ("PATCH", f"/services/backend/addresses?url={A}", {"drained": True}),
    ):
        answer = await plane.ask(method, path, ("If-Match", read), json=body)
        assert error(answer) == (412, "precondition_failed", None), (method, path)
    assert (await plane.ask("DELETE", "/services/backend", ("If-Match", f'W/{read}, "99"'))).status == 412
    current = changed.header("etag") or ""
    assert (await plane.ask("DELETE", "/services/backend", ("If-Match", f'"99", {current}'))).status == 204


async def test_what_is_there_and_what_is_not_can_be_required(plane: ControlServer) -> None:
    new, there = ("If-None-Match", "*"), ("If-Match", "*")
    assert (await plane.ask("PUT", "/services/backend", there, json={})).status == 412
    assert (await plane.ask("PUT", "/services/backend", new, json={})).status == 201
    assert (await plane.ask("PUT", "/services/backend", new, json={})).status == 412
    assert (await plane.ask("PUT", "/services/backend", there, json={})).status == 200


# -- lists, sources, who changed it ----------------------------------------------------------------


async def test_services_are_listed_in_pages_and_found_by_a_part_of_their_name(plane: ControlServer) -> None:
    for name in ("b", "a", "Chat-1"):
        await made(plane, name=name, url=A)
    first = (await plane.ask("GET", "/services?limit=2")).json
    assert ([each["name"] for each in first["data"]], first["has_more"], first["total"]) == (["Chat-1", "a"], True, 4)
    second = (await plane.ask("GET", f"/services?limit=2&after={first['last_id']}")).json
    assert ([each["name"] for each in second["data"]], second["has_more"]) == (["b", "filed"], False)
    assert [each["name"] for each in (await plane.ask("GET", "/services?search=CHAT")).json["data"]] == ["Chat-1"]


async def test_found_addresses_tell_their_source_and_its_state(plane: ControlServer, routing: Routing) -> None:
    routing.services.found("filed", "consul", [ServerAddress(B, weight=4, region="eu")])
    routing.states["filed"] = {"consul": SourceState(False, 1_700_000_000.5, "connection refused")}
    view = (await plane.ask("GET", "/services/filed")).json
    assert [(each["url"], each["source"], each["region"]) for each in view["addresses"]] == [
        (B, "consul", "eu"),
        (A, "settings", ""),
    ]
    assert view["sources"] == {
        "consul": {"up": False, "at": 1_700_000_000.5, "error": "connection refused", "addresses": 1}
    }


async def test_the_live_state_of_addresses_is_shown(plane: ControlServer, routing: Routing) -> None:
    await made(plane, addresses=[A, B])
    first, second = routing.book.group("backend").addresses
    first.requests, first.failures, first.in_flight, first.latency = 10, 3, 2, 0.25
    first.breaker.trip(routing.time, "connection refused")
    view = (await plane.ask("GET", "/services/backend")).json
    shown = view["addresses"][0]
    assert (shown["requests"], shown["failures"], shown["inFlight"], shown["latencyMs"]) == (10, 3, 2, 250)
    assert (shown["usable"], shown["breaker"]["state"], view["health"]) == (False, "open", "degraded")
    routing.book.note_health(second, False, routing.time)
    view = (await plane.ask("GET", "/services/backend")).json
    assert ([each["healthy"] for each in view["addresses"]], view["health"]) == ([None, False], "down")


async def test_every_change_is_listed_with_who_made_it(plane: ControlServer) -> None:
    address = ("x-test-address", "10.9.8.7")
    await plane.ask("POST", "/services", address, json={"name": "backend", "url": A})
    session = ("Cookie", f"sluice_admin={plane.credential.new_session()}")
    same = (session, ("Sec-Fetch-Site", "same-origin"))
    changed = await plane.fetch("PATCH", "/admin/services/backend", *same, json={"weight": 2})
    assert changed.status == 200
    await plane.ask("DELETE", "/services/backend")
    page = (await plane.ask("GET", "/admin/routing-changes?limit=2")).json
    assert [(each["version"], each["kind"], each["name"], each["by"]) for each in page["data"]] == [
        (3, "service", "backend", "admin token"),
        (2, "service", "backend", "session"),
    ]
    assert (page["data"][0]["after"], page["data"][1]["after"]["weight"], page["has_more"]) == (None, 2, True)
    last = (await plane.ask("GET", f"/admin/routing-changes?after={page['last_id']}")).json["data"][0]
    assert (last["by"], last["before"], last["at"][-1]) == ("admin token from 10.9.8.7", None, "Z")


@pytest.mark.parametrize("path", ["/services", "/services/x", "/routes", "/routes/x", "/services/x/addresses"])
async def test_without_the_token_nothing_is_shown(plane: ControlServer, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert (await plane.fetch(method, path)).status == 401
