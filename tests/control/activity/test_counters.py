"""Counters since the start and per second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.dialects.usage import Usage
from proxy.routing.endpoints import MODELS, OPAQUE, UNROUTED
from tests.control.admin import TWO, AdminServer
from tests.support.clock import MIDNIGHT


@pytest.fixture
async def plane() -> AsyncIterator[AdminServer]:
    async with AdminServer(TWO) as plane:
        plane.activity.recorder.stop()
        yield plane


async def test_counters_begin_at_zero(plane: AdminServer) -> None:
    found = (await plane.ask("GET", "/admin/metrics")).json
    assert found.pop("uptime") < 10
    assert found == {
        "totalRequests": 0,
        "successfulRequests": 0,
        "failedRequests": 0,
        "disconnectedRequests": 0,
        "fallbacksUsed": 0,
        "avgLatency": None,
        "modelsAvailable": 1,
        "activeConnections": 0,
        "tokens": {"input": 0, "cached": 0, "output": 0, "reasoning": 0},
        "ledger": False,
        "currency": "USD",
        "usdRate": 1.0,
    }


async def test_requests_are_counted_by_outcome(plane: AdminServer) -> None:
    now = asyncio.get_running_loop().time()
    plane.settle(began=now - 1.0, ended=now, usage=Usage(1, 2, 3, 4))
    for outcome in ("error", "broken", "cancelled"):
        plane.settle(began=now - 3.0, ended=now, outcome=outcome, usage=None)
    plane.settle(began=now - 5.0, ended=now, outcome="client_gone", usage=None, fallback_used=True)
    plane.running = 7
    found = (await plane.ask("GET", "/admin/metrics")).json
    assert (found["totalRequests"], found["successfulRequests"], found["failedRequests"]) == (5, 1, 3)
    assert found["disconnectedRequests"] == 1
    assert (found["fallbacksUsed"], found["avgLatency"], found["activeConnections"]) == (1, 3000.0, 7)
    assert found["tokens"] == {"input": 1, "cached": 2, "output": 3, "reasoning": 4}


async def test_only_calls_to_models_are_counted(plane: AdminServer) -> None:
    for endpoint in (MODELS, OPAQUE, UNROUTED):
        plane.settle(endpoint=endpoint, outcome="error", error="x")
    plane.settle()
    plane.activity.recorder.tick()
    plane.activity.recorder.stop()
    assert (await plane.ask("GET", "/admin/metrics")).json["totalRequests"] == 1
    last = (await plane.ask("GET", "/admin/history?last=1")).json["seconds"][0]
    assert (last["requests"], last["errors"], last["tokens"]) == (1, 0, 30)
    assert len((await plane.ask("GET", "/admin/requests")).json["requests"]) == 4


async def test_a_model_is_available_while_one_deployment_gets_requests(plane: AdminServer) -> None:
    async def available() -> int:
        found: int = (await plane.ask("GET", "/admin/metrics")).json["modelsAvailable"]
        return found

    await plane.ask("POST", "/admin/state/up%2Fm/open")
    assert await available() == 1
    await plane.ask("POST", "/admin/state/m/open")
    assert await available() == 0


async def test_a_model_in_cooldown_is_not_available(plane: AdminServer) -> None:
    async def available() -> int:
        found: int = (await plane.ask("GET", "/admin/metrics")).json["modelsAvailable"]
        return found

    now = plane.clock.now()
    up, *twins = plane.catalog.deployments
    key = up.provider.keys.take(now)
    assert key is not None
    up.provider.keys.cool_down(key, now + 60, limited=True)
    twins[0].live.quota.cool_down(now + 60)
    assert await available() == 1
    twins[1].live.breaker.missing("chat/completions", now)
    assert await available() == 0
    plane.clock.advance(61)
    assert await available() == 1


async def test_the_history_has_no_gaps_and_ends_with_the_last_second(plane: AdminServer) -> None:
    plane.settle(fallback_used=True)
    plane.running = 2
    plane.activity.recorder.tick()
    plane.activity.recorder.stop()
    answer = (await plane.ask("GET", "/admin/history?last=3")).json
    assert answer["stepSecs"] == 1
    idle, before, last = answer["seconds"]
    assert [each["at"] - idle["at"] for each in (idle, before, last)] == [0, 1, 2]
    assert last["at"] == pytest.approx(MIDNIGHT, abs=5)
    assert (idle["requests"], idle["latencyMs"]) == (0, None)
    del last["at"]
    assert last == {
        "requests": 1,
        "errors": 0,
        "fallbacks": 1,
        "tokens": 30,
        "active": 2,
        "latencyMs": {"p50": 3000.0, "p95": 3000.0},
        "timeToFirstTokenMs": {"p50": 250.0, "p95": 250.0},
    }


async def test_the_default_history_is_fifteen_minutes(plane: AdminServer) -> None:
    assert len((await plane.ask("GET", "/admin/history")).json["seconds"]) == 900


@pytest.mark.parametrize("last", ["0", "901", "x", ""])
async def test_an_invalid_number_of_seconds_is_a_400(last: str, plane: AdminServer) -> None:
    answer = await plane.ask("GET", f"/admin/history?last={last}")
    assert (answer.status, answer.json["error"]["param"]) == (400, "last")


async def test_every_route_requires_the_admin(plane: AdminServer) -> None:
    assert (await plane.fetch("GET", "/admin/metrics")).status == 401
    assert (await plane.fetch("GET", "/admin/history")).status == 401


async def test_a_response_includes_what_has_just_ended(plane: AdminServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.observe.observers.BATCH_SECS", 1000.0)  # no batch is passed on by itself
    plane.observers.attach(asyncio.get_running_loop())
    plane.settle()
    assert (await plane.ask("GET", "/admin/metrics")).json["totalRequests"] == 1
    plane.settle()
    assert len((await plane.ask("GET", "/admin/requests")).json["requests"]) == 2


async def test_a_second_counts_what_ended_in_it(plane: AdminServer) -> None:
    plane.observers.attach(asyncio.get_running_loop())
    plane.settle()
    plane.activity.recorder.tick()
    plane.activity.recorder.stop()
    assert (await plane.ask("GET", "/admin/history?last=1")).json["seconds"][0]["requests"] == 1
