"""Addresses and weights by the admin API: added, drained, weighed, removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from proxy.config.schema import Config, DiscoverySettings
from proxy.config.service_schema import ServerAddress
from proxy.services.health.history import AddressHealth, HealthChange
from proxy.services.specs import read_service
from tests.control.server import ControlServer
from tests.control.services.rig import Routing
from tests.support import Answer

A, B, C = "http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://10.0.0.3:8000"
FILE = Config(
    services={"filed": read_service({"addresses": [A], "consul": {"service": "filed"}})},
    discovery=DiscoverySettings(most_services=5),
)


@pytest.fixture
def routing() -> Routing:
    return Routing(FILE)


@pytest.fixture
async def plane(routing: Routing) -> AsyncIterator[ControlServer]:
    async with routing.plane() as plane:
        await plane.ask("POST", "/services", json={"name": "backend", "addresses": [A, {"url": B, "weight": 2}]})
        yield plane


def error(answer: Answer) -> tuple[int, str, str | None]:
    found = answer.json["error"]
    return answer.status, found["code"], found["param"]


def address(name: str, url: str) -> str:
    return f"/services/{name}/addresses?url={quote(url, safe='')}"


def weights(answer: Answer) -> dict[str, float]:
    return {each["url"]: each["weight"] for each in answer.json["data"]}


async def test_an_address_is_added_replaced_and_removed(plane: ControlServer, routing: Routing) -> None:
    added = await plane.ask("POST", "/services/backend/addresses", json={"url": C, "weight": 0.5, "region": "eu"})
    assert (added.status, weights(added), added.header("etag")) == (200, {A: 1, B: 2, C: 0.5}, '"2"')
    replaced = await plane.ask("POST", "/services/backend/addresses", json={"url": C, "weight": 9})
    assert weights(replaced) == {A: 1, B: 2, C: 9}
    removed = await plane.ask("DELETE", address("backend", A))
    assert (removed.status, weights(removed)) == (200, {B: 2, C: 9})
    assert [each.url for each in routing.book.group("backend").addresses] == [B, C]
    assert error(await plane.ask("DELETE", address("backend", A))) == (404, "unknown_address", "url")


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "url"), ({"url": "x"}, "url"), ({"url": C, "weight": "a"}, "weight"), ({"url": C, "drained": True}, None)],
)
async def test_a_wrong_address_is_refused_with_its_field(
    plane: ControlServer, body: dict[str, Any], param: str | None
) -> None:
    answer = await plane.ask("POST", "/services/backend/addresses", json=body)
    assert error(answer)[:2] == (400, "invalid_parameters")
    assert param in (None, error(answer)[2])
    assert len((await plane.ask("GET", "/services/backend/addresses")).json["data"]) == 2


async def test_a_drained_address_gets_no_new_requests_until_it_is_no_longer_drained(
    plane: ControlServer, routing: Routing
) -> None:
    answer = await plane.ask("PATCH", address("backend", A), json={"drained": True})
    assert [(each["drained"], each["usable"]) for each in answer.json["data"]] == [(True, False), (False, True)]
    group = routing.book.group("backend")
    chosen = {found.url for _ in range(8) if (found := group.choose(routing.time)) is not None}
    assert chosen == {B}
    back = await plane.ask("PATCH", address("backend", A), json={"drained": False})
    assert [each["drained"] for each in back.json["data"]] == [False, False]
    assert (await plane.ask("GET", "/services/backend")).json["override"] == {}


async def test_any_address_can_be_drained_and_weighed_wherever_it_was_found(
    plane: ControlServer, routing: Routing
) -> None:
    routing.services.found("filed", "consul", [ServerAddress(B)])
    for url in (A, B):
        answer = await plane.ask("PATCH", address("filed", url), json={"drained": True, "weight": 0.25})
        assert answer.status == 200
    assert {each["url"]: (each["weight"], each["drained"]) for each in answer.json["data"]} == {
        A: (0.25, True),
        B: (0.25, True),
    }
    reset = await plane.ask("PATCH", address("filed", B), json={"weight": None})
    assert weights(reset) == {A: 0.25, B: 1}
    assert [each["drained"] for each in reset.json["data"]] == [True, True]


async def test_an_address_that_consul_found_again_is_still_drained(plane: ControlServer, routing: Routing) -> None:
    routing.services.found("filed", "consul", [ServerAddress(B)])
    await plane.ask("PATCH", address("filed", B), json={"drained": True})
    routing.services.found("filed", "consul", [])
    routing.services.found("filed", "consul", [ServerAddress(B)])
    shown = (await plane.ask("GET", "/services/filed/addresses")).json["data"]
    assert {each["url"]: each["drained"] for each in shown} == {A: False, B: True}


async def test_what_was_found_is_drained_and_not_removed(plane: ControlServer, routing: Routing) -> None:
    await plane.ask("PATCH", "/services/backend", json={"consul": {"service": "backend"}})
    routing.services.found("backend", "consul", [ServerAddress(C)])
    answer = await plane.ask("DELETE", address("backend", C))
    assert error(answer) == (409, "discovered_address", "url")
    assert "consul" in answer.json["error"]["message"]


async def test_priority_and_region_are_changed_of_own_addresses_only(plane: ControlServer) -> None:
    answer = await plane.ask("PATCH", address("backend", B), json={"priority": 2, "region": "eu", "weight": 3})
    assert [(each["priority"], each["region"], each["weight"]) for each in answer.json["data"]] == [
        (0, "", 1),
        (2, "eu", 3),
    ]
    assert error(await plane.ask("PATCH", address("filed", A), json={"priority": 2})) == (
        409,
        "configured_address",
        "priority",
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"drained": "maybe"}, "drained"),
        ({"drained": None}, "drained"),
        ({"weight": -1}, "weight"),
        ({"url": B}, "url"),
    ],
)
async def test_a_wrong_change_of_an_address_names_the_field(
    plane: ControlServer, body: dict[str, Any], param: str
) -> None:
    assert error(await plane.ask("PATCH", address("backend", A), json=body)) == (400, "invalid_parameters", param)


async def test_unknown_services_and_addresses_are_404(plane: ControlServer) -> None:
    assert error(await plane.ask("GET", "/services/none/addresses")) == (404, "unknown_service", None)
    assert error(await plane.ask("POST", "/services/none/addresses", json={"url": A}))[:2] == (404, "unknown_service")
    assert error(await plane.ask("PATCH", address("none", A), json={"drained": True}))[:2] == (404, "unknown_service")
    assert error(await plane.ask("PATCH", address("backend", C), json={"drained": True}))[1] == "unknown_address"
    assert error(await plane.ask("PATCH", "/services/backend/addresses", json={}))[::2] == (400, "url")


# -- health ---------------------------------------------------------------------------------------


async def test_the_health_of_addresses_with_its_history(plane: ControlServer, routing: Routing) -> None:
    await plane.ask("PATCH", "/services/backend", json={"health": {"path": "/health"}})
    changes = [HealthChange(1_700_000_010.0, False, "status 500"), HealthChange(1_700_000_000.0, True)]
    routing.checked["backend"] = [AddressHealth(A, False, 1_700_000_020.5, 0.25, "status 500", True, changes)]
    routing.book.note_health(routing.book.group("backend").addresses[0], False, routing.time)
    view = (await plane.ask("GET", "/services/backend/health")).json
    assert (view["health"], view["checks"]) == ("degraded", {"path": "/health"})
    first, second = view["addresses"]
    assert (first["usable"], first["healthy"], first["why"], first["tookMs"]) == (False, False, "status 500", 250)
    assert (first["checkedAt"], [each["healthy"] for each in first["changes"]]) == (1_700_000_020.5, [False, True])
    assert (second["usable"], second["healthy"], second["checkedAt"], second["changes"]) == (True, None, None, [])
    assert (await plane.ask("GET", "/services/filed/health")).json["checks"] is None
    assert error(await plane.ask("GET", "/services/none/health")) == (404, "unknown_service", None)


# -- weights ---------------------------------------------------------------------------------------


async def test_weights_of_a_service_and_of_its_addresses(plane: ControlServer, routing: Routing) -> None:
    answer = await plane.ask("PUT", "/services/backend/weight", json={"weight": 2.5})
    assert (answer.json["weight"], answer.json["addresses"], answer.json["known"]) == (2.5, {A: 1, B: 2}, True)
    assert routing.services.services["backend"].weight == 2.5
    answer = await plane.ask("PATCH", "/services/backend/weight", json={"weight": 4, "url": A})
    assert (answer.json["weight"], answer.json["addresses"]) == (2.5, {A: 4, B: 2})
    assert (await plane.ask("GET", "/services/backend/weight")).json["addresses"] == {A: 4, B: 2}
    for body in ({"weight": None}, {"weight": None, "url": A}):
        answer = await plane.ask("PUT", "/services/backend/weight", json=body)
    assert (answer.json["weight"], answer.json["addresses"]) == (1, {A: 1, B: 2})


async def test_the_weight_of_an_unknown_name_is_kept_until_it_comes(plane: ControlServer) -> None:
    for body in ({"weight": 5}, {"weight": 7, "url": A}):
        answer = await plane.ask("PUT", "/services/later/weight", json=body)
    assert (answer.status, answer.json["known"], answer.json["weight"]) == (200, False, 5)
    assert (await plane.ask("GET", "/services/later/weight")).json["addresses"] == {A: 7}
    made = await plane.ask("POST", "/services", json={"name": "later", "url": A, "weight": 1})
    assert (made.json["weight"], made.json["addresses"][0]["weight"]) == (5, 7)
    assert error(await plane.ask("GET", "/services/other/weight")) == (404, "unknown_service", None)


async def test_a_weight_of_an_unknown_name_is_taken_back(plane: ControlServer) -> None:
    await plane.ask("PUT", "/services/later/weight", json={"weight": 5})
    for _ in range(2):
        answer = await plane.ask("PUT", "/services/later/weight", json={"weight": None})
        assert (answer.status, answer.json["known"], answer.json["weight"]) == (200, False, 1)
    assert error(await plane.ask("GET", "/services/later/weight")) == (404, "unknown_service", None)


async def test_what_is_set_later_goes_before_what_was_set_earlier(plane: ControlServer) -> None:
    await plane.ask("PUT", "/services/backend/weight", json={"weight": 5})
    for url in (A, B):
        await plane.ask("PUT", "/services/backend/weight", json={"weight": 5, "url": url})
    again = await plane.ask("POST", "/services/backend/addresses", json={"url": A, "weight": 3})
    assert weights(again) == {A: 3, B: 5}
    await plane.ask("PATCH", "/services/backend", json={"weight": 2})
    replaced = await plane.ask("PUT", "/services/backend", json={"addresses": [A, B]})
    assert ({each["url"]: each["weight"] for each in replaced.json["addresses"]}, replaced.json["weight"]) == (
        {A: 1, B: 1},
        1,
    )


async def test_weights_for_unknown_names_are_bounded(plane: ControlServer) -> None:
    for number in range(5):
        assert (await plane.ask("PUT", f"/services/s{number}/weight", json={"weight": 2})).status == 200
    assert error(await plane.ask("PUT", "/services/s5/weight", json={"weight": 2})) == (409, "too_many_services", None)
    assert (await plane.ask("PUT", "/services/s4/weight", json={"weight": 3})).status == 200


@pytest.mark.parametrize(
    ("name", "body", "param"),
    [
        ("backend", {}, "weight"),
        ("backend", {"weight": "2"}, "weight"),
        ("backend", {"weight": -1}, "weight"),
        ("backend", {"weight": 1, "url": 3}, "url"),
        ("backend", {"weight": 1, "adress": A}, "adress"),
        ("a%20b", {"weight": 1}, "name"),
    ],
)
async def test_a_wrong_weight_names_the_field(
    plane: ControlServer, name: str, body: dict[str, Any], param: str
) -> None:
    answer = await plane.ask("PUT", f"/services/{name}/weight", json=body)
    assert error(answer) == (400, "invalid_parameters", param)
