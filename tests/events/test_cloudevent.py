from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from msgspec import Struct

from proxy.events.base import GatewayEvent, event_id
from proxy.events.cloudevent import encode, rfc3339


class Said(Struct):
    """The data of an event."""

    text: str


def event(subject: str = "daily/2026-11-29/alice", text: str = "hello") -> GatewayEvent:
    return GatewayEvent("evt_1", "budget_threshold", 1_764_415_800.5, subject, Said(text))


def test_the_attributes_are_those_of_cloudevents_in_json() -> None:
    assert json.loads(encode(event())) == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "/sluice",
        "type": "io.sluice.budget_threshold",
        "time": "2025-11-29T11:30:00.500Z",
        "subject": "daily/2026-11-29/alice",
        "datacontenttype": "application/json",
        "data": {"text": "hello"},
    }


def test_text_that_utf_8_cannot_represent_is_replaced() -> None:
    found = json.loads(encode(event("run/\udcff", "\udcff!")))
    assert (found["subject"], found["data"]["text"]) == ("run/?", "?!")


@pytest.mark.parametrize("moment", [0.0, 1_764_415_800.0, 1_764_415_800.25])
def test_a_time_is_read_back_by_others(moment: float) -> None:
    assert datetime.fromisoformat(rfc3339(moment)) == datetime.fromtimestamp(moment, UTC)


def test_an_id_depends_on_what_happened_alone() -> None:
    assert event_id("a/b", 50) == event_id("a/b", 50)
    assert len({event_id("a/b", 50), event_id("a/b", 80), event_id("a", "b", 50), event_id("\udcff")}) == 4
    assert "." not in event_id("a.b")
