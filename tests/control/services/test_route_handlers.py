"""Routes by the admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.config.schema import Config, DiscoverySettings
from proxy.services.specs import read_route, read_service
from tests.control.server import ControlServer
from tests.control.services.rig import Routing
from tests.support import Answer

SECRET = "Bearer the-secret-of-a-backend"
FILE = Config(
    services={"filed": read_service({"addresses": ["http://10.0.0.1:8000"]})},
    routes=[read_route({"path": "/filed", "service": "filed", "methods": ["GET"]})],
    discovery=DiscoverySettings(most_services=4),
)


@pytest.fixture
def routing() -> Routing:
    return Routing(FILE)


@pytest.fixture
async def plane(routing: Routing) -> AsyncIterator[ControlServer]:
    async with routing.plane() as plane:
        yield plane


def error(answer: Answer) -> tuple[int, str, str | None]:
    found = answer.json["error"]
    return answer.status, found["code"], found["param"]


async def test_a_route_is_made_shown_and_in_force(plane: ControlServer, routing: Routing) -> None:
    answer = await plane.ask("POST", "/routes", json={"path": "/api/v1/analyze", "service": "filed"})
    assert (answer.status, answer.header("etag")) == (201, '"1"')
    view = answer.json
    assert answer.header("location") == f"/routes/{view['id']}"
    assert (view["id"], view["path"], view["service"], view["source"]) == (
        "api.v1.analyze",
        "/api/v1/analyze",
        "filed",
        "api",
    )
    assert (view["services"], view["missing"], view["settings"]) == (
        {"filed": 1},
        [],
        {"path": "/api/v1/analyze", "service": "filed"},
    )
    shown = await plane.ask("GET", "/routes/api.v1.analyze")
    assert shown.json | {"notice": ""} == view | {"notice": ""}
    match = routing.services.table.match("x", "/api/v1/analyze/deep", "POST", {})
    assert match is not None
    assert match.route.id == "api.v1.analyze"


async def test_the_same_route_again_replaces_itself(plane: ControlServer) -> None:
    body = {"path": "/api", "service": "filed"}
    first = await plane.ask("POST", "/routes", json=body)
    again = await plane.ask("POST", "/routes", json=body | {"strip": True})
    assert (first.status, again.status, first.json["id"] == again.json["id"]) == (201, 200, True)
    assert again.json["settings"]["strip"] is True
    assert (await plane.ask("GET", "/routes")).json["total"] == 2
    other = await plane.ask("POST", "/routes", json=body | {"methods": ["POST"]})
    assert (other.status, other.json["id"]) == (201, "api.POST")


async def test_a_route_may_lead_to_a_service_that_is_not_there_yet(plane: ControlServer) -> None:
    answer = await plane.ask("POST", "/routes", json={"path": "/x", "split": {"filed": 3, "later": 1}})
    assert (answer.json["services"], answer.json["missing"]) == ({"filed": 3, "later": 1}, ["later"])
    await plane.ask("POST", "/services", json={"name": "later", "url": "http://10.0.0.9:1"})
    assert (await plane.ask("GET", f"/routes/{answer.json['id']}")).json["missing"] == []
    assert [each["id"] for each in (await plane.ask("GET", "/routes?service=later")).json["data"]] == ["x"]
    assert (await plane.ask("GET", "/services/later")).json["routes"] == ["x"]


@pytest.mark.parametrize(
    ("body", "param", "parts"),
    [
        ({"path": "api", "service": "filed"}, "path", ["begin with a slash"]),
        ({"path": "/api", "id": "a b", "methods": ["CONNECT"]}, "id", ["id: ", "methods[0]", "never relayed"]),
        ({"path": "/v1/chat/completions", "service": "filed"}, "path", ["gateway's own path"]),
        ({"path": "/services/x", "service": "filed"}, "path", ["gateway's own path"]),
        ({"path": "/a", "service": "filed", "srip": True}, "srip", ["srip", "strip"]),
        ({"path": "/a", "service": "filed", "scopes": ["x"]}, "scopes", ["scopes: need authentication: set auth.mode"]),
    ],
)
async def test_a_wrong_route_is_refused_whole_with_every_mistake(
    plane: ControlServer, body: dict[str, Any], param: str, parts: list[str]
) -> None:
    answer = await plane.ask("POST", "/routes", json=body)
    message = answer.json["error"]["message"]
    assert error(answer)[:2] == (400, "invalid_parameters"), message
    assert [part for part in parts if part not in message] == []
    assert param in (error(answer)[2] or message)
    assert (await plane.ask("GET", "/routes")).json["total"] == 1


async def test_a_route_of_the_file_is_changed_only_there_and_has_its_requests(plane: ControlServer) -> None:
    [view] = (await plane.ask("GET", "/routes")).json["data"]
    one = f"/routes/{view['id']}"
    assert (view["source"], view["version"]) == ("file", 0)
    for method, path, body in (
        ("PUT", one, {"path": "/filed", "service": "filed"}),
        ("PATCH", one, {"strip": True}),
        ("DELETE", one, None),
        ("POST", "/routes", {"id": view["id"], "path": "/z", "service": "filed"}),
        ("POST", "/routes", {"path": "/filed", "service": "filed", "methods": ["get"]}),
    ):
        more = {} if body is None else {"json": body}
        assert error(await plane.ask(method, path, **more)) == (409, "configured_route", None), (method, body)
    taken = await plane.ask("PUT", "/routes/other", json={"path": "/filed/", "service": "filed", "methods": ["GET"]})
    assert error(taken) == (409, "route_conflict", None)


async def test_put_patch_and_delete(plane: ControlServer) -> None:
    new = await plane.ask("PUT", "/routes/r1", json={"path": "/a", "service": "filed"})
    assert (new.status, new.header("location")) == (201, "/routes/r1")
    assert error(await plane.ask("POST", "/routes", json={"id": "r1", "path": "/b", "service": "filed"})) == (
        409,
        "route_exists",
        "id",
    )
    patched = await plane.ask("PATCH", "/routes/r1", json={"strip": True, "retries": {"attempts": 0}})
    assert patched.json["settings"] == {"path": "/a", "service": "filed", "strip": True, "retries": {"attempts": 0}}
    replaced = await plane.ask("PUT", "/routes/r1", json={"id": "r1", "path": "/b", "service": "filed"})
    assert (replaced.status, replaced.json["settings"]) == (200, {"path": "/b", "service": "filed"})
    assert error(await plane.ask("PUT", "/routes/r1", json={"id": "r2", "path": "/b"})) == (
        400,
        "invalid_parameters",
        "id",
    )
    stale = ("If-Match", new.header("etag") or "")
    assert (await plane.ask("DELETE", "/routes/r1", stale)).status == 412
    assert (await plane.ask("DELETE", "/routes/r1")).status == 204
    for method, more in (("GET", {}), ("DELETE", {}), ("PATCH", {"json": {}})):
        assert error(await plane.ask(method, "/routes/r1", **more)) == (404, "unknown_route", None)


async def test_values_of_headers_are_masked_and_can_be_sent_back(plane: ControlServer, routing: Routing) -> None:
    body = {"path": "/a", "service": "filed", "requestHeaders": {"set": {"Authorization": SECRET}}}
    answer = await plane.ask("PUT", "/routes/r1", json=body)
    masked = {"set": {"Authorization": "********"}}
    assert answer.json["settings"]["requestHeaders"] == masked
    again = await plane.ask("PUT", "/routes/r1", json=answer.json["settings"] | {"strip": True})
    assert again.status == 200
    await plane.ask("PATCH", "/routes/r1", json={"requestHeaders": {"set": {"x-new": "1"}}})
    entry = routing.services.entries.get("route", "r1")
    assert entry is not None
    assert entry.body["requestHeaders"] == {"set": {"Authorization": SECRET, "x-new": "1"}}
    changes = await plane.ask("GET", "/admin/routing-changes")
    assert SECRET not in changes.body.decode()
    assert changes.json["data"][-1]["after"]["requestHeaders"] == masked
    unknown = await plane.ask("PUT", "/routes/r2", json=answer.json["settings"] | {"path": "/b"})
    assert error(unknown)[:2] == (400, "invalid_parameters")


async def test_routes_are_listed_in_pages_and_bounded(plane: ControlServer) -> None:
    for number in range(4):
        answer = await plane.ask("POST", "/routes", json={"id": f"r{number}", "path": f"/{number}", "service": "filed"})
        assert answer.status == 201
    assert error(await plane.ask("POST", "/routes", json={"path": "/4", "service": "filed"})) == (
        409,
        "too_many_routes",
        None,
    )
    first = (await plane.ask("GET", "/routes?limit=3")).json
    assert ([each["id"] for each in first["data"]], first["has_more"], first["total"]) == (
        ["filed.GET", "r0", "r1"],
        True,
        5,
    )
    rest = (await plane.ask("GET", f"/routes?after={first['last_id']}")).json
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (["r2", "r3"], False)
