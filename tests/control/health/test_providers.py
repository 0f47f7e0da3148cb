"""The health of providers and models as their circuit breakers change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.control.health.server import MODELS, HealthServer
from tests.support.clock import MIDNIGHT


@pytest.fixture
async def plane() -> AsyncIterator[HealthServer]:
    async with HealthServer(*MODELS) as plane:
        yield plane


async def test_health_is_degraded_while_a_provider_lacks_a_model_at_its_own_endpoint(
    plane: HealthServer,
) -> None:
    for deployment in plane.rig.catalog.deployments:
        deployment.live.breaker.missing("moderations", plane.clock.now())
    assert (await plane.fetch("GET", "/health")).json["status"] == "ok"
    for deployment in plane.rig.catalog.deployments[:2]:
        deployment.live.breaker.missing("chat/completions", plane.clock.now())
    plane.clock.advance(1)
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["components"]["models"]["why"] == "1 of 2 models have no deployment in service"


async def test_health_is_degraded_while_a_model_has_no_deployment_in_service(plane: HealthServer) -> None:
    plane.rig.fail("b/m")
    assert (await plane.fetch("GET", "/health")).json["status"] == "ok"  # a/m serves the name
    plane.rig.fail("a/m")
    plane.clock.advance(1)
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["components"]["models"] == {
        "status": "degraded",
        "since": MIDNIGHT + 1,
        "latencyMs": None,
        "why": "1 of 2 models have no deployment in service",
    }
    assert b"a/m" not in answer.body  # the page is open to everyone


async def test_models_are_degraded_while_one_is_served_and_down_when_none_is(plane: HealthServer) -> None:
    for label, expected in (("b/m", None), ("a/m", "degraded"), ("a/n", "down")):
        plane.rig.fail(label)
        plane.clock.advance(1)
        components = (await plane.fetch("GET", "/health")).json.get("components", {})
        assert components.get("models", {}).get("status") == expected
        changes = (await plane.show("/health/history"))["changes"]
    assert components["models"]["since"] == MIDNIGHT + 3
    assert [(each["from"], each["to"]) for each in reversed(changes) if each["what"] == "models"] == [
        ("up", "degraded"),
        ("degraded", "down"),
    ]


async def test_a_cooldown_of_every_key_takes_a_provider_out_of_service(plane: HealthServer) -> None:
    async def provider() -> dict[str, Any]:
        return (await plane.show("/health/detailed"))["providers"]["b"]

    deployment = next(each for each in plane.rig.catalog.deployments if each.label == "b/m")
    deployment.live.quota.cool_down(plane.clock.now() + 30)
    found = await provider()
    assert (found["status"], found["admitting"]) == ("up", 0)
    assert found["blocked"] == [{"id": "b/m", "why": "the provider's rate limit is used up", "until": MIDNIGHT + 30}]
    keys = deployment.provider.keys
    key = keys.take(plane.clock.now())
    assert key is not None
    keys.cool_down(key, plane.clock.now() + 60, limited=True)
    found = await provider()
    assert found["status"] == "down"
    assert found["blocked"] == [
        {"id": "b/m", "why": "every key of the provider is rate-limited", "until": MIDNIGHT + 60}
    ]


async def test_health_is_a_503_while_no_provider_is_in_service(plane: HealthServer) -> None:
    for label in MODELS:
        assert (await plane.fetch("GET", "/health")).status == 200
        plane.rig.fail(label)
    plane.clock.advance(30)
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json["status"]) == (503, "down")
    since = answer.json["components"]["providers"]["since"]
    assert since == MIDNIGHT + 30  # when it was checked
    plane.clock.advance(30)
    # A breaker that would admit a probe counts as in service: a load balancer must send the request that closes it.
    assert (await plane.fetch("GET", "/health")).status == 200


async def test_a_provider_for_any_model_name_counts_as_up() -> None:
    """Otherwise one client could make health a 503, by requesting a model that does not exist."""
    async with HealthServer(open_=["a"]) as plane:
        live = plane.rig.registry.live("a/made-up@http://127.0.0.1:1/v1", unlisted=True)
        live.breaker.trip(plane.clock.now(), "server_error")
        assert (await plane.fetch("GET", "/health")).json["status"] == "ok"


async def test_unavailable_models_do_not_count() -> None:
    async with HealthServer("a/m", "a/off") as plane:
        plane.rig.fail("a/m")
        assert (await plane.fetch("GET", "/health")).status == 503
        found = (await plane.ask("GET", "/health/detailed")).json["providers"]["a"]
        assert (found["status"], found["deployments"]) == ("down", 1)


async def test_a_provider_is_up_since_its_first_deployment_and_down_since_its_last(
    plane: HealthServer,
) -> None:
    async def provider() -> dict[str, Any]:
        return (await plane.show("/health/detailed"))["providers"]["a"]

    plane.clock.advance(10)
    plane.rig.fail("a/m")
    assert ((await provider())["status"], (await provider())["since"]) == ("up", MIDNIGHT)
    plane.clock.advance(10)
    plane.rig.fail("a/n")
    assert ((await provider())["status"], (await provider())["since"]) == ("down", MIDNIGHT + 20)
    plane.clock.advance(55)  # the cooldown of the first ended 5 s ago
    found = await provider()
    assert (found["status"], found["admitting"], found["since"]) == ("up", 1, MIDNIGHT + 70)


async def test_during_an_outage_deployments_are_examined_once_a_second(plane: HealthServer) -> None:
    """/health is open to everyone, and there may be very many deployments."""
    for label in MODELS:
        plane.rig.fail(label)
    assert (await plane.fetch("GET", "/health")).status == 503
    plane.rig.live("a/m").breaker.reset(plane.clock.now())
    assert (await plane.fetch("GET", "/health")).status == 503
    plane.clock.advance(1)
    assert (await plane.fetch("GET", "/health")).status == 200
