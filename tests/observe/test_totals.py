"""All in all, from what the metrics have counted."""

from __future__ import annotations

from typing import Any

from proxy.observe.metrics import Metrics
from proxy.observe.totals import Totals, totals_of
from proxy.wire.usage import Usage
from tests.observe.exchanges import DEPLOYMENT, settled


def counted(*exchanges: dict[str, Any]) -> Totals:
    metrics = Metrics()
    metrics.know([DEPLOYMENT])
    metrics.settle([settled(**facts) for facts in exchanges])
    return totals_of(metrics)


def test_before_anything_all_is_0() -> None:
    assert counted() == Totals()


def test_all_deployments_are_added_up_those_that_nobody_knows_too() -> None:
    assert counted(
        {}, {"outcome": "broken", "fallback_used": True}, {"provider": "nobody"}, {"provider": ""}
    ) == Totals(4, 3, 1, 1, 12.0, 40, 80, 120, 0)


def test_a_client_that_left_is_neither_good_nor_failed() -> None:
    found = counted({"outcome": "client_gone"}, {"outcome": "cancelled"}, {"outcome": "error"})
    assert (found.requests, found.ok, found.failed) == (3, 0, 2)


def test_what_a_provider_does_not_know_or_counts_backwards_changes_no_total() -> None:
    found = counted({"usage": Usage(input=-5, cached=None, output=None, reasoning=-1)}, {"usage": None})
    assert (found.input, found.cached, found.output, found.reasoning) == (0, 0, 0, 0)
