"""What becomes news, and how little of it where much happens at once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.control.activity.feed import Reader
from proxy.control.activity.news import REQUESTS, STATES
from tests.control.operated import TWO, Operated, reloaded
from tests.support.clock import MIDNIGHT


@pytest.fixture
async def plane() -> AsyncIterator[Operated]:
    async with Operated(TWO) as plane:
        plane.operator.recorder.stop()
        yield plane


@pytest.fixture
def reader(plane: Operated) -> Reader:
    found = Reader(lambda: None)
    plane.operator.feed.join(found)
    return found


def news(reader: Reader) -> list[tuple[str, Any]]:
    """All that came since it was last asked: name and value."""
    found = []
    while reader._waiting:
        lines = reader._waiting.popleft().decode().strip().split("\r\n")
        found.append((lines[1].removeprefix("event: "), json.loads(lines[2].removeprefix("data: "))))
    return found


async def test_a_breaker_that_opens_is_news_with_what_it_is_now(plane: Operated, reader: Reader) -> None:
    plane.catalog.deployments[0].live.breaker.trip(plane.clock.now(), "operator")
    ((name, value),) = news(reader)
    assert name == "state"
    assert value["id"] == "up/m"
    assert (value["breaker"]["state"], value["breaker"]["held"], value["breaker"]["since"]) == ("open", True, MIDNIGHT)


async def test_each_change_is_told_in_order(plane: Operated, reader: Reader) -> None:
    breaker, now = plane.catalog.deployments[0].live.breaker, plane.clock.now()
    for _ in range(3):
        breaker.fail(breaker.acquire("chat/completions", now), now, "server_error")
    plane.clock.advance(61)
    now = plane.clock.now()
    for _ in range(2):
        breaker.succeed(breaker.acquire("chat/completions", now), "chat/completions", now)
    assert [value["breaker"]["state"] for _, value in news(reader)] == ["open", "half_open", "closed"]


async def test_of_a_storm_of_changes_the_rest_follows_a_second_later_as_it_is_then(
    plane: Operated, reader: Reader
) -> None:
    breaker = plane.catalog.deployments[0].live.breaker
    for _ in range(STATES):
        breaker.trip(plane.clock.now(), "operator")
    assert len(news(reader)) == STATES
    breaker.reset(plane.clock.now())
    breaker.trip(plane.clock.now(), "again")
    assert news(reader) == []
    plane.operator.recorder.tick()
    (counters, state) = news(reader)
    assert (counters[0], state[1]["breaker"]["why"]) == ("counters", "again")
    plane.operator.recorder.stop()


async def test_an_exchange_is_news_as_in_the_list(plane: Operated, reader: Reader) -> None:
    plane.settle()
    ((name, value),) = news(reader)
    (listed,) = (await plane.ask("GET", "/admin/requests")).json["requests"]
    assert name == "request"
    assert value.pop("at") == pytest.approx(listed.pop("at"), abs=5)
    assert value == listed


async def test_only_so_many_exchanges_are_told_in_a_second(plane: Operated, reader: Reader) -> None:
    for _ in range(REQUESTS + 30):
        plane.settle()
    assert len(news(reader)) == REQUESTS
    plane.operator.recorder.tick()
    plane.operator.recorder.stop()
    plane.settle()
    assert [name for name, _ in news(reader)] == ["counters", "request"]


async def test_every_second_is_told_also_an_idle_one(plane: Operated, reader: Reader) -> None:
    plane.settle()
    news(reader)
    plane.active = 3
    plane.operator.recorder.tick()
    plane.operator.recorder.tick()
    plane.operator.recorder.stop()
    (_, busy), (_, idle) = news(reader)
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


async def test_a_reload_is_news_whether_it_worked_or_not(plane: Operated, reader: Reader) -> None:
    plane.operator.reloaded(reloaded(notices=["a notice"], waits_for_start=["server.port"]))
    plane.operator.reloaded(reloaded(loaded=False, mistakes=["a mistake"]))
    assert news(reader) == [
        (
            "reload",
            {"loaded": True, "why": "asked", "notices": ["a notice"], "mistakes": [], "waitsForStart": ["server.port"]},
        ),
        ("reload", {"loaded": False, "why": "asked", "notices": [], "mistakes": ["a mistake"], "waitsForStart": []}),
    ]


async def test_with_nobody_there_nothing_is_made(plane: Operated) -> None:
    plane.settle()
    plane.catalog.deployments[0].live.breaker.trip(plane.clock.now(), "operator")
    plane.operator.recorder.tick()
    plane.operator.recorder.stop()
    assert plane.operator.feed.number == 0
