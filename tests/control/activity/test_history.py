"""Counters of each second."""

from __future__ import annotations

from typing import Any

from proxy.control.activity.history import MAX_DURATIONS, SECONDS, History, SecondStats
from proxy.control.deployments.samples import Percentiles
from proxy.observe.facts import generated
from tests.observe.exchanges import settled


def count(history: History, **facts: Any) -> None:
    exchange = settled(**facts)
    history.count([exchange], generated(exchange) or 0)


def test_a_second_has_the_counts_of_what_ended_in_it() -> None:
    history = History()
    count(history)
    count(history, usage=None, events=7, began=102.0, first_content=102.5, fallback_used=True)
    count(history, outcome="error", began=102.9, first_content=None, usage=None)
    assert history.close(50, 2) == SecondStats(
        50, 3, 1, 1, 37, 2, latency=Percentiles(1000.0, 3000.0), first_token=Percentiles(250.0, 500.0)
    )


def test_the_next_second_begins_at_zero() -> None:
    history = History()
    count(history)
    history.close(50, 0)
    assert history.close(51, 0) == SecondStats(51)


def test_a_disconnect_is_no_error() -> None:
    history = History()
    count(history, outcome="client_gone")
    second = history.close(50, 0)
    assert (second.requests, second.errors) == (1, 0)


def test_idle_seconds_take_no_memory_but_are_listed() -> None:
    history = History()
    count(history)
    history.close(50, 0)
    for at in range(51, 60):
        history.close(at, 0)
    assert len(history._closed) == 1
    assert [each.at for each in history.last(12, 59)] == list(range(48, 60))
    assert [each.requests for each in history.last(12, 59)] == [0, 0, 1, *[0] * 9]


def test_a_second_with_requests_in_progress_is_kept() -> None:
    history = History()
    history.close(50, 3)
    assert history.last(1, 50) == [SecondStats(50, active=3)]


def test_only_the_last_fifteen_minutes_are_kept() -> None:
    history = History()
    for at in range(2 * SECONDS):
        history.close(at, 1)
    assert len(history._closed) == SECONDS
    assert [each.active for each in history.last(SECONDS, 2 * SECONDS - 1)] == [1] * SECONDS


def test_percentiles_of_a_busy_second_use_its_last_durations() -> None:
    history = History()
    for _ in range(MAX_DURATIONS):
        count(history, began=100.0)
    for _ in range(MAX_DURATIONS):
        count(history, began=102.0, first_content=102.5)
    second = history.close(50, 0)
    assert second.latency == Percentiles(1000.0, 1000.0)
    assert second.first_token == Percentiles(500.0, 500.0)
    assert second.requests == 2 * MAX_DURATIONS
