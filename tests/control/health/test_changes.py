"""The log of state changes within the last hour."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.control.health.changes import MAX_CHANGES
from proxy.control.health.components import ComponentHealth
from tests.control.health.server import MODELS, UP, HealthServer
from tests.support.clock import MIDNIGHT


@pytest.fixture
async def plane() -> AsyncIterator[HealthServer]:
    async with HealthServer(*MODELS) as plane:
        yield plane


async def changes(plane: HealthServer) -> list[dict[str, Any]]:
    return (await plane.show("/health/history"))["changes"]


async def test_changes_of_a_breaker_are_listed_newest_first(plane: HealthServer) -> None:
    breaker = plane.rig.live("a/m").breaker
    plane.clock.advance(10)
    plane.rig.fail("a/m", "timeout")
    plane.clock.advance(60)
    entry = breaker.acquire("chat/completions", plane.clock.now())
    plane.clock.advance(1)
    breaker.succeed(entry, "chat/completions", plane.clock.now())
    assert await changes(plane) == [
        {"at": MIDNIGHT + 71, "what": "a/m", "from": "half_open", "to": "closed", "why": "it answered"},
        {"at": MIDNIGHT + 70, "what": "a/m", "from": "open", "to": "half_open", "why": "its cooldown is over"},
        {"at": MIDNIGHT + 10, "what": "a/m", "from": "closed", "to": "open", "why": "timeout"},
    ]


async def test_changes_by_an_operator_and_by_other_replicas_are_listed(plane: HealthServer) -> None:
    now, breaker = plane.clock.now(), plane.rig.live("a/m").breaker
    breaker.trip(now, "operator")
    breaker.reset(now)
    breaker.apply_remote("open", now, now, "server_error")
    breaker.apply_remote("closed", now, now, "")
    breaker.missing("embeddings", now)
    breaker.reload(now)
    assert [(each["from"], each["to"], each["why"]) for each in reversed(await changes(plane))] == [
        ("closed", "open", "operator"),
        ("open", "closed", "operator"),
        ("closed", "open", "server_error, reported by another replica"),
        ("open", "closed", "operator, reported by another replica"),
        ("closed", "unavailable", "no such model at embeddings"),
        ("unavailable", "closed", "the configuration was loaded again"),
    ]


async def test_a_change_of_a_component_has_its_own_time(plane: HealthServer) -> None:
    rig = plane.rig
    rig.components = {"limiter": UP}
    assert await changes(plane) == []
    rig.components = {"limiter": ComponentHealth(False, MIDNIGHT + 1.25)}
    await changes(plane)
    rig.components = {"limiter": ComponentHealth(True, MIDNIGHT + 3.5)}
    assert await changes(plane) == [
        {"at": MIDNIGHT + 3.5, "what": "limiter", "from": "down", "to": "up", "why": ""},
        {"at": MIDNIGHT + 1.25, "what": "limiter", "from": "up", "to": "down", "why": ""},
    ]


async def test_a_short_outage_of_a_component_is_one_change(plane: HealthServer) -> None:
    plane.rig.components = {"limiter": UP}
    await changes(plane)
    plane.rig.components = {"limiter": ComponentHealth(True, MIDNIGHT + 2)}
    [change] = await changes(plane)
    assert (change["from"], change["to"], change["why"]) == ("down", "up", "for less than a few seconds")


async def test_an_outage_of_every_provider_is_a_change(plane: HealthServer) -> None:
    await changes(plane)
    for label in MODELS:
        plane.rig.fail(label)
    models, whole, *breakers = await changes(plane)
    assert (models["what"], models["from"], models["to"]) == ("models", "up", "down")
    assert (whole["what"], whole["from"], whole["to"]) == ("providers", "up", "down")
    assert len(breakers) == len(MODELS)


async def test_changes_older_than_an_hour_are_not_listed(plane: HealthServer) -> None:
    plane.rig.fail("a/m")
    plane.clock.advance(1800)
    plane.rig.fail("a/n")
    assert {each["what"] for each in await changes(plane)} >= {"a/m", "a/n"}
    plane.clock.advance(1801)
    assert [each["what"] for each in await changes(plane) if each["what"] != "models"] == ["a/n"]


async def test_the_log_of_changes_is_bounded(plane: HealthServer) -> None:
    breaker = plane.rig.live("a/m").breaker
    for _ in range(MAX_CHANGES):
        breaker.trip(plane.clock.now(), "operator")
        breaker.reset(plane.clock.now())
    assert len(await changes(plane)) == MAX_CHANGES


async def test_changes_of_a_removed_provider_are_not_listed(plane: HealthServer) -> None:
    breaker = plane.rig.live("b/m").breaker
    plane.rig.load("a/m")
    breaker.trip(plane.clock.now(), "operator")
    assert await changes(plane) == []
