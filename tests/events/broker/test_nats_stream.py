from __future__ import annotations

import pytest

from proxy.events.broker.nats_stream import dead_stream, durable_consumer, event_stream, next_request, stream_names


@pytest.mark.parametrize(
    ("exchange", "stream", "dead", "dead_name"),
    [
        ("sluice.events", "sluice_events", "sluice.dead", "sluice_dead"),
        ("a.b.events", "a_b_events", "a.b.dead", "a_b_dead"),
        ("a.b", "a_b", "a.b-dead", "a_b-dead"),
        ("events", "events", "events-dead", "events-dead"),
    ],
)
def test_names_derive_from_the_exchange(exchange: str, stream: str, dead: str, dead_name: str) -> None:
    names = stream_names(exchange)
    assert (names.stream, names.dead, names.dead_stream) == (stream, dead, dead_name)
    assert names.subject("ai_usage") == f"{exchange}.ai_usage"
    assert not dead.startswith(f"{exchange}.")  # two streams must not have one subject


def test_the_ledgers_consumer_is_one_of_the_consumers_where_rows_go_by_the_broker() -> None:
    names = stream_names("sluice.events")
    both = {"billing_usage": "sluice.events.ai_usage", "analytics_events": "sluice.events.>"}
    assert names.consumers(ledger=False) == both
    assert names.consumers(ledger=True) == both | {"sluice_ledger": "sluice.events.ai_usage"}


def test_events_are_kept_for_consumers_and_dead_letters_for_good() -> None:
    names = stream_names("sluice.events")
    events, dead = event_stream(names, 3), dead_stream(names, 1)
    assert (events["subjects"], events["retention"], events["num_replicas"]) == (["sluice.events.>"], "interest", 3)
    assert (dead["subjects"], dead["retention"], dead["num_replicas"]) == (["sluice.dead"], "limits", 1)
    assert events["discard"] == dead["discard"] == "new"


def test_times_are_nanoseconds() -> None:
    assert next_request(5, 0.1) == {"batch": 5, "expires": 100_000_000}
    config = durable_consumer("s", "c", "x.y")["config"]
    assert isinstance(config, dict)
    assert config["ack_wait"] == 30_000_000_000
