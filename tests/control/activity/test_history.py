"""Second by second, and all in all."""

from __future__ import annotations

from typing import Any

from proxy.control.activity.history import KEPT, SECONDS, History, Second
from proxy.control.activity.samples import Spread
from proxy.observe.facts import generated
from tests.observe.exchanges import settled


def count(history: History, **facts: Any) -> None:
    exchange = settled(**facts)
    history.count([exchange], generated(exchange) or 0)


def test_a_second_tells_what_ended_in_it() -> None:
    history = History()
    count(history)
    count(history, usage=None, events=7, began=102.0, first_content=102.5, fallback_used=True)
    count(history, outcome="error", began=102.9, first_content=None, usage=None)
    assert history.close(50, 2) == Second(
        50, 3, 1, 1, 37, 2, latency=Spread(1000.0, 3000.0), first_token=Spread(250.0, 500.0)
    )


def test_the_next_second_begins_anew() -> None:
    history = History()
    count(history)
    history.close(50, 0)
    assert history.close(51, 0) == Second(51)


def test_a_client_that_left_is_no_error() -> None:
    history = History()
    count(history, outcome="client_gone")
    second = history.close(50, 0)
    assert (second.requests, second.errors) == (1, 0)


def test_idle_seconds_take_no_memory_and_are_told_all_the_same() -> None:
    history = History()
    count(history)
    history.close(50, 0)
    for at in range(51, 60):
        history.close(at, 0)
    assert len(history._closed) == 1
    assert [each.at for each in history.last(12, 59)] == list(range(48, 60))
    assert [each.requests for each in history.last(12, 59)] == [0, 0, 1, *[0] * 9]


def test_a_second_in_which_something_only_ran_is_kept() -> None:
    history = History()
    history.close(50, 3)
    assert history.last(1, 50) == [Second(50, active=3)]


def test_only_the_last_quarter_of_an_hour_is_kept() -> None:
    history = History()
    for at in range(2 * SECONDS):
        history.close(at, 1)
    assert len(history._closed) == SECONDS
    assert [each.active for each in history.last(SECONDS, 2 * SECONDS - 1)] == [1] * SECONDS


def test_of_a_busy_second_the_last_durations_make_the_spread() -> None:
    history = History()
    for _ in range(KEPT):
        count(history, began=100.0)
    for _ in range(KEPT):
        count(history, began=102.0, first_content=102.5)
    second = history.close(50, 0)
    assert second.latency == Spread(1000.0, 1000.0)
    assert second.first_token == Spread(500.0, 500.0)
    assert second.requests == 2 * KEPT
