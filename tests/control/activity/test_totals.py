"""Totals from the metrics."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.control.activity.totals import Totals, totals_of
from proxy.dialects.usage import Usage
from proxy.observe.families import OUTCOMES
from proxy.observe.metrics import Metrics
from proxy.routing.endpoints import ENDPOINTS, MODELS, OPAQUE, UNROUTED, Endpoint
from tests.observe.exchanges import DEPLOYMENT, settled


def counted(*exchanges: dict[str, Any]) -> Totals:
    metrics = Metrics()
    metrics.set_labels([DEPLOYMENT])
    metrics.settle([settled(**facts) for facts in exchanges])
    return totals_of(metrics)


def test_totals_begin_at_zero() -> None:
    assert counted() == Totals()


def test_all_deployments_are_summed() -> None:
    assert counted(
        {}, {"outcome": "broken", "fallback_used": True}, {"provider": "nobody"}, {"provider": ""}
    ) == Totals(4, 3, 1, 0, 1, 12.0, 40, 80, 120, 0)


def test_a_disconnect_is_neither_a_success_nor_a_failure() -> None:
    found = counted({"outcome": "client_gone"}, {"outcome": "cancelled"}, {"outcome": "error"})
    assert (found.requests, found.ok, found.failed, found.disconnected) == (3, 0, 2, 1)


@given(st.lists(st.tuples(st.sampled_from(OUTCOMES), st.sampled_from([*ENDPOINTS, MODELS, OPAQUE, UNROUTED]))))
def test_requests_are_the_sum_of_their_outcomes(
    ended: list[tuple[str, Endpoint]],
) -> None:
    found = counted(*({"outcome": outcome, "endpoint": endpoint} for outcome, endpoint in ended))
    assert found.requests == found.ok + found.failed + found.disconnected
    assert found.requests == sum(endpoint in ENDPOINTS for _, endpoint in ended)


def test_unknown_or_negative_usage_changes_no_total() -> None:
    found = counted({"usage": Usage(input=-5, cache_read=None, output=None, reasoning=-1)}, {"usage": None})
    assert (found.input, found.cached, found.output, found.reasoning) == (0, 0, 0, 0)
