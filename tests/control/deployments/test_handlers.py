"""The deployment routes: state, and changes of circuit breakers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.control.deployments.handlers import SLICE
from tests.control.admin import TWO, AdminServer
from tests.support.clock import MIDNIGHT


@pytest.fixture
async def plane() -> AsyncIterator[AdminServer]:
    async with AdminServer(TWO) as plane:
        yield plane


async def shown(plane: AdminServer, id_: str = "up/m") -> dict[str, Any]:
    answer = await plane.ask("GET", "/admin/state")
    assert answer.status == 200
    return next(each for each in answer.json["deployments"] if each["id"] == id_)


async def test_an_unused_deployment_is_shown_without_measurements(plane: AdminServer) -> None:
    assert await shown(plane) == {
        "id": "up/m",
        "name": "m",
        "provider": "up",
        "upstreamModel": "up-model",
        "type": "chat",
        "tags": ["quick"],
        "weight": 2.0,
        "contextSize": 8000,
        "speedTier": "medium",
        "available": True,
        "configured": True,
        "breaker": {
            "state": "closed",
            "since": None,
            "held": False,
            "why": "",
            "failures": 0,
            "retryAt": None,
            "unavailableAt": [],
        },
        "quotaRestsUntil": None,
        "keysRestUntil": None,
        "keys": 1,
        "keysResting": 0,
        "blocked": "",
        "requests": 0,
        "errors": 0,
        "slow": 0,
        "successRate": None,
        "latencyMs": None,
        "timeToFirstTokenMs": None,
        "tokensPerSecond": None,
        "latencySparkMs": [],
        "inFlight": 0,
        "maxConcurrent": 0,
        "lastError": None,
    }


async def test_each_address_of_a_provider_is_a_deployment_and_stays_hidden(plane: AdminServer) -> None:
    answer = await plane.ask("GET", "/admin/state")
    assert [each["id"] for each in answer.json["deployments"]] == ["up/m", "twin/m#1", "twin/m#2"]
    assert answer.json["now"] == MIDNIGHT
    assert b"127.0.0.1" not in answer.body


async def test_latency_and_speed_of_answers_are_shown(plane: AdminServer) -> None:
    now = plane.clock.now()
    plane.settle(plane.attempt("up/m", now - 3.0, first_content=now - 2.5, ended=now - 1.0))
    plane.settle(plane.attempt("up/m", now - 4.0, first_content=now - 3.0, ended=now), stream=False)
    found = await shown(plane)
    assert found["latencyMs"] == {"p50": 2000.0, "p95": 4000.0}
    assert found["timeToFirstTokenMs"] == {"p50": 500.0, "p95": 1000.0}
    assert found["latencySparkMs"] == [2000.0, 4000.0]
    assert found["tokensPerSecond"] == pytest.approx(60 / 4.5, abs=0.01)


async def test_the_sparkline_has_the_latest_thirty_durations(plane: AdminServer) -> None:
    for number in range(40):
        plane.settle(plane.attempt("up/m", 100.0, ended=100.0 + number))
    assert (await shown(plane))["latencySparkMs"] == [number * 1000.0 for number in range(10, 40)]


async def test_an_open_breaker_is_shown_with_cause_and_times(plane: AdminServer) -> None:
    live = plane.catalog.deployments[0].live
    plane.clock.advance(10)
    now = plane.clock.now()
    live.statistics.record(True, now)
    for _ in range(3):
        live.breaker.fail(live.breaker.acquire("chat/completions", now), now, "server_error")
        live.statistics.record(False, now)
    live.quota.cool_down(now + 7)
    live.in_flight = 2
    plane.clock.advance(5)
    plane.settle(plane.attempt("up/m", now, failure="server_error", reason="status 500", ended=now))
    found = await shown(plane)
    assert found["breaker"] == {
        "state": "open",
        "since": MIDNIGHT + 10,
        "held": False,
        "why": "server_error",
        "failures": 3,
        "retryAt": MIDNIGHT + 70,
        "unavailableAt": [],
    }
    assert (found["requests"], found["errors"], found["successRate"]) == (4, 3, 0.25)
    assert (found["inFlight"], found["quotaRestsUntil"]) == (2, MIDNIGHT + 17)
    assert found["lastError"] == {
        "at": MIDNIGHT + 10,
        "kind": "server_error",
        "reason": "status 500",
        "requestId": "req-1",
    }


async def test_an_endpoint_without_the_model_is_shown_with_its_retry_time(
    plane: AdminServer,
) -> None:
    live = plane.catalog.deployments[0].live
    live.breaker.missing("embeddings", plane.clock.now())
    breaker = (await shown(plane))["breaker"]
    assert (breaker["state"], breaker["unavailableAt"], breaker["retryAt"]) == (
        "unavailable",
        ["embeddings"],
        MIDNIGHT + 120,
    )


async def test_a_cooldown_of_every_key_is_shown(plane: AdminServer) -> None:
    provider = plane.catalog.providers["up"]
    key = provider.keys.take(plane.clock.now())
    assert key is not None
    provider.keys.cool_down(key, plane.clock.now() + 60)
    found = await shown(plane)
    assert (found["keysRestUntil"], found["keysResting"]) == (MIDNIGHT + 60, 1)
    assert found["blocked"] == "every key of the provider was refused"
    reset = (await plane.ask("POST", "/admin/state/up%2Fm/reset")).json
    assert (reset["keysRestUntil"], reset["blocked"]) == (None, "")


async def test_a_breaker_that_an_operator_opened_rejects_until_it_is_closed(plane: AdminServer) -> None:
    live = plane.catalog.deployments[0].live
    answer = await plane.ask("POST", "/admin/state/up%2Fm/open")
    assert answer.status == 200
    assert answer.json["id"] == "up/m"
    assert answer.json["breaker"] == {
        "state": "open",
        "since": MIDNIGHT,
        "held": True,
        "why": "operator",
        "failures": 0,
        "retryAt": None,
        "unavailableAt": [],
    }
    plane.clock.advance(10_000)
    assert not live.breaker.admits("chat/completions", plane.clock.now())
    answer = await plane.ask("POST", "/admin/state/up%2Fm/close")
    assert answer.json["breaker"]["state"] == "closed"
    assert live.breaker.admits("chat/completions", plane.clock.now())


async def test_close_keeps_statistics_and_reset_clears_them(plane: AdminServer) -> None:
    deployment = plane.catalog.deployments[0]
    now = plane.clock.now()
    deployment.live.statistics.record(False, now)
    deployment.live.quota.cool_down(now + 60)
    plane.settle(plane.attempt("up/m", now, failure="server_error", reason="status 500"))
    closed = (await plane.ask("POST", "/admin/state/up%2Fm/close")).json
    assert (closed["errors"], closed["lastError"] is None, closed["quotaRestsUntil"]) == (1, False, MIDNIGHT + 60)
    assert (await plane.ask("POST", "/admin/state/nowhere/m/reset")).json["error"]["code"] == "unknown_deployment"
    reset = (await plane.ask("POST", "/admin/state/up/m/reset")).json
    assert (reset["errors"], reset["lastError"], reset["quotaRestsUntil"], reset["successRate"]) == (
        0,
        None,
        None,
        None,
    )
    assert deployment.live.statistics.window == 300.0


async def test_a_model_name_changes_all_its_deployments(plane: AdminServer) -> None:
    answer = await plane.ask("POST", "/admin/state/m/open")
    assert [(each["id"], each["breaker"]["state"]) for each in answer.json["deployments"]] == [
        ("up/m", "open"),
        ("twin/m#1", "open"),
        ("twin/m#2", "open"),
    ]


async def test_one_address_is_changed_by_its_number(plane: AdminServer) -> None:
    assert (await plane.ask("POST", "/admin/state/twin%2Fm%232/open")).json["id"] == "twin/m#2"
    assert [each.live.breaker.state for each in plane.catalog.deployments] == ["closed", "closed", "open"]


async def test_an_unknown_deployment_is_a_404(plane: AdminServer) -> None:
    answer = await plane.ask("POST", "/admin/state/up%2Fother/open")
    assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_deployment")
    assert all(each.live.breaker.state == "closed" for each in plane.catalog.deployments)


async def test_every_route_requires_the_admin(plane: AdminServer) -> None:
    assert (await plane.fetch("GET", "/admin/state")).status == 401
    assert (await plane.fetch("POST", "/admin/state/m/open")).status == 401
    assert plane.catalog.deployments[0].live.breaker.state == "closed"


async def test_many_deployments_are_all_shown() -> None:
    names = [f"m{number}" for number in range(3 * SLICE + 1)]
    many = TWO | {"models": [{"name": name, "provider": "up"} for name in names]}
    async with AdminServer(many) as plane:
        answer = await plane.ask("GET", "/admin/state")
        assert [each["name"] for each in answer.json["deployments"]] == names


async def test_reset_clears_what_ended_just_before(plane: AdminServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.observe.observers.BATCH_SECS", 1000.0)  # no batch is passed on by itself
    plane.observers.attach(asyncio.get_running_loop())
    plane.settle(plane.attempt("up/m", 100.0))
    assert (await plane.ask("POST", "/admin/state/up%2Fm/reset")).json["latencyMs"] is None
    plane.observers.flush()
    (view, *_) = (await plane.ask("GET", "/admin/state")).json["deployments"]
    assert (view["id"], view["latencyMs"]) == ("up/m", None)
