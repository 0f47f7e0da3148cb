"""Which events go into the outbox, and what they say. Both databases are in test_outbox.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.events.base import EventReceiver, OutboxEvent
from proxy.ledger.recorder.announced import EventRoutes, OutboxEntry, usage_event
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.spending import AccountTransfer, ended_at
from proxy.ledger.row import COLUMNS, Row
from tests.ledger.rows import ROW

ALL, MONEY = EventReceiver("broker"), EventReceiver("webhook:a:1", ("transaction_created", "budget_threshold"))
TRANSFER = AccountTransfer("c1", 7.5, "ann", -1_500, "Call with m", "r1", None, 98_500, 3)
EVENT = OutboxEvent("evt_1", "budget_threshold", 3.5, b'{"specversion":"1.0"}')


def told(entry: OutboxEntry) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(entry.body)
    return found


def test_each_receiver_gets_the_types_that_it_takes() -> None:
    found = [*EventRoutes((ALL, MONEY)).entries([ROW], [TRANSFER], [EVENT])]
    assert [(each.id, each.receiver, each.type) for each in found] == [
        (ROW.id, "broker", "ai_usage"),
        ("txn_c1", "broker", "transaction_created"),
        ("txn_c1", "webhook:a:1", "transaction_created"),
        ("evt_1", "broker", "budget_threshold"),
        ("evt_1", "webhook:a:1", "budget_threshold"),
    ]
    assert found[3].body == '{"specversion":"1.0"}'


def test_types_that_the_broker_has_are_not_sent_to_it_again() -> None:
    routes = EventRoutes((ALL,), {"ai_usage"})
    assert [each.type for each in routes.entries([ROW], [TRANSFER], [])] == ["transaction_created"]
    assert (routes.usage, routes.count(5, 2, 1)) == ((), 3)
    assert EventRoutes((ALL, EventReceiver("webhook:b:2")), {"ai_usage"}).usage == ("webhook:b:2",)


def test_without_receivers_there_are_no_events() -> None:
    routes = EventRoutes()
    assert [*routes.entries([ROW], [TRANSFER], routes.wanted([EVENT]))] == []
    assert routes.count(5, 2, 0) == 0


def test_of_announced_events_those_are_wanted_that_a_receiver_takes_once() -> None:
    other = OutboxEvent("evt_2", "breaker_changed", 3.5, b"{}")
    again = OutboxEvent("evt_1", "budget_threshold", 9.5, b"{}")
    assert EventRoutes((MONEY,)).wanted([EVENT, other, again]) == [EVENT]
    assert EventRoutes((ALL,)).wanted([other, EVENT, again]) == [other, EVENT]


def test_the_event_of_a_row_has_its_columns_by_name_and_the_cost_in_usd() -> None:
    row = structs.replace(ROW, cost=2_500_000, ended_ms=250.0, counters=["balance/total/o"])
    (entry,) = EventRoutes((ALL,)).entries([row], [], [])
    found = told(entry)
    assert (entry.id, entry.at, found["id"], found["type"]) == (row.id, 1.75, row.id, "io.sluice.ai_usage")
    assert (found["subject"], found["time"]) == ("o", "1970-01-01T00:00:01.750Z")
    assert found["data"] == {name: getattr(row, name) for name in COLUMNS} | {"cost_usd": 0.0025}
    assert Row(**{name: found["data"][name] for name in COLUMNS}) == row


def test_a_cost_that_is_not_known_is_null() -> None:
    (entry,) = EventRoutes((ALL,)).entries([ROW], [], [])
    assert told(entry)["data"]["cost_usd"] is None


@pytest.mark.parametrize(
    ("changes", "subject"),
    [({}, "o"), ({"owner": "", "client": "key:1"}, "key:1"), ({"owner": ""}, "p")],
)
def test_the_subject_is_who_pays(changes: dict[str, Any], subject: str) -> None:
    assert usage_event(structs.replace(ROW, **changes)).subject == subject


def test_the_event_of_a_transfer_has_its_place_among_those_of_the_account() -> None:
    (entry,) = EventRoutes((ALL,)).entries([], [TRANSFER], [])
    found = told(entry)
    assert (found["id"], found["subject"], found["sequence"]) == ("txn_c1", "ann", f"{3:020}")
    assert (found["data"]["amount"], found["data"]["balance"], found["data"]["sequence"]) == (-1_500, 98_500, 3)


@given(st.floats(), st.none() | st.floats())
def test_a_row_with_an_absurd_time_has_an_event_all_the_same(at: float, ended_ms: float | None) -> None:
    row = structs.replace(ROW, at=at, ended_ms=ended_ms)
    (entry,) = EventRoutes((ALL,)).entries([row], [], [])
    assert entry.at == (ended_at(row) if 0.0 <= ended_at(row) <= 253402300799.0 else 0.0)
    json.loads(entry.body)


@given(st.text(st.characters(), max_size=8), st.text(st.characters(exclude_categories=()), max_size=8))
def test_any_text_in_a_row_becomes_text_of_the_event(model: str, value: str) -> None:
    row = structs.replace(ROW, model=model, labels={"a": value})
    (entry,) = EventRoutes((ALL,)).entries([row], [], [])
    assert "\0" not in entry.body
    assert told(entry)["data"]["model"] == model


def test_a_body_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        [*EventRoutes((ALL,)).entries([], [], [OutboxEvent("evt_1", "budget_threshold", 1.0, b"\xff")])]


def test_a_full_outbox_is_known_by_its_bound() -> None:
    bound = OutboxBound("forget")
    assert EventRoutes((ALL,), bound=bound).bound is bound
