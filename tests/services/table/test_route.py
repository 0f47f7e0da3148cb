from __future__ import annotations

import pytest

from proxy.services.specs import read_route
from proxy.services.table.route import ServiceRoute


@pytest.mark.parametrize(
    ("path", "settings", "expected"),
    [
        ("/api/x", {"path": "/api"}, "/api/x"),
        ("/api/x", {"path": "/api", "strip": True}, "/x"),
        ("/api/", {"path": "/api", "strip": True}, "/"),
        ("/api", {"path": "/api", "strip": True}, "/"),
        ("/%61pi/a%2Fb", {"path": "/api", "strip": True}, "/a%2Fb"),
        ("/a/b/c/", {"path": "/a/b", "strip": True}, "/c/"),
        ("/x", {"path": "/", "strip": True}, "/x"),
        ("/api/x", {"path": "/api", "rewrite": "/v2"}, "/v2/x"),
        ("/api", {"path": "/api", "rewrite": "/v2/"}, "/v2/"),
        ("/api/x", {"path": "/api", "rewrite": "/v2/"}, "/v2/x"),
        ("/api/x", {"path": "/api", "rewrite": "/"}, "/x"),
        ("/x", {"path": "/", "rewrite": "/base"}, "/base/x"),
        ("/u/5/f/a/b", {"pattern": "/u/{id}/f/{+rest}", "rewrite": "/files/{rest}/of/{id}"}, "/files/a/b/of/5"),
        ("/u/a%2Fb", {"pattern": "/u/{id}", "rewrite": "/{id}"}, "/a%2Fb"),
        ("/u/5", {"pattern": "/u/{id}"}, "/u/5"),
    ],
)
def test_the_path_goes_on_as_the_route_says(path: str, settings: dict[str, object], expected: str) -> None:
    route = ServiceRoute.of("r", read_route({"service": "s", **settings}), "file", (0, ""))
    assert route.target(path) == expected


def test_header_rules_are_compiled_to_lines() -> None:
    rules = {"remove": ["X-Old"], "set": {"X-A": "1"}, "add": {"X-B": "2"}}
    route = ServiceRoute.of("r", read_route({"service": "s", "path": "/", "requestHeaders": rules}), "file", (0, ""))
    assert route.request_headers.removed == {b"x-old", b"x-a"}
    assert route.request_headers.lines == b"X-A: 1\r\nX-B: 2\r\n"
    assert not route.response_headers
