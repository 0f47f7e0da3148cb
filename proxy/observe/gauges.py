"""Metrics of the present state, made for each scrape.

Sampling the breakers of 10,000 deployments takes milliseconds, so it is done in portions.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, get_args

from proxy.breakers.table import State
from proxy.observe.family import OTHER, Count, Family, single
from proxy.observe.lag import Lag

STATES: tuple[State, ...] = get_args(State)
PORTION: Final = 500  # deployments: some 0.3 ms


class BreakerSample(NamedTuple):
    """State of a deployment's breaker. ``deployment``: its ID; ``model``: upstream model name."""

    deployment: str
    provider: str
    model: str
    state: State


_Row = dict[State, Count]


def breaker_states(standing: Iterable[BreakerSample], most: int) -> Generator[None, None, Family[Count]]:
    """A cell for each state of each deployment: 1 for its present state. Yields after every ``PORTION``.

    The first ``most`` deployments have cells of their own; the others, and those with the same labels, are counted
    together.
    """
    labels = ("deployment", "provider", "model", "state")
    documentation = "Deployments whose circuit breaker is in this state: 0 or 1; for other, their number."
    family = Family("circuit_breaker_state", "gauge", documentation, labels, Count, bound=(most + 1) * len(STATES))
    rows: dict[tuple[str, str, str], _Row] = {}
    for number, (deployment, provider, model, state) in enumerate(standing, 1):
        key = deployment, provider, model
        row = rows.get(key)
        if row is None:
            if len(rows) >= most:
                key = OTHER, OTHER, OTHER
            row = rows.get(key) or _entered(key, rows, family)
        row[state].value += 1
        if not number % PORTION:
            yield
    return family


def _entered(key: tuple[str, str, str], rows: dict[tuple[str, str, str], _Row], family: Family[Count]) -> _Row:
    row: _Row = {state: Count() for state in STATES}
    rows[key] = row
    for state, count in row.items():
        family.cells[*key, state] = count
    return row


def components_up(components: Mapping[str, bool], bound: int) -> Family[Count]:
    documentation = "Whether a component (limiter, database, breakers) can be reached."
    family = Family("gateway_component_up", "gauge", documentation, ("component",), Count, bound=bound)
    for name, up in components.items():
        family.cell(name).value = int(up)
    return family


def open_connections(by_provider: Mapping[str, int], bound: int) -> Family[Count]:
    documentation = "Open connections to providers, busy or kept alive."
    family = Family("llm_upstream_connections", "gauge", documentation, ("provider",), Count, bound=bound)
    for provider, count in by_provider.items():
        family.cell(provider).value += count
    return family


def lag(loop: Lag) -> Iterator[Family[Count]]:
    """The lag of the event loop: the latest, and the highest since the previous scrape."""
    yield single("gateway_event_loop_lag_seconds", "gauge", "How late the event loop's last timer ran.", loop.last)
    yield single(
        "gateway_event_loop_lag_max_seconds",
        "gauge",
        "How late the event loop's timers ran at most since the previous scrape.",
        loop.taken(),
    )
