"""What health tells of what the gateway leans on, and to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from proxy.config.schema import Admin
from proxy.control.apikeys import ApiKeys
from proxy.control.login import Login
from proxy.control.pages import Component, Pages
from proxy.control.router import Route
from proxy.control.routes import routes as table
from proxy.observe.metrics import Metrics
from tests.control.served import Served

NOON = 1_700_049_600.5
UP = Component(True, NOON, 0.00123)
DOWN = Component(False, NOON)


async def no_keys() -> None:
    raise AssertionError("no key is asked for here")


def routes(plane: Served, components: dict[str, Component], settings: Admin) -> Iterable[Route]:
    pages = Pages(Metrics(version="1.2.3"), "1.2.3", lambda: components, lambda: False)
    keys = ApiKeys(no_keys, lambda: None, list, lambda hashes: None, plane.bodies)
    return table(settings, pages, Login(plane.credential, plane.attempts, plane.bodies), keys)


@pytest.fixture
def components() -> dict[str, Component]:
    return {"database": UP, "redis": UP}


@pytest.fixture
async def plane(components: dict[str, Component]) -> AsyncIterator[Served]:
    async with Served(lambda plane: routes(plane, components, Admin(protect_metrics=True))) as plane:
        yield plane


async def test_all_is_well(plane: Served) -> None:
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok", "version": "1.2.3"})


async def test_what_is_down_is_named_and_the_gateway_serves_on(plane: Served, components: dict[str, Component]) -> None:
    components["database"] = DOWN
    answer = await plane.fetch("GET", "/health")
    assert answer.status == 200
    assert answer.json == {
        "status": "degraded",
        "version": "1.2.3",
        "components": {"database": {"status": "down", "since": "2023-11-15T12:00:00Z"}},
    }


async def test_what_it_cannot_do_without_makes_it_a_503(plane: Served, components: dict[str, Component]) -> None:
    components["redis"] = Component(False, NOON, vital=True)
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json["status"]) == (503, "down")
    assert answer.json["components"] == {"redis": {"status": "down", "since": "2023-11-15T12:00:00Z"}}


async def test_the_admin_sees_every_component(plane: Served, components: dict[str, Component]) -> None:
    components["redis"] = DOWN
    assert (await plane.fetch("GET", "/health/detailed")).status == 401
    answer = await plane.ask("GET", "/health/detailed")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["components"] == {
        "database": {"status": "up", "since": "2023-11-15T12:00:00Z", "latencyMs": 1.23},
        "redis": {"status": "down", "since": "2023-11-15T12:00:00Z"},
    }


async def test_metrics_want_the_token_where_they_are_told_to(plane: Served) -> None:
    assert (await plane.fetch("GET", "/metrics")).status == 401
    answer = await plane.ask("GET", "/metrics")
    assert (answer.status, answer.header("content-type")) == (200, "text/plain; version=0.0.4; charset=utf-8")


async def test_metrics_are_open_by_default_like_health_and_readiness() -> None:
    async with Served(lambda plane: routes(plane, {}, Admin())) as plane:
        for path in ("/health", "/metrics"):
            assert (await plane.fetch("GET", path)).status == 200
        assert (await plane.fetch("GET", "/ready")).json == {"status": "ready"}
