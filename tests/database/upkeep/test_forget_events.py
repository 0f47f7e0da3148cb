"""Events of an owner who is forgotten, in both databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.database import drivers
from proxy.database.upkeep import forget_events as module
from proxy.database.upkeep.forget_events import forget_events, forgotten
from proxy.events.base import EventReceiver, OutboxEvent
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.row import Row
from tests.database.databases import KINDS
from tests.ledger.recorder.databases import migrated, query
from tests.ledger.rows import ROW


def row(number: int, owner: str) -> Row:
    usual = {"id": f"{'1' * 16}{number}", "at": 1_790_000_000.0 + number, "cost": 100, "run": f"run of {owner}"}
    return structs.replace(
        ROW, owner=owner, client=f"key:{owner}", labels={"a": owner}, counters=[f"balance/total/{owner}"], **usual
    )


def threshold(owner: str) -> dict[str, Any]:
    return {"subject": f"daily/2026-11-29/{owner}", "type": "io.sluice.budget_threshold", "data": {"subject": owner}}


@pytest.mark.parametrize("kind", KINDS)
async def test_no_event_names_the_owner_and_those_of_others_stay(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    async with migrated(kind, tmp_path) as where:
        ledger = open_ledger(where, 500, (EventReceiver("broker"),))
        event = OutboxEvent("evt_1", "budget_threshold", 1.0, msgspec.json.encode(threshold('a"é')))
        await ledger.write([row(1, 'a"é'), row(2, "bob"), row(3, 'a"é')], [event])
        await ledger.close()
        await query(where, "UPDATE outbox SET dead_at = 1 WHERE type = 'ai_usage'")
        of_bob = await query(where, "SELECT body FROM outbox WHERE body LIKE '%bob%' ORDER BY seq")
        engine = drivers.open_single(where, 60.0)
        assert await forget_events(engine, 'a"é', "gone-1") == 6
        assert await forget_events(engine, 'a"é', "gone-1") == 0
        await engine.dispose()
        bodies = [body for (body,) in await query(where, "SELECT body FROM outbox ORDER BY seq")]
        assert await query(where, "SELECT body FROM outbox WHERE body LIKE '%bob%' ORDER BY seq") == of_bob
    found = [json.loads(body) for body in bodies]
    assert not any("é" in body for body in bodies)
    assert sum(each["subject"] == "gone-1" for each in found) == 5
    usage = next(each["data"] for each in found if each["type"] == "io.sluice.ai_usage")
    assert (usage["owner"], usage["client"], usage["labels"], usage["cost"]) == ("gone-1", "gone-1", {}, 100)
    assert found[-1]["subject"] == "daily/2026-11-29/gone-1"


@pytest.mark.parametrize("body", ["ann", "[1]", '{"data": "ann"}', '{"subject": "joann", "data": {"owner": "annie"}}'])
def test_what_is_no_event_of_the_owner_stays(body: str) -> None:
    assert forgotten(body, "ann", "gone-1") == body


def test_only_the_end_of_a_subject_is_an_owner() -> None:
    changed = json.loads(forgotten(json.dumps(threshold("ann")), "ann", "gone-1"))
    assert changed["subject"] == "daily/2026-11-29/gone-1"
    assert changed["data"] == {"subject": "gone-1"}
