"""The health pages over real sockets, with a real catalog and its breakers."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.control.health.changes import MAX_CHANGES
from proxy.control.health.components import ComponentHealth
from proxy.control.health.handlers import PORTION
from proxy.control.health.monitor import CHECK_SECS
from tests.control.health.rig import VERSION, HealthRig
from tests.control.server import ControlServer
from tests.support.clock import MIDNIGHT

UP = ComponentHealth(True, MIDNIGHT - 60, 0.00123)
DOWN = ComponentHealth(False, MIDNIGHT - 30)
OPERATORS = ["/health/detailed", "/health/circuit-breakers", "/health/system", "/health/history"]
MODELS = ("a/m", "a/n", "b/m")


class HealthServer(ControlServer):
    """``async with HealthServer("provider/model") as plane``; ``rig`` is what it tells of."""

    def __init__(self, *models: str, **options: Any) -> None:
        def routes(plane: ControlServer) -> Any:
            self.rig = HealthRig(plane, *models, **options)
            return self.rig.routes()

        super().__init__(routes)

    async def __aexit__(self, *outcome: Any) -> None:
        self.rig.monitor.close()
        await super().__aexit__(*outcome)

    async def told(self, path: str) -> Any:
        """What the admin sees there."""
        answer = await self.ask("GET", path)
        assert answer.header("content-type") == "application/json"
        assert answer.header("cache-control") == "no-store"
        return answer.json


@pytest.fixture
async def plane() -> AsyncIterator[HealthServer]:
    async with HealthServer(*MODELS) as plane:
        yield plane


# -- for machines -------------------------------------------------------------------------------------


async def test_health_is_ok_when_every_component_is_up(plane: HealthServer) -> None:
    plane.rig.components = {"database": UP, "limiter": UP}
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok", "version": VERSION})


async def test_a_component_that_is_down_makes_health_degraded(plane: HealthServer) -> None:
    plane.rig.components = {"database": DOWN, "limiter": UP}
    answer = await plane.fetch("GET", "/health")
    down = {"database": {"status": "down", "since": MIDNIGHT - 30, "latencyMs": None}}
    assert (answer.status, answer.json) == (200, {"status": "degraded", "version": VERSION, "components": down})


async def test_a_vital_component_that_is_down_makes_health_a_503(plane: HealthServer) -> None:
    plane.rig.components = {"database": DOWN}
    plane.rig.fail_all()
    answer = await plane.fetch("GET", "/health")
    assert (answer.status, answer.json["status"]) == (503, "down")
    assert set(answer.json["components"]) == {"providers", "models", "database"}


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
    assert (await plane.fetch("GET", "/health")).json == {"status": "ok", "version": VERSION}  # a/m serves the name
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
    assert b"a/m" not in answer.body  # the page is open to anybody


async def test_models_are_degraded_while_one_is_served_and_down_when_none_is(plane: HealthServer) -> None:
    for label, expected in (("b/m", None), ("a/m", "degraded"), ("a/n", "down")):
        plane.rig.fail(label)
        plane.clock.advance(1)
        components = (await plane.fetch("GET", "/health")).json.get("components", {})
        assert components.get("models", {}).get("status") == expected
        changes = (await plane.told("/health/history"))["changes"]
    assert components["models"]["since"] == MIDNIGHT + 3
    assert [(each["from"], each["to"]) for each in reversed(changes) if each["what"] == "models"] == [
        ("up", "degraded"),
        ("degraded", "down"),
    ]


async def test_a_cooldown_of_every_key_takes_a_provider_out_of_service(plane: HealthServer) -> None:
    async def provider() -> dict[str, Any]:
        return (await plane.told("/health/detailed"))["providers"]["b"]

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
    assert since == MIDNIGHT + 30  # when it was noticed
    plane.clock.advance(30)
    # A breaker that would let a probe in must get one, or who looks here before sending traffic would wait for ever.
    assert (await plane.fetch("GET", "/health")).status == 200


async def test_a_provider_for_any_model_name_counts_as_up() -> None:
    """Or one client could close the gateway, by asking for what does not work."""
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


# -- for the operator ---------------------------------------------------------------------------------


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
    assert await plane.told("/health/detailed") == {
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


async def test_a_provider_is_up_since_its_first_deployment_and_down_since_its_last(
    plane: HealthServer,
) -> None:
    async def provider() -> dict[str, Any]:
        return (await plane.told("/health/detailed"))["providers"]["a"]

    plane.clock.advance(10)
    plane.rig.fail("a/m")
    assert ((await provider())["status"], (await provider())["since"]) == ("up", MIDNIGHT)
    plane.clock.advance(10)
    plane.rig.fail("a/n")
    assert ((await provider())["status"], (await provider())["since"]) == ("down", MIDNIGHT + 20)
    plane.clock.advance(55)  # the rest of the first is over since 5 s
    found = await provider()
    assert (found["status"], found["admitting"], found["since"]) == ("up", 1, MIDNIGHT + 70)


async def test_detailed_is_a_503_when_health_is(plane: HealthServer) -> None:
    plane.rig.fail_all()
    answer = await plane.ask("GET", "/health/detailed")
    assert (answer.status, answer.json["status"]) == (503, "down")


async def test_every_breaker_is_shown_and_counted_by_state(plane: HealthServer) -> None:
    plane.clock.advance(10)
    plane.rig.fail("b/m", "timeout")
    plane.rig.live("a/n").breaker.trip(plane.clock.now(), "operator")
    found = await plane.told("/health/circuit-breakers")
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
        assert (await plane.told("/health/circuit-breakers"))["breakers"] == []


async def test_more_breakers_than_one_portion_are_all_shown() -> None:
    models = [f"a/m{number}" for number in range(PORTION * 2 + 1)]
    async with HealthServer(*models) as plane:
        found = await plane.told("/health/circuit-breakers")
        assert [each["id"] for each in found["breakers"]] == models
        assert found["counts"]["closed"] == len(models)
        assert (await plane.told("/health/detailed"))["providers"]["a"]["deployments"] == len(models)


async def test_system_shows_the_resources_of_the_process(plane: HealthServer) -> None:
    plane.clock.advance(90)
    plane.rig.metrics.lag.last, plane.rig.metrics.lag.worst = 0.001, 0.0025  # type: ignore[union-attr]
    found = await plane.told("/health/system")
    assert (found["version"], found["python"], found["uptime"]) == (VERSION, platform.python_version(), 90.0)
    assert found["cpuSeconds"] > 0
    assert found["cpuPercent"] >= 0
    assert found["memoryBytes"] > 1024 * 1024
    assert 0 < found["openFiles"] <= found["maxOpenFiles"]
    assert (found["eventLoopLagMs"], found["eventLoopLagMaxMs"]) == (1.0, 2.5)


# -- the last hour ------------------------------------------------------------------------------------


async def changes(plane: HealthServer) -> list[dict[str, Any]]:
    return (await plane.told("/health/history"))["changes"]


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


async def test_components_are_checked_by_a_timer() -> None:
    looked = 0

    async with HealthServer("a/m") as plane:
        rig = plane.rig
        rig.components = {"limiter": UP}
        rig.monitor._check()  # what the timer does
        rig.components = {"limiter": DOWN}
        rig.monitor._check()
        rig.components = {"limiter": UP}
        rig.monitor._check()
        looked = len(await changes(plane))
    assert looked == 2
    assert rig.monitor._timer.when() - rig.monitor._loop.time() <= CHECK_SECS


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


# -- what the metrics are told ------------------------------------------------------------------------


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


async def test_during_an_outage_deployments_are_examined_once_a_second(plane: HealthServer) -> None:
    """Anybody may ask for /health as often as he likes, and there may be very many deployments."""
    for label in MODELS:
        plane.rig.fail(label)
    assert (await plane.fetch("GET", "/health")).status == 503
    plane.rig.live("a/m").breaker.reset(plane.clock.now())
    assert (await plane.fetch("GET", "/health")).status == 503
    plane.clock.advance(1)
    assert (await plane.fetch("GET", "/health")).status == 200
