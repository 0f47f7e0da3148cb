"""Second by second, and all in all."""

from __future__ import annotations

from typing import Any

from proxy.observe.history import KEPT, SECONDS, History, Second, Totals
from proxy.observe.samples import Spread
from proxy.wire.usage import Usage
from tests.observe.exchanges import settled


def count(history: History, **facts: Any) -> None:
    history.count([settled(**facts)])


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
    assert history.close(50, 0).errors == 0
    assert history.summed().requests == 1
    assert (history.summed().ok, history.summed().failed) == (0, 0)


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
    assert history.close(50, 0).latency == Spread(1000.0, 1000.0)
    assert history.summed().duration == KEPT * 4.0


def test_totals_hold_the_second_that_still_runs() -> None:
    history = History()
    count(history)
    history.close(50, 0)
    count(history, outcome="broken", fallback_used=True)
    assert history.summed() == Totals(2, 1, 1, 1, 6.0, 20, 40, 60, 0)


def test_what_a_provider_does_not_know_or_counts_backwards_changes_no_total() -> None:
    history = History()
    count(history, usage=Usage(input=-5, cached=None, output=None, reasoning=-1))
    totals = history.summed()
    assert (totals.input, totals.cached, totals.output, totals.reasoning) == (0, 0, 0, 0)
