"""The timer that checks components, and the gauges of breakers and components."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from proxy.control.health.monitor import CHECK_SECS
from tests.control.health.server import DOWN, MODELS, UP, HealthServer


@pytest.fixture
async def plane() -> AsyncIterator[HealthServer]:
    async with HealthServer(*MODELS) as plane:
        yield plane


async def test_components_are_checked_by_a_timer(plane: HealthServer) -> None:
    monitor = plane.rig.monitor
    for state in (UP, DOWN, UP):
        plane.rig.components = {"limiter": state}
        monitor._check()  # as the timer
    changes = (await plane.show("/health/history"))["changes"]
    assert [each["to"] for each in changes if each["what"] == "limiter"] == ["up", "down"]
    assert round(monitor._timer.when() - monitor._loop.time(), 3) <= CHECK_SECS


async def test_metrics_have_every_breaker_and_component(plane: HealthServer) -> None:
    plane.rig.components = {"limiter": DOWN}
    plane.rig.fail("b/m")
    assert [*plane.rig.metrics.breakers()] == [
        ("a/m", "a", "up-m", "closed"),
        ("a/n", "a", "up-n", "closed"),
        ("b/m", "b", "up-m", "open"),
    ]
    assert plane.rig.metrics.components() == {"providers": True, "models": True, "limiter": False}


async def test_model_names_from_clients_are_no_labels() -> None:
    async with HealthServer(open_=["a"]) as plane:
        live = plane.rig.registry.live("a/made-up@http://127.0.0.1:1/v1", unlisted=True)
        live.in_flight = 1
        live.breaker.trip(plane.clock.now(), "server_error")
        assert [*plane.rig.metrics.breakers()] == [("a/other", "a", "other", "open")]
