"""What a circuit breaker does, as a table: a state and an event give the next state and an action.

Which event an outcome is, ``breaker.py`` decides. A pair that is not here cannot come to pass.
"""

from __future__ import annotations

from typing import Final, Literal

State = Literal[
    "closed",  # everybody is admitted
    "open",  # nobody is, until the cooldown is over
    "half_open",  # one probe at a time
    "unavailable",  # closed, but for endpoints where the provider has no such model
]
Event = Literal[
    "success",  # a whole answer; of a probe the content commit
    "failure",  # an attempt failed, or its stream broke after the commit
    "limit",  # the failure that reaches the failure threshold
    "cooled",  # an attempt enters when the cooldown is over, or early
    "recovered",  # the success that reaches the success threshold
    "partly_recovered",  # the same, where an endpoint stays without the model
    "late",  # the verdict on an attempt that began before the breaker opened
    "missing",  # the provider has no such model for one endpoint
    "found",  # a success at the only endpoint that was without the model
    "partly_found",  # the same, where another endpoint stays without it
    "reload",  # the configuration was read again: the model may be there now
    "opened_elsewhere",  # another replica's breaker opened
    "trip",  # the operator opens the breaker
    "reset",  # the operator closes it
]
Action = Literal[
    "nothing",
    "clear",  # no failures, no successes in a row
    "count_failure",
    "count_success",
    "cool",  # count the failure; the cooldown begins, a probe that runs is late from now on
    "follow",  # the cooldown is the other replica's, a probe that runs is late from now on
    "probe",  # the first probe of this time
    "hold",  # open until the operator says otherwise, however long the cooldown is
    "mark",  # the endpoint is unavailable for a while
    "unmark",  # it is not
    "forget",  # no endpoint is
    "forget_all",  # as if new
]

# fmt: off
TABLE: Final[dict[tuple[State, Event], tuple[State, Action]]] = {
    ("closed",      "success"):          ("closed",      "clear"),
    ("closed",      "failure"):          ("closed",      "count_failure"),
    ("closed",      "limit"):            ("open",        "cool"),
    ("closed",      "missing"):          ("unavailable", "mark"),
    ("closed",      "reload"):           ("closed",      "nothing"),
    ("closed",      "opened_elsewhere"): ("open",        "follow"),
    ("closed",      "trip"):             ("open",        "hold"),
    ("closed",      "reset"):            ("closed",      "forget_all"),

    ("open",        "cooled"):           ("half_open",   "probe"),
    ("open",        "late"):             ("open",        "nothing"),
    ("open",        "missing"):          ("open",        "mark"),
    ("open",        "found"):            ("open",        "unmark"),
    ("open",        "partly_found"):     ("open",        "unmark"),
    ("open",        "reload"):           ("open",        "forget"),
    ("open",        "opened_elsewhere"): ("open",        "follow"),
    ("open",        "trip"):             ("open",        "hold"),
    ("open",        "reset"):            ("closed",      "forget_all"),

    ("half_open",   "success"):          ("half_open",   "count_success"),
    ("half_open",   "recovered"):        ("closed",      "clear"),
    ("half_open",   "partly_recovered"): ("unavailable", "clear"),
    ("half_open",   "failure"):          ("open",        "cool"),
    ("half_open",   "late"):             ("half_open",   "nothing"),
    ("half_open",   "missing"):          ("half_open",   "mark"),
    ("half_open",   "found"):            ("half_open",   "unmark"),
    ("half_open",   "partly_found"):     ("half_open",   "unmark"),
    ("half_open",   "reload"):           ("half_open",   "forget"),
    ("half_open",   "opened_elsewhere"): ("open",        "follow"),
    ("half_open",   "trip"):             ("open",        "hold"),
    ("half_open",   "reset"):            ("closed",      "forget_all"),

    # What its other endpoints go through is what a closed one goes through.
    ("unavailable", "success"):          ("unavailable", "clear"),
    ("unavailable", "failure"):          ("unavailable", "count_failure"),
    ("unavailable", "limit"):            ("open",        "cool"),
    ("unavailable", "missing"):          ("unavailable", "mark"),
    ("unavailable", "found"):            ("closed",      "unmark"),
    ("unavailable", "partly_found"):     ("unavailable", "unmark"),
    ("unavailable", "reload"):           ("closed",      "forget"),
    ("unavailable", "opened_elsewhere"): ("open",        "follow"),
    ("unavailable", "trip"):             ("open",        "hold"),
    ("unavailable", "reset"):            ("closed",      "forget_all"),
}
# fmt: on
