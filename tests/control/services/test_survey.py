"""What is in force, for views."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from proxy.config.schema import Config
from proxy.config.service_schema import ServerAddress
from proxy.control.clock import WallClock
from proxy.control.services.survey import ServiceSurvey
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.specs import read_route, read_service
from tests.control.services.rig import Routing

A, B = "http://a:1", "http://b:1"
FILE = Config(
    services={"filed": read_service({"addresses": [A], "dns": {"srv": "_http._tcp.filed"}})},
    routes=[read_route({"path": "/a", "service": "filed"}), read_route({"path": "/b", "split": {"filed": 1, "x": 2}})],
)


@pytest.fixture
def routing() -> Routing:
    return Routing(FILE)


@pytest.fixture
def survey(routing: Routing) -> ServiceSurvey:
    live: Any = SimpleNamespace(config=FILE)
    clock = WallClock(lambda: 1000.0, lambda: 1000.0)
    return ServiceSurvey(routing.services, routing.follower, live, lambda name: {}, clock)


def test_settings_go_before_what_was_found(routing: Routing, survey: ServiceSurvey) -> None:
    routing.services.found("filed", "dns", [ServerAddress(A), ServerAddress(B)])
    assert survey.sources("filed") == {A: "settings", B: "dns"}
    assert survey.sources("none") == {}


def test_routes_are_known_by_the_services_that_they_lead_to(survey: ServiceSurvey) -> None:
    assert survey.routes_by_service() == {"filed": ["a", "b"], "x": ["b"]}
    view = survey.route("b")
    assert view is not None
    assert (view.missing, view.source, view.version) == (["x"], "file", 0)
    assert survey.route("none") is None


def test_an_entry_that_is_wrong_is_told_and_left_out(routing: Routing, survey: ServiceSurvey) -> None:
    wrong = [RoutingEntry("service", "filed", {}, 1), RoutingEntry("route", "r", {"path": "no"}, 2)]
    routing.services.adopt_entries(Entries.of(2, wrong))
    assert {(each.kind, each.name) for each in survey.mistakes()} == {("service", "filed"), ("route", "r")}
    assert survey.service("filed", {}).source == "file"


def test_a_weight_is_known_of_a_service_or_of_a_name_that_got_one(routing: Routing, survey: ServiceSurvey) -> None:
    assert survey.weight("filed").weight == 1
    assert (survey.has_weight("filed"), survey.has_weight("later")) == (True, False)
    assert (survey.weight("later").weight, survey.weight("later").known) == (1, False)
    routing.services.adopt_entries(Entries.of(3, [RoutingEntry("override", "later", {"weight": 4}, 3)]))
    found = survey.weight("later")
    assert survey.has_weight("later")
    assert (found.weight, found.known, found.version) == (4, False, 3)
