"""Changes of routes as changes of entries."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.control.services.bodies import read_new_route
from proxy.control.services.route_plans import RoutePlans
from proxy.errors import ClientFault
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.specs import read_route


def plans(*routes: dict[str, Any], most: int = 10) -> RoutePlans:
    entries = [RoutingEntry("route", f"r{number}", body, number + 1) for number, body in enumerate(routes)]
    return RoutePlans(
        Entries.of(len(entries), entries), {"filed": read_route({"path": "/filed", "service": "s"})}, most
    )


def code(what: Any) -> str | None:
    with pytest.raises(ClientFault) as caught:
        what()
    return caught.value.code


@pytest.mark.parametrize(
    ("body", "id_"),
    [
        ({"path": "/a", "service": "new"}, "r0"),
        ({"path": "/a", "service": "x", "headers": {"X-Tenant": "*"}, "methods": ["get", "PUT"]}, "r1"),
        ({"path": "/a", "host": "example.org", "service": "s"}, "example.org.a"),
        ({"path": "/a/b", "service": "s"}, "a.b"),
        ({"id": "mine", "path": "/c", "service": "s"}, "mine"),
    ],
)
def test_a_route_without_an_id_takes_that_of_a_route_for_the_same_requests(body: dict[str, Any], id_: str) -> None:
    there = plans(
        {"path": "/a", "service": "s"},
        {"path": "/a", "service": "s", "methods": ["PUT", "GET"], "headers": {"x-tenant": "*"}},
    )
    assert there.create(read_new_route(body)).name == id_


def test_an_entry_that_this_version_does_not_understand_is_no_obstacle() -> None:
    there = plans({"path": "/a", "newMember": {"x": 1}})
    assert there.create(read_new_route({"path": "/b", "service": "s"})).name == "b"
    assert there.delete("r0").body is None


def test_a_made_id_is_not_taken_twice() -> None:
    there = RoutePlans(Entries.of(1, [RoutingEntry("route", "a", {"path": "/z", "service": "s"}, 1)]), {}, 10)
    assert there.create(read_new_route({"path": "/a", "service": "s"})).name == "a.2"


def test_only_the_named_route_may_have_its_requests() -> None:
    there = plans({"path": "/a", "service": "s"}, {"path": "/b", "service": "s"})
    assert code(lambda: there.replace("r1", {"path": "/a", "service": "s"})) == "route_conflict"
    assert code(lambda: there.patch("r1", {"path": "/filed", "service": "s"})) == "route_conflict"
    assert there.replace("r1", {"path": "/b", "strip": True, "service": "s"}).body == {
        "path": "/b",
        "strip": True,
        "service": "s",
    }


def test_routes_are_bounded_and_those_that_are_there_can_still_be_changed() -> None:
    there = plans({"path": "/a", "service": "s"}, {"path": "/b", "service": "s"}, most=2)
    assert code(lambda: there.replace("r2", {"path": "/c", "service": "s"})) == "too_many_routes"
    assert there.replace("r1", {"path": "/c", "service": "s"}).name == "r1"
