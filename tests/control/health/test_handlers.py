"""The health routes over real sockets, with a real catalog and its breakers."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator

import pytest

from proxy.control.health.handlers import PORTION
from tests.control.health.rig import VERSION
from tests.control.health.server import DOWN, MODELS, UP, HealthServer
from tests.support.clock import MIDNIGHT

OPERATORS = ["/health/detailed", "/health/circuit-breakers", "/health/system", "/health/history"]


@pytest.fixture
async def plane() -> AsyncIterator[HealthServer]:
    async with HealthServer(*MODELS) as plane:
        yield plane


async def test_health_is_ok_when_every_component_is_up(plane: HealthServer) -> None:
    plane.rig.components = {"database": UP, "limiter": UP}
    plane.clock.advance(3)
    answer = await plane.fetch("GET", "/health")
    up = dict.fromkeys(("providers", "models", "database", "limiter"), "up")
    expected = {"status": "ok", "version": VERSION, "uptime": 3.0, "dependencies": up}
    assert (answer.status, answer.json) == (200, expected)


async def test_a_component_that_is_down_makes_health_degraded(plane: HealthServer) -> None:
    plane.rig.components = {"database": DOWN, "limiter": UP}
    answer = await plane.fetch("GET", "/health")
    down = {"database": {"status": "down", "since": MIDNIGHT - 30, "latencyMs": None}}
    assert (answer.status, answer.json["status"], answer.json["components"]) == (200, "degraded", down)
    assert answer.json["dependencies"] == {"providers": "up", "models": "up", "database": "down", "limiter": "up"}


async def test_a_vital_component_that_is_down_makes_health_a_503(plane: HealthServer) -> None:
    plane.rig.components = {"database": DOWN}
    plane.rig.fail_all()
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json["status"]) == (503, "down")
    assert set(answer.json["components"]) == {"providers", "models", "database"}


async def test_live_is_a_200_whatever_is_down(plane: HealthServer) -> None:
    plane.rig.fail_all()
    plane.rig.stopping = True
    answer = await plane.fetch("GET", "/health/live")
    assert (answer.status, answer.json) == (200, {"status": "alive"})


async def test_ready_is_a_503_while_the_gateway_stops(plane: HealthServer) -> None:
    answer = await plane.fetch("GET", "/ready")
    assert (answer.status, answer.json) == (200, {"status": "ready"})
    plane.rig.stopping = True
    answer = await plane.fetch("GET", "/ready")
    assert (answer.status, answer.json) == (503, {"status": "stopping"})


async def test_options_of_a_probe_answers_as_get_does(plane: HealthServer) -> None:
    plane.rig.stopping = True
    for path, status in (("/", 503), ("/ready", 503), ("/health", 200), ("/health/live", 200)):
        assert (await plane.fetch("OPTIONS", path)).status == status, path


@pytest.mark.parametrize("path", OPERATORS)
async def test_pages_for_the_operator_require_the_credential(path: str, plane: HealthServer) -> None:
    assert (await plane.fetch("GET", path)).status == 401
    assert (await plane.fetch("GET", f"/admin{path}")).status == 401
    assert (await plane.ask("GET", path)).status == 200
    assert (await plane.ask("GET", f"/admin{path}")).status == 200


@pytest.mark.parametrize("path", ["/health", "/health/live", "/ready", *OPERATORS])
async def test_head_has_the_headers_of_get(path: str, plane: HealthServer) -> None:
    answer = await plane.ask("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert (await plane.ask("POST", path)).status == 405


async def test_detailed_shows_every_component_and_provider(plane: HealthServer) -> None:
    plane.rig.components = {"database": UP, "limiter": DOWN}
    plane.clock.advance(10)
    plane.rig.fail("b/m")
    plane.rig.live("a/n").statistics.record_first_token(0.25, plane.clock.now())
    plane.rig.live("a/m").statistics.record_first_token(0.75, plane.clock.now())
    plane.clock.advance(5)
    assert await plane.show("/health/detailed") == {
        "status": "degraded",
        "version": VERSION,
        "uptime": 15.0,
        "components": {
            "providers": {"status": "up", "since": MIDNIGHT, "latencyMs": None},
            "models": {"status": "up", "since": MIDNIGHT, "latencyMs": None},
            "database": {"status": "up", "since": MIDNIGHT - 60, "latencyMs": 1.23},
            "limiter": {"status": "down", "since": MIDNIGHT - 30, "latencyMs": None},
        },
        "providers": {
            "a": {
                "status": "up",
                "since": MIDNIGHT,
                "latencyMs": 500.0,
                "deployments": 2,
                "admitting": 2,
                "blocked": [],
                "probes": [],
            },
            "b": {
                "status": "down",
                "since": MIDNIGHT + 10,
                "latencyMs": None,
                "deployments": 1,
                "admitting": 0,
                "blocked": [{"id": "b/m", "why": "the circuit breaker is open (server_error)", "until": MIDNIGHT + 70}],
                "probes": [],
            },
        },
    }


async def test_detailed_is_a_503_when_health_is(plane: HealthServer) -> None:
    plane.rig.fail_all()
    answer = await plane.ask("GET", "/health/detailed")
    assert (answer.status, answer.json["status"]) == (503, "down")


async def test_every_breaker_is_shown_and_counted_by_state(plane: HealthServer) -> None:
    plane.clock.advance(10)
    plane.rig.fail("b/m", "timeout")
    plane.rig.live("a/n").breaker.trip(plane.clock.now(), "operator")
    found = await plane.show("/health/circuit-breakers")
    assert found["counts"] == {"closed": 1, "open": 2, "half_open": 0, "unavailable": 0}
    assert [each["id"] for each in found["breakers"]] == list(MODELS)
    fresh, held, opened = (each["breaker"] for each in found["breakers"])
    assert fresh == {
        "state": "closed",
        "since": None,
        "held": False,
        "why": "",
        "failures": 0,
        "retryAt": None,
        "unavailableAt": [],
    }
    assert (held["state"], held["held"], held["retryAt"]) == ("open", True, None)
    assert (opened["since"], opened["why"], opened["retryAt"]) == (MIDNIGHT + 10, "timeout", MIDNIGHT + 70)


async def test_without_breakers_the_list_is_empty() -> None:
    async with HealthServer(open_=["a"]) as plane:
        assert (await plane.show("/health/circuit-breakers"))["breakers"] == []


async def test_more_breakers_than_one_portion_are_all_shown() -> None:
    models = [f"a/m{number}" for number in range(PORTION * 2 + 1)]
    async with HealthServer(*models) as plane:
        found = await plane.show("/health/circuit-breakers")
        assert [each["id"] for each in found["breakers"]] == models
        assert found["counts"]["closed"] == len(models)
        assert (await plane.show("/health/detailed"))["providers"]["a"]["deployments"] == len(models)


async def test_system_shows_the_resources_of_the_process(plane: HealthServer) -> None:
    plane.clock.advance(90)
    plane.rig.metrics.lag.last, plane.rig.metrics.lag.worst = 0.001, 0.0025  # type: ignore[union-attr]
    found = await plane.show("/health/system")
    assert (found["version"], found["python"], found["uptime"]) == (VERSION, platform.python_version(), 90.0)
    assert found["cpuSeconds"] > 0
    assert found["cpuPercent"] >= 0
    assert found["memoryBytes"] > 1024 * 1024
    assert 0 < found["openFiles"] <= found["maxOpenFiles"]
    assert (found["eventLoopLagMs"], found["eventLoopLagMaxMs"]) == (1.0, 2.5)
