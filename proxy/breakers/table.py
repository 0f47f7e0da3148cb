"""Transition table of the circuit breaker: state and event to next state and action.

``breaker.py`` decides which event an outcome is. Pairs that are not in the table cannot occur.
"""

from __future__ import annotations

from typing import Final, Literal

State = Literal[
    "closed",  # admits every request
    "open",  # admits none until the cooldown is over
    "half_open",  # admits one probe at a time
    "unavailable",  # closed, except at endpoints where the provider does not have the model
]
Event = Literal[
    "success",  # complete response, or the first content of a probe's stream
    "failure",  # failed attempt, or a stream that broke after its commit
    "limit",  # failure that reaches the failure threshold
    "cooled",  # first attempt after the cooldown, or an early one
    "recovered",  # success that reaches the success threshold
    "partly_recovered",  # the same, while the model is still missing at an endpoint
    "late",  # outcome of an attempt that began before the breaker opened
    "missing",  # the provider does not have the model at one endpoint
    "found",  # success at the only endpoint where the model was missing
    "partly_found",  # the same, while the model is missing at another endpoint
    "reload",  # configuration reload; the model may exist now
    "opened_elsewhere",  # another replica's breaker opened
    "trip",  # operator opens the breaker
    "reset",  # operator closes it
]
Action = Literal[
    "nothing",
    "clear_counts",  # of consecutive failures and successes
    "count_failure",
    "count_success",
    "start_cooldown",  # counts the failure; a probe that is running becomes late
    "adopt_cooldown",  # from another replica; a probe that is running becomes late
    "start_probing",  # first probe since the breaker opened
    "force_open",  # until a reset, whatever the cooldown
    "mark_missing",  # one endpoint becomes unavailable for a cooldown
    "unmark_missing",
    "clear_missing",  # at all endpoints
    "clear_all",  # as if new
]

# fmt: off
TABLE: Final[dict[tuple[State, Event], tuple[State, Action]]] = {
    ("closed",      "success"):          ("closed",      "clear_counts"),
    ("closed",      "failure"):          ("closed",      "count_failure"),
    ("closed",      "limit"):            ("open",        "start_cooldown"),
    ("closed",      "missing"):          ("unavailable", "mark_missing"),
    ("closed",      "reload"):           ("closed",      "nothing"),
    ("closed",      "opened_elsewhere"): ("open",        "adopt_cooldown"),
    ("closed",      "trip"):             ("open",        "force_open"),
    ("closed",      "reset"):            ("closed",      "clear_all"),

    ("open",        "cooled"):           ("half_open",   "start_probing"),
    ("open",        "late"):             ("open",        "nothing"),
    ("open",        "missing"):          ("open",        "mark_missing"),
    ("open",        "found"):            ("open",        "unmark_missing"),
    ("open",        "partly_found"):     ("open",        "unmark_missing"),
    ("open",        "reload"):           ("open",        "clear_missing"),
    ("open",        "opened_elsewhere"): ("open",        "adopt_cooldown"),
    ("open",        "trip"):             ("open",        "force_open"),
    ("open",        "reset"):            ("closed",      "clear_all"),

    ("half_open",   "success"):          ("half_open",   "count_success"),
    ("half_open",   "recovered"):        ("closed",      "clear_counts"),
    ("half_open",   "partly_recovered"): ("unavailable", "clear_counts"),
    ("half_open",   "failure"):          ("open",        "start_cooldown"),
    ("half_open",   "late"):             ("half_open",   "nothing"),
    ("half_open",   "missing"):          ("half_open",   "mark_missing"),
    ("half_open",   "found"):            ("half_open",   "unmark_missing"),
    ("half_open",   "partly_found"):     ("half_open",   "unmark_missing"),
    ("half_open",   "reload"):           ("half_open",   "clear_missing"),
    ("half_open",   "opened_elsewhere"): ("open",        "adopt_cooldown"),
    ("half_open",   "trip"):             ("open",        "force_open"),
    ("half_open",   "reset"):            ("closed",      "clear_all"),

    # The other endpoints see a closed breaker.
    ("unavailable", "success"):          ("unavailable", "clear_counts"),
    ("unavailable", "failure"):          ("unavailable", "count_failure"),
    ("unavailable", "limit"):            ("open",        "start_cooldown"),
    ("unavailable", "missing"):          ("unavailable", "mark_missing"),
    ("unavailable", "found"):            ("closed",      "unmark_missing"),
    ("unavailable", "partly_found"):     ("unavailable", "unmark_missing"),
    ("unavailable", "reload"):           ("closed",      "clear_missing"),
    ("unavailable", "opened_elsewhere"): ("open",        "adopt_cooldown"),
    ("unavailable", "trip"):             ("open",        "force_open"),
    ("unavailable", "reset"):            ("closed",      "clear_all"),
}
# fmt: on
