from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from proxy.breakers.table import TABLE, Action, Event, State

# What cannot come to pass: a verdict is only late where the breaker opened, and only half-open recovers.
IMPOSSIBLE = {
    *product(("closed",), ("found", "partly_found")),
    *product(("closed", "unavailable"), ("cooled", "late", "recovered", "partly_recovered")),
    *product(("open",), ("success", "failure", "limit", "recovered", "partly_recovered")),
    ("half_open", "limit"),
    ("half_open", "cooled"),
}


def test_the_table_has_every_pair_that_can_come_to_pass_and_no_other() -> None:
    assert set(TABLE) == set(product(get_args(State), get_args(Event))) - IMPOSSIBLE


def test_the_table_speaks_only_of_known_states_and_of_every_action() -> None:
    assert {state for state, _ in TABLE.values()} == set(get_args(State))
    assert {action for _, action in TABLE.values()} == set(get_args(Action))


@pytest.mark.parametrize("state", get_args(State))
def test_a_reset_closes_from_every_state(state: State) -> None:
    assert TABLE[state, "reset"] == ("closed", "forget_all")


@pytest.mark.parametrize("state", get_args(State))
def test_a_trip_opens_from_every_state(state: State) -> None:
    assert TABLE[state, "trip"] == ("open", "hold")


@pytest.mark.parametrize("state", get_args(State))
def test_what_opens_elsewhere_opens_from_every_state_without_counting_as_a_failure_of_our_own(state: State) -> None:
    assert TABLE[state, "opened_elsewhere"] == ("open", "follow")


@pytest.mark.parametrize("state", get_args(State))
def test_late_verdicts_and_reloads_never_end_a_cooldown_or_a_probe(state: State) -> None:
    if state in ("open", "half_open"):
        assert TABLE[state, "late"] == (state, "nothing")
        assert TABLE[state, "reload"] == (state, "forget")
        assert TABLE[state, "missing"] == (state, "mark")
