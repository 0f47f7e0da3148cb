from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.services.specs import read_route
from proxy.services.table.route import ServiceRoute
from proxy.services.table.table import RouteTable


def table(*routes: dict[str, object]) -> RouteTable:
    return RouteTable(
        ServiceRoute.of(str(number), read_route({"service": "s", **each}), "file", (number, ""))
        for number, each in enumerate(routes)
    )


def found(made: RouteTable, path: str, method: str = "GET", host: str = "", **headers: str) -> str | None:
    match = made.match(host, path, method, CIMultiDict(headers))
    return None if match is None else match.route.id


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", None),
        ("/api", "0"),
        ("/api/", "0"),
        ("/api/x/y", "0"),
        ("/apix", None),
        ("/API", None),
        ("/api/v1", "1"),
        ("/api/v1/x", "1"),
        ("/api/v2", "2"),
        ("/api/v2/", "0"),
        ("/api/v2/x", "0"),
        ("/users/5", "3"),
        ("/users/me", "4"),
        ("/users/", None),
        ("/users/5/files/a", "5"),
        ("/users/5/files/a/b", "5"),
        ("/users/5/files/", None),
        ("/users/me/files/a", "5"),
        ("*", None),
    ],
)
def test_text_goes_before_parameters_and_the_longest_prefix_first(path: str, expected: str | None) -> None:
    made = table(
        {"path": "/api"},
        {"path": "/api/v1"},
        {"pattern": "/api/{version}"},
        {"pattern": "/users/{id}"},
        {"pattern": "/users/me"},
        {"pattern": "/users/{id}/files/{+rest}"},
    )
    assert found(made, path) == expected


def test_slash_alone_takes_every_path() -> None:
    made = table({"path": "/"}, {"pattern": "/"}, {"path": "/a"})
    assert [found(made, path) for path in ("/", "/b", "/b/c", "/a/c")] == ["1", "0", "0", "2"]


def test_the_host_decides_before_the_path() -> None:
    made = table(
        {"path": "/a/b/c"},
        {"path": "/", "host": "*.example.org"},
        {"path": "/", "host": "*.eu.example.org"},
        {"path": "/a", "host": "API.example.org"},
        {"path": "/", "host": "[::1]"},
    )
    hosts = (
        "",
        "other.org",
        "x.example.org:80",
        "a.b.eu.example.org",
        "Api.Example.Org.:8080",
        "[::1]:8",
        "example.org",
    )
    assert [found(made, "/a/b/c", host=host) for host in hosts] == ["0", "0", "1", "2", "3", "4", "0"]
    assert found(made, "/z", host="api.example.org") == "1"  # its own routes do not match


def test_more_conditions_go_first_and_then_the_first_configured() -> None:
    made = table(
        {"path": "/a"},
        {"path": "/a", "methods": ["get"]},
        {"path": "/a", "methods": ["GET"], "headers": {"X-Beta": "*"}},
        {"path": "/a", "headers": {"x-beta": "on"}},
        {"path": "/a", "headers": {"x-gamma": "on"}},
    )
    assert found(made, "/a", "POST") == "0"
    assert found(made, "/a") == "1"
    assert found(made, "/a", "HEAD") == "1"
    assert found(made, "/a", **{"x-beta": "any"}) == "2"
    assert found(made, "/a", "POST", **{"x-beta": "on", "x-gamma": "on"}) == "3"


def test_a_less_specific_route_serves_what_the_conditions_of_another_exclude() -> None:
    made = table({"path": "/a/b", "methods": ["POST"]}, {"pattern": "/a/{x}", "methods": ["PUT"]}, {"path": "/a"})
    assert [found(made, "/a/b", method) for method in ("POST", "PUT", "GET")] == ["0", "1", "2"]


def test_escapes_of_the_same_character_are_equal() -> None:
    made = table({"path": "/caf%C3%A9/a:b"}, {"path": "/"})
    assert [found(made, path) for path in ("/caf%c3%a9/a%3Ab/x", "/caf%C3%A9/%61:b", "/cafe/a:b")] == ["0", "0", "1"]


@pytest.mark.parametrize(
    "path",
    ["/api/../admin", "/api/%2e%2E/x", "/api//x", "/api/%ff", "/api/a%5Cb", "/api/x%2F..%2Fy", "/api/%252e%252e"],
)
def test_paths_that_servers_may_resolve_differently_are_refused(path: str) -> None:
    match = table({"path": "/api"}).match("", path, "GET", {})
    assert match is not None
    assert match.fault is not None
    assert (match.fault.status, match.fault.code) == (400, "bad_path")


def test_encoded_slashes_are_refused_where_they_would_lead_to_another_route() -> None:
    made = table({"path": "/", "public": True}, {"path": "/private", "scopes": ["a"]}, {"path": "/projects"})
    for path in ("/private%2Fkeys", "/private%252fkeys", "/%2Fprivate"):
        match = made.match("", path, "GET", {})
        assert match is not None
        assert match.fault is not None
    match = made.match("", "/projects/group%2Fname", "GET", {})
    assert match is not None
    assert (match.fault, match.path) == (None, "/projects/group%2Fname")
