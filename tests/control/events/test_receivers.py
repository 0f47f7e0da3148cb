"""Receivers and dead letters as the recorder tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.events.sending.status import ReceiverStatus
from proxy.ledger.recorder.status import SILENT_SECS, RecorderStatus
from tests.control.events.rig import EventPlane, event_plane

SIDECAR: dict[str, Any] = {
    "events": {"url": "amqp://mq"},
    "ledger": {"enabled": True, "mode": "events"},
    "database": {"enabled": False},
}


def status(plane: EventPlane, *receivers: ReceiverStatus, ago: float = 1.0, **members: Any) -> RecorderStatus:
    now = plane.server.clock.wall()
    return RecorderStatus(1, now - 100, now - ago, True, now - 100, receivers=receivers, **members)


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (ReceiverStatus("broker", True, 5.0, sent=3), "up"),
        (ReceiverStatus("broker", True, 5.0), "idle"),
        (ReceiverStatus("broker", True, 5.0, 2, 40.0, sent=3), "waiting"),
        (ReceiverStatus("broker", False, 5.0, 2, 40.0, sent=3, error="refused"), "failing"),
    ],
)
async def test_a_sidecar_without_a_database_shows_what_its_recorder_says(
    tmp_path: Path, seen: ReceiverStatus, state: str
) -> None:
    async with event_plane(tmp_path, **SIDECAR) as plane:
        plane.status = status(plane, seen)
        found = await plane.get("/admin/event-receivers")
        assert found["ledger"] == "events"
        [broker] = found["receivers"]
        assert (broker["state"], broker["sending"]) == (state, True)
        assert (broker["waiting"], broker["oldestSecs"]) == (seen.waiting, seen.oldest_secs or None)
        assert (broker["sent"], broker["lastError"]) == (seen.sent, seen.error)


@pytest.mark.parametrize("ago", [None, SILENT_SECS + 1])
async def test_a_recorder_that_says_nothing_leaves_its_receivers_unknown(tmp_path: Path, ago: float | None) -> None:
    async with event_plane(tmp_path, **SIDECAR) as plane:
        if ago is not None:
            plane.status = status(plane, ReceiverStatus("broker", True, 5.0, sent=3), ago=ago)
        [broker] = (await plane.get("/admin/event-receivers"))["receivers"]
        assert (broker["state"], broker["sending"], broker["sent"]) == ("idle", False, 0)


async def test_the_recorder_counts_what_the_database_was_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("proxy.database.outbox_views", "proxy.control.events.receivers", "proxy.control.events.views"):
        monkeypatch.setattr(f"{module}.MOST_COUNTED", 2)
    async with event_plane(tmp_path, events={"url": "amqp://mq"}) as plane:
        for _ in range(3):
            await plane.put(receiver="broker")
        [broker] = (await plane.get("/admin/event-receivers"))["receivers"]
        assert (broker["waiting"], broker["truncated"]) == (2, True)
        plane.status = status(plane, ReceiverStatus("broker", True, 5.0, 3, 9.0))
        found = await plane.get("/admin/event-receivers")
        assert (found["receivers"][0]["waiting"], found["receivers"][0]["truncated"]) == (3, False)
        assert found["outbox"]["waiting"] == 3


async def test_dead_letters_are_counted_by_the_recorder(tmp_path: Path) -> None:
    async with event_plane(tmp_path, events={"url": "amqp://mq"}) as plane:
        for known, shown in ((-1, None), (0, 0), (7, 7)):
            plane.status = status(plane, dead_letters=known)
            assert (await plane.get("/admin/event-receivers"))["deadLetters"] == shown
