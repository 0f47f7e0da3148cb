from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from proxy.breakers.table import TABLE, Action, Event, State

# An outcome is late only after the breaker opened, and only half-open recovers.
IMPOSSIBLE = {
    *product(("closed",), ("found", "partly_found")),
    *product(("closed", "unavailable"), ("cooled", "late", "recovered", "partly_recovered")),
    *product(("open",), ("success", "failure", "limit", "recovered", "partly_recovered")),
    ("half_open", "limit"),
    ("half_open", "cooled"),
}


def test_the_table_has_exactly_the_possible_pairs() -> None:
    assert set(TABLE) == set(product(get_args(State), get_args(Event))) - IMPOSSIBLE


def test_the_table_uses_every_state_and_action() -> None:
    assert {state for state, _ in TABLE.values()} == set(get_args(State))
    assert {action for _, action in TABLE.values()} == set(get_args(Action))


@pytest.mark.parametrize("state", get_args(State))
def test_a_reset_closes_from_every_state(state: State) -> None:
    assert TABLE[state, "reset"] == ("closed", "clear_all")


@pytest.mark.parametrize("state", get_args(State))
def test_a_trip_opens_from_every_state(state: State) -> None:
    assert TABLE[state, "trip"] == ("open", "force_open")


@pytest.mark.parametrize("state", get_args(State))
def test_a_remote_opening_opens_from_every_state_without_counting_a_failure(state: State) -> None:
    assert TABLE[state, "opened_elsewhere"] == ("open", "adopt_cooldown")


@pytest.mark.parametrize("state", get_args(State))
def test_late_outcomes_and_reloads_never_end_a_cooldown_or_a_probe(state: State) -> None:
    if state in ("open", "half_open"):
        assert TABLE[state, "late"] == (state, "nothing")
        assert TABLE[state, "reload"] == (state, "clear_missing")
        assert TABLE[state, "missing"] == (state, "mark_missing")
