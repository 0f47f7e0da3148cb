"""The outbox as the routes find it, or do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.control.events import store as store_module
from proxy.control.events.store import EventStore
from proxy.database.opening import LazyEngine
from tests.control.events.rig import HOOK, event_plane
from tests.support.gateway import to_config

EVENTS: dict[str, Any] = {"webhooks": [{"url": HOOK}]}


@pytest.mark.parametrize(
    "sections",
    [
        {"events": {}},
        {"events": {"url": "amqp://mq"}, "ledger": {"enabled": True, "mode": "events"}},
        {"events": {"url": "amqp://mq"}, "ledger": {"enabled": True, "mode": "events"}, "database": {"enabled": False}},
    ],
)
async def test_without_an_outbox_in_the_database_there_are_no_dead_events(
    tmp_path: Path, sections: dict[str, Any]
) -> None:
    async with event_plane(tmp_path, **sections) as plane:
        answer = await plane.server.ask("GET", "/admin/dead-events")
        assert (answer.status, answer.json["error"]["code"]) == (501, "no_outbox")
        assert (await plane.get("/admin/event-receivers"))["outbox"]["waiting"] == 0
        assert plane.engine.state is None  # it was not used


async def test_a_database_that_does_not_answer_is_an_error_of_its_own(tmp_path: Path) -> None:
    url = "postgresql://127.0.0.1:1/nothing"
    async with event_plane(tmp_path, database={"url": url}, events=EVENTS) as plane:
        for path in ("/admin/event-receivers", "/admin/dead-events"):
            answer = await plane.server.ask("GET", path)
            assert (answer.status, answer.json["error"]["code"]) == (503, "events_unavailable")
            assert answer.header("retry-after") == "1"


@pytest.mark.parametrize(("read_url", "expected"), [("", "reader"), ("postgresql://127.0.0.1:2/b", "writer")])
async def test_a_replica_is_not_asked_for_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_url: str, expected: str
) -> None:
    database = {"url": "postgresql://127.0.0.1:1/a", **({"readUrl": read_url} if read_url else {})}

    class Live:
        config = to_config({"database": database, "ledger": {"enabled": True}, "events": EVENTS})

    engines: dict[str, Any] = {
        name: LazyEngine(Live.config.database, tmp_path, print, print) for name in ("reader", "writer")
    }
    live: Any = Live()
    with pytest.raises(store_module.EventsDown):
        await EventStore(engines["writer"], engines["reader"], live).survey()
    assert [name for name, engine in engines.items() if engine.state is not None] == [expected]
