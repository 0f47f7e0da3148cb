"""Troubles of components and probes."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.control.attention.components import ComponentTroubles
from proxy.control.attention.trouble import Trouble
from proxy.control.health.components import ComponentHealth
from proxy.control.health.views import ProbeView
from tests.support.gateway import to_config

DOWN = ComponentHealth(False, 7.0)


async def found(
    components: Mapping[str, ComponentHealth], *probes: ProbeView, providers: tuple[str, ...] = ("up",), **sections: Any
) -> list[Trouble]:
    live: Any = SimpleNamespace(config=to_config(sections), catalog=SimpleNamespace(providers=dict.fromkeys(providers)))
    return await ComponentTroubles(live, lambda: components, lambda name: probes).find()


async def test_components_that_are_up_are_no_trouble() -> None:
    assert await found({"database": ComponentHealth(True, 0.0)}) == []


async def test_without_a_provider_nothing_is_served() -> None:
    [trouble] = await found({"providers": DOWN}, providers=())
    assert (trouble.severity, trouble.what) == ("critical", "Providers")


async def test_models_and_the_recorder_have_entries_of_their_own() -> None:
    assert await found({"models": DOWN, "recorder": DOWN}) == []


@pytest.mark.parametrize(("policy", "severity"), [("local", "warning"), ("open", "warning"), ("closed", "error")])
async def test_redis_is_an_error_if_requests_are_refused_meanwhile(policy: str, severity: str) -> None:
    [trouble] = await found({"limiter": DOWN}, rateLimiting={"onStoreFailure": policy})
    assert (trouble.severity, trouble.what, trouble.since) == (severity, "Redis, rate limits", 7.0)


@pytest.mark.parametrize(
    ("name", "health", "severity", "what", "why"),
    [
        ("providers", ComponentHealth(False, 0.0, vital=True), "critical", "Providers", "no deployment is in service"),
        ("database", DOWN, "error", "Database", "does not respond"),
        ("breakers", DOWN, "warning", "Redis, circuit breakers", "does not respond"),
        ("ledger", DOWN, "error", "Ledger", "its spool is full: every request is refused"),
        ("other", ComponentHealth(False, 0.0, why="behind", partly=True), "warning", "Other", "behind"),
        ("other", DOWN, "error", "Other", "is down"),
    ],
)
async def test_a_component_that_is_down(name: str, health: ComponentHealth, severity: str, what: str, why: str) -> None:
    [trouble] = await found({name: health})
    assert (trouble.severity, trouble.what) == (severity, what)
    assert trouble.why.startswith(why)


async def test_failed_probes_of_a_provider_are_one_warning() -> None:
    down, up = ProbeView(5.0, "down", 1.0, "status 500"), ProbeView(5.0, "up", 1.0, "")
    [trouble] = await found({}, up, down, down)
    assert (trouble.kind, trouble.what, trouble.why) == ("probe", "up", "the last probe failed: status 500")
    assert (trouble.since, trouble.count) == (5.0, 2)
