"""The routes of events: receivers, dead events, dead letters."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.control.events.rig import HOOK, NAME, event_plane

EVENTS: dict[str, Any] = {"url": "amqp://user:secret-word@mq:5672/prod", "webhooks": [{"url": HOOK}]}
AGAIN, DELETE = "/admin/dead-events/send-again", "/admin/dead-events/delete"


async def test_receivers_are_shown_without_secrets(tmp_path: Path) -> None:
    async with event_plane(tmp_path, events=EVENTS | {"mostWaiting": 5000, "types": ["ai_usage"]}) as plane:
        now = time.time()
        await plane.put(at=now - 90)
        await plane.put_dead()
        await plane.know(until=now + 30, sent=12, failures=3, sent_at=now - 80, failed_at=now - 5, error="status 500")
        answer = await plane.server.ask("GET", "/admin/event-receivers")
        assert b"secret" not in answer.body
        found = answer.json
    assert found["outbox"] == {"waiting": 1, "mostWaiting": 5000, "onFull": "wait"}
    assert (found["ledger"], found["letters"], found["deadLetters"]) == ("database", True, None)
    assert abs(found["now"] - now) < 60
    broker, hook = found["receivers"]
    assert (broker["name"], broker["kind"], broker["state"]) == ("broker", "rabbitmq", "idle")
    assert (broker["address"], broker["types"]) == ("amqp://********@mq:5672/prod", ["ai_usage"])
    assert 90 <= hook.pop("oldestSecs") < 150
    assert hook == {
        "name": NAME,
        "kind": "webhook",
        "address": "https://hooks.example.com/********",
        "types": [],
        "state": "failing",
        "sending": True,
        "waiting": 1,
        "sent": 12,
        "failures": 3,
        "dead": 1,
        "lastDeadAt": 200.0,
        "truncated": False,
        "lastSentAt": now - 80,
        "lastFailedAt": now - 5,
        "lastError": "status 500",
        "goneAt": None,
    }


async def test_dead_events_are_listed_by_pages(tmp_path: Path) -> None:
    async with event_plane(tmp_path, events=EVENTS) as plane:
        numbers = [await plane.put_dead(200.5 + number) for number in range(3)]
        other = await plane.put_dead(receiver="broker", body="no JSON")
        page = await plane.get(f"/admin/dead-events?limit=2&receiver={NAME}")
        assert [each["seq"] for each in page["data"]] == [numbers[2], numbers[1]]
        assert page["data"][0] == {
            "seq": numbers[2],
            "id": "e1",
            "receiver": NAME,
            "type": "ai_usage",
            "at": 100.0,
            "deadAt": 202.5,
            "tries": 7,
            "error": "status 500",
            "body": {"specversion": "1.0", "id": "e1", "data": {"owner": "alice"}},
        }
        rest = await plane.get(f"/admin/dead-events?limit=2&receiver={NAME}&after={page['after']}")
        assert ([each["seq"] for each in rest["data"]], rest["after"]) == ([numbers[0]], None)
        assert (await plane.get(f"/admin/dead-events/{other}"))["body"] == "no JSON"


@pytest.mark.parametrize("number", ["7", "x", "-1", "9" * 40])
async def test_an_event_that_is_not_dead_is_not_shown(tmp_path: Path, number: str) -> None:
    async with event_plane(tmp_path, events=EVENTS) as plane:
        living = await plane.put()
        assert (await plane.server.ask("GET", f"/admin/dead-events/{living}")).status == 404
        assert (await plane.server.ask("GET", f"/admin/dead-events/{number}")).json["error"]["code"] == "unknown_event"


async def test_dead_events_are_sent_again(tmp_path: Path) -> None:
    async with event_plane(tmp_path, events=EVENTS) as plane:
        one, two, broker = await plane.put_dead(), await plane.put_dead(), await plane.put_dead(receiver="broker")
        assert await plane.post(AGAIN, {"seqs": [one, 10**17]}) == {"count": 1, "more": False}
        assert await plane.post(AGAIN, {"all": True, "receiver": "broker"}) == {"count": 1, "more": False}
        assert await plane.waiting() == [one, broker]
        assert await plane.post(AGAIN, {"all": True}) == {"count": 1, "more": False}
        assert await plane.waiting() == [one, two, broker]


async def test_dead_events_are_deleted(tmp_path: Path) -> None:
    async with event_plane(tmp_path, events=EVENTS) as plane:
        living, one, _ = await plane.put(), await plane.put_dead(), await plane.put_dead()
        assert await plane.post(DELETE, {"seqs": [living, one]}) == {"count": 1, "more": False}
        assert await plane.post(DELETE, {"all": True}) == {"count": 1, "more": False}
        assert (await plane.get("/admin/dead-events"))["data"] == []
        assert await plane.waiting() == [living]


@pytest.mark.parametrize("path", [AGAIN, DELETE, "/admin/dead-letters/send-again"])
@pytest.mark.parametrize(
    "body", [{}, {"seqs": [1], "ids": ["1"], "all": True}, {"seqs": ["x"]}, {"seqs": [2**63]}, {"ids": [1]}, []]
)
async def test_a_body_that_does_not_say_what_is_refused(tmp_path: Path, path: str, body: Any) -> None:
    async with event_plane(tmp_path, events=EVENTS) as plane:
        await plane.put_dead()
        answer = await plane.server.ask("POST", path, json=body)
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_value")
        assert len((await plane.get("/admin/dead-events"))["data"]) == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "after=x", "after=1.5_", "seq=1"])
async def test_a_mistake_in_the_query_is_refused(tmp_path: Path, query: str) -> None:
    async with event_plane(tmp_path, events=EVENTS) as plane:
        answer = await plane.server.ask("GET", f"/admin/dead-events?{query}")
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_value")


async def test_only_the_admin_sees_events(tmp_path: Path) -> None:
    async with event_plane(tmp_path, events=EVENTS) as plane:
        for path in ("/admin/event-receivers", "/admin/dead-events", "/admin/dead-events/1", "/admin/dead-letters"):
            assert (await plane.server.fetch("GET", path, ("x-test-client", "1"))).status == 401
        for path in (AGAIN, DELETE, "/admin/dead-letters/send-again"):
            answer = await plane.server.fetch("POST", path, ("x-test-client", "1"), json={"all": True})
            assert answer.status == 401


async def test_dead_letters_are_shown_and_moved(tmp_path: Path) -> None:
    """With a process that answers as that of a broker with one dead letter does."""
    program = (
        "import sys, json; task = json.load(sys.stdin); print(json.dumps({'moved': len(task['ids'] or [1])}"
        " if task['again'] else {'letters': [dict(id='e1', type='ai_usage', queue='billing.usage', reason='rejected',"
        " at=0, body='eyJhIjogMX0=')]}))"
    )
    async with event_plane(tmp_path, command=[sys.executable, "-c", program], events=EVENTS) as plane:
        [found] = (await plane.get("/admin/dead-letters"))["data"]
        assert (found["queue"], found["reason"], found["at"], found["body"]) == (
            "billing.usage",
            "rejected",
            None,
            {"a": 1},
        )
        path = "/admin/dead-letters/send-again"
        assert await plane.post(path, {"ids": ["e1", "e2"]}) == {"count": 2, "more": False}
        assert await plane.post(path, {"all": True}) == {"count": 1, "more": False}
