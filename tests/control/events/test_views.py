"""What is said of receivers and events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.events_schema import Events, Webhook
from proxy.config.secret import MASKED
from proxy.control.events.schemas import after_of, read_after
from proxy.control.events.views import dead_event, dead_event_list, dead_letter, receiver_views
from proxy.database.outbox_rows import MOST_COUNTED, DeadEvent, ReceiverStanding
from proxy.events.broker.reading import DeadLetter
from tests.support.gateway import to_config

NOW = 1_800_000_000.0
DEAD = DeadEvent(1, "e1", "broker", "ai_usage", 100.0, 200.0, 3, "nack", "{}")


def state(**members: Any) -> str:
    [found] = receiver_views(Events(url="amqp://mq"), [ReceiverStanding("broker", **members)], NOW)
    return found.state


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "idle"),
        ({"sent_at": NOW - 9}, "up"),
        ({"sent_at": NOW - 9, "failed_at": NOW - 10}, "up"),
        ({"sent_at": NOW - 9, "failed_at": NOW - 8}, "failing"),
        ({"failed_at": NOW - 8}, "failing"),
        ({"sent_at": NOW - 9, "waiting": 1, "oldest": NOW - 29}, "up"),
        ({"sent_at": NOW - 9, "waiting": 1, "oldest": NOW - 31}, "waiting"),
        ({"waiting": 1, "oldest": NOW + 5}, "idle"),
        ({"sent_at": NOW - 9, "failed_at": NOW - 8, "gone_at": NOW - 8}, "gone"),
    ],
)
def test_the_state_of_a_receiver_is_its_worst_fact(members: dict[str, Any], expected: str) -> None:
    assert state(**members) == expected


def test_a_receiver_that_left_the_configuration_is_shown_while_something_is_left_for_it() -> None:
    found = [
        ReceiverStanding("webhook:a:1", waiting=2, oldest=NOW),
        ReceiverStanding("webhook:b:2", dead=1),
        ReceiverStanding("webhook:c:3", sent=9, sent_at=NOW),
    ]
    views = receiver_views(Events(), found, NOW)
    assert [(each.name, each.state, each.address) for each in views] == [
        ("webhook:a:1", "removed", ""),
        ("webhook:b:2", "removed", ""),
    ]


def test_a_count_at_its_limit_says_that_there_may_be_more() -> None:
    [found] = receiver_views(Events(url="nats://mq"), [ReceiverStanding("broker", dead=MOST_COUNTED)], NOW)
    assert (found.kind, found.truncated) == ("nats", True)


def test_addresses_are_shown_without_secrets() -> None:
    hook = Webhook("https://hooks.example.com/T0/word?key=word", types=["key_created"])
    url = "amqp://u:word@a/v, amqp://u:word@b/v"
    events = to_config({"ledger": {"enabled": True}, "events": {"url": url, "webhooks": [{"url": hook.url}]}}).events
    names = ["broker", "webhook:hooks.example.com:" + _digest(hook.url)]
    broker, webhook = receiver_views(events, [ReceiverStanding(name) for name in names], NOW)
    assert broker.address == f"amqp://{MASKED}@a/v, amqp://{MASKED}@b/v"
    assert webhook.address == f"https://hooks.example.com/{MASKED}"


def _digest(url: str) -> str:
    from hashlib import sha256

    return sha256(url.encode()).hexdigest()[:8]


def test_a_body_that_is_no_json_is_shown_as_text() -> None:
    assert dead_letter(DeadLetter("1", "t", "q", "why", 5.0, b"\xff{")).body == "\ufffd{"
    assert dead_letter(DeadLetter("1", "t", "q", "why", 0.0, b"[1]")).at is None


def test_a_page_that_is_full_says_where_the_next_one_begins() -> None:
    assert dead_event_list([DEAD], 1).after is None
    page = dead_event_list([DEAD, DEAD], 1)
    assert (list(page.data), page.after) == ([dead_event(DEAD)], "200.0_1")


@given(st.floats(min_value=1.0, max_value=9e11), st.integers(min_value=1, max_value=10**18 - 1))
def test_the_end_of_a_page_is_read_as_it_was_written(dead_at: float, seq: int) -> None:
    assert read_after(after_of(dead_at, seq)) == (dead_at, seq)
