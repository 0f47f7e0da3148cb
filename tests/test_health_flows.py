"""The health of a running gateway: a provider that fails and recovers, and the credentials of each page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import Upstream, completion, error_json, json_answer, until
from tests.support.clock import MIDNIGHT, FakeClock
from tests.support.gateway import ADMIN, Gateway, one_provider

CALL = {"model": "m", "messages": []}
BEARER = ("Authorization", f"Bearer {ADMIN}")
CIRCUIT = {"failureThreshold": 2, "cooldownPeriodSecs": 60, "successThreshold": 1}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


async def show(gw: Gateway, path: str, status: int = 200) -> Any:
    client = await gw.client()
    answer = await client.fetch("GET", path, headers=[BEARER])
    assert answer.status == status, answer.body
    return answer.json


async def test_a_failing_provider_is_shown_in_health_metrics_and_log(up: Upstream) -> None:
    clock = FakeClock()
    async with Gateway(one_provider(up, circuitBreaker=CIRCUIT), clock=clock) as gw:
        client = await gw.client()

        async def ask() -> int:
            return (await client.fetch("POST", "/v1/chat/completions", json=CALL)).status

        clock.advance(100)
        up.on(lambda request: json_answer(error_json(), 500))
        assert [await ask() for _ in range(3)] == [502, 502, 503]
        assert len(up.requests) == 2  # the third found the breaker open
        health = await show(gw, "/health", 503)
        assert (health["status"], set(health["components"])) == ("down", {"providers", "models"})
        [breaker] = (await show(gw, "/health/circuit-breakers"))["breakers"]
        assert breaker["id"] == "up/m"
        assert breaker["breaker"] == {
            "state": "open",
            "since": MIDNIGHT + 100,
            "held": False,
            "why": "server_error",
            "failures": 2,
            "retryAt": MIDNIGHT + 160,
            "unavailableAt": [],
        }
        detailed = await show(gw, "/health/detailed", 503)
        assert detailed["providers"]["up"]["status"] == "down"
        assert detailed["components"]["providers"]["status"] == "down"
        assert 'circuit_breaker_state{deployment="up/m",provider="up",model="up-model",state="open"} 1' in await page(
            gw
        )
        assert 'gateway_component_up{component="providers"} 0' in await page(gw)
        assert 'llm_requests_errors_total{kind="no_candidate"} 1' in await page(gw)

        clock.advance(60)
        up.on(lambda request: json_answer(completion()))
        assert await ask() == 200
        assert (await show(gw, "/health"))["status"] == "ok"
        found = (await show(gw, "/health/history"))["changes"]
        assert [(each["what"], each["to"]) for each in reversed(found) if "/" in each["what"]] == [
            ("up/m", "open"),
            ("up/m", "half_open"),
            ("up/m", "closed"),
        ]
        assert [each["at"] for each in found if "/" in each["what"]] == [MIDNIGHT + 160] * 2 + [MIDNIGHT + 100]
        [line] = [json.loads(line) for line in gw.log_lines if "No requests go to a deployment" in line]
        assert (line["level"], line["deployment"], line["why"]) == ("warning", "up/m", "server_error")


async def page(gw: Gateway) -> list[str]:
    client = await gw.client()
    return (await client.fetch("GET", "/metrics")).body.decode().splitlines()


async def test_only_health_checks_are_open(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        for path in ("/health", "/health/live", "/ready"):
            assert (await client.fetch("GET", path)).status == 200
        login = await client.fetch("POST", "/admin/login", json={"token": ADMIN})
        session = ("Cookie", str(login.header("set-cookie")).partition(";")[0])
        for path in ("/health/detailed", "/health/circuit-breakers", "/health/system", "/health/history"):
            assert (await client.fetch("GET", path)).status == 401
            assert (await client.fetch("GET", f"/admin{path}", headers=[session])).status == 200


async def test_probes_are_shown_and_do_not_change_breakers(up: Upstream) -> None:
    up.on(lambda request: json_answer(error_json(), 500))
    async with Gateway(one_provider(up, observe={"probes": {"enabled": True}}, circuitBreaker=CIRCUIT)) as gw:
        assert gw.app.plane is not None
        vitals = gw.app.plane.health
        assert vitals is not None
        await until(lambda: bool(vitals._probes.of("up")), "the first round")
        [probe] = (await show(gw, "/health/detailed"))["providers"]["up"]["probes"]
        assert (probe["status"], probe["why"]) == ("down", "status 500")
        assert up.requests[0].header("authorization") == "Bearer secret-key"
        assert (await show(gw, "/health"))["status"] == "ok"
        assert gw.exchanges == []


async def test_without_probes_no_request_is_sent_to_a_provider(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        assert (await show(gw, "/health/detailed"))["providers"]["up"]["probes"] == []
        assert up.connections == []
