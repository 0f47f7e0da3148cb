"""Events that are published, and their limits per second."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.budgets.reports import report_of
from proxy.control.activity.feed import Subscriber
from proxy.control.activity.publisher import MAX_BUDGETS, MAX_REQUESTS, MAX_STATES
from proxy.control.live import ReloadResult
from tests.budgets.test_reports import counter_of
from tests.control.admin import TWO, AdminServer
from tests.support.clock import MIDNIGHT


@pytest.fixture
async def plane() -> AsyncIterator[AdminServer]:
    async with AdminServer(TWO) as plane:
        plane.activity.recorder.stop()
        yield plane


@pytest.fixture
def subscriber(plane: AdminServer) -> Subscriber:
    found = Subscriber(lambda: None)
    plane.activity.feed.subscribe(found)
    return found


def events(subscriber: Subscriber) -> list[tuple[str, Any]]:
    """The events since the last call: name and value."""
    found = []
    while subscriber._waiting:
        lines = subscriber._waiting.popleft().decode().strip().split("\r\n")
        found.append((lines[1].removeprefix("event: "), json.loads(lines[2].removeprefix("data: "))))
    return found


async def test_a_changed_breaker_is_published_with_its_state(plane: AdminServer, subscriber: Subscriber) -> None:
    plane.catalog.deployments[0].live.breaker.trip(plane.clock.now(), "operator")
    ((name, value),) = events(subscriber)
    assert name == "state"
    assert value["id"] == "up/m"
    assert (value["breaker"]["state"], value["breaker"]["held"], value["breaker"]["since"]) == ("open", True, MIDNIGHT)


async def test_changes_are_published_in_order(plane: AdminServer, subscriber: Subscriber) -> None:
    breaker, now = plane.catalog.deployments[0].live.breaker, plane.clock.now()
    for _ in range(3):
        breaker.fail(breaker.acquire("chat/completions", now), now, "server_error")
    plane.clock.advance(61)
    now = plane.clock.now()
    for _ in range(2):
        breaker.succeed(breaker.acquire("chat/completions", now), "chat/completions", now)
    assert [value["breaker"]["state"] for _, value in events(subscriber)] == ["open", "half_open", "closed"]


async def test_too_many_changes_are_published_a_second_later(plane: AdminServer, subscriber: Subscriber) -> None:
    breaker = plane.catalog.deployments[0].live.breaker
    for _ in range(MAX_STATES):
        breaker.trip(plane.clock.now(), "operator")
    assert len(events(subscriber)) == MAX_STATES
    breaker.reset(plane.clock.now())
    breaker.trip(plane.clock.now(), "again")
    assert events(subscriber) == []
    plane.activity.recorder.tick()
    (counters, state) = events(subscriber)
    assert (counters[0], state[1]["breaker"]["why"]) == ("counters", "again")
    plane.activity.recorder.stop()


async def test_an_exchange_is_published_as_in_the_list(plane: AdminServer, subscriber: Subscriber) -> None:
    plane.settle()
    ((name, value),) = events(subscriber)
    (listed,) = (await plane.ask("GET", "/admin/requests")).json["requests"]
    assert name == "request"
    assert value.pop("at") == pytest.approx(listed.pop("at"), abs=5)
    assert value == listed


async def test_only_some_exchanges_of_a_second_are_published(plane: AdminServer, subscriber: Subscriber) -> None:
    for _ in range(MAX_REQUESTS + 30):
        plane.settle()
    assert len(events(subscriber)) == MAX_REQUESTS
    plane.activity.recorder.tick()
    plane.activity.recorder.stop()
    plane.settle()
    assert [name for name, _ in events(subscriber)] == ["counters", "request"]


async def test_every_second_is_published(plane: AdminServer, subscriber: Subscriber) -> None:
    plane.settle()
    events(subscriber)
    plane.running = 3
    plane.activity.recorder.tick()
    plane.activity.recorder.tick()
    plane.activity.recorder.stop()
    (_, busy), (_, idle) = events(subscriber)
    assert busy.pop("at") == pytest.approx(MIDNIGHT, abs=5)
    assert busy == {
        "requests": 1,
        "errors": 0,
        "fallbacks": 0,
        "tokens": 30,
        "active": 3,
        "latencyMs": {"p50": 3000.0, "p95": 3000.0},
        "timeToFirstTokenMs": {"p50": 250.0, "p95": 250.0},
        "totalRequests": 1,
        "activeConnections": 3,
    }
    assert (idle["requests"], idle["totalRequests"]) == (0, 1)


async def test_every_reload_is_published(plane: AdminServer, subscriber: Subscriber) -> None:
    plane.activity.reloaded(ReloadResult(True, "on request", notices=["a notice"], waits_for_start=["server.port"]))
    plane.activity.reloaded(ReloadResult(False, "on request", mistakes=["a mistake"]))
    assert events(subscriber) == [
        (
            "reload",
            {
                "loaded": True,
                "why": "on request",
                "notices": ["a notice"],
                "mistakes": [],
                "waitsForStart": ["server.port"],
            },
        ),
        (
            "reload",
            {"loaded": False, "why": "on request", "notices": [], "mistakes": ["a mistake"], "waitsForStart": []},
        ),
    ]


async def test_with_nobody_there_nothing_is_made(plane: AdminServer) -> None:
    plane.settle()
    plane.catalog.deployments[0].live.breaker.trip(plane.clock.now(), "operator")
    plane.activity.recorder.tick()
    plane.activity.recorder.stop()
    assert plane.activity.feed.number == 0


async def test_thresholds_of_budgets_are_published_with_a_limit(plane: AdminServer, subscriber: Subscriber) -> None:
    report = report_of(counter_of(), 80, 4_000_000_000, MIDNIGHT)
    for _ in range(MAX_BUDGETS + 5):
        plane.activity.budget_reached(report)
    found = events(subscriber)
    assert [name for name, _ in found] == ["budget"] * MAX_BUDGETS
    assert (found[0][1]["budget"], found[0][1]["threshold"]) == ("daily", 80)
