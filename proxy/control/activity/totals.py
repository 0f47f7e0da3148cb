"""Counters since the start over all deployments, summed from the metrics on request."""

from __future__ import annotations

from msgspec import Struct

from proxy.control.activity.history import NOT_FAILED
from proxy.observe.family import Count, Family
from proxy.observe.metrics import Metrics


class Totals(Struct, frozen=True):
    """Calls to models. ``requests`` = ``ok`` (complete answer) + ``failed`` (error, or broken off) + ``disconnected``
    (by the client before the end). ``duration``: sum in seconds. Tokens: disjoint classes, as providers report them."""

    requests: int = 0
    ok: int = 0
    failed: int = 0
    disconnected: int = 0
    fallbacks: int = 0
    duration: float = 0.0
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0


def totals_of(metrics: Metrics) -> Totals:
    outcomes, tokens = _by_last_label(metrics.families.requests), _by_last_label(metrics.families.tokens)
    return Totals(
        requests=sum(outcomes.values()),
        ok=outcomes.get("ok", 0),
        failed=sum(count for outcome, count in outcomes.items() if outcome not in NOT_FAILED),
        disconnected=outcomes.get("client_gone", 0),
        fallbacks=metrics.fallbacks,
        duration=sum(spread.sum for spread in metrics.families.duration.cells.values()),
        **tokens,
    )


def _by_last_label(family: Family[Count]) -> dict[str, int]:
    found: dict[str, int] = {}
    for labels, cell in family.cells.items():
        found[labels[-1]] = found.get(labels[-1], 0) + int(cell.value)
    return found
