from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.routing.ranking import Ranking
from tests.support.catalogs import asked, rivals

COUNT = 8
KNOWN = rivals(COUNT)
latencies = st.none() | st.floats(0.001, 100.0)


@given(st.lists(st.lists(latencies, min_size=COUNT, max_size=COUNT), min_size=1, max_size=8))
@settings(deadline=None)
def test_after_a_look_at_everyone_the_ranking_agrees_with_a_sorted_list(states: list[list[float | None]]) -> None:
    ranking = Ranking(KNOWN.deployments)
    for state in states:
        for deployment, latency in zip(KNOWN.deployments, state, strict=True):
            deployment.live.statistics.latency = latency
            deployment.live.in_flight = 1  # the unknown are being explored
            deployment.live.statistics._heard = 0
        known = [latency for latency in state if latency is not None]
        ranking.choose(asked(KNOWN, "m"), 0.0)
        found = ranking.choose(asked(KNOWN, "m"), 0.0)
        assert (found and found.live.statistics.latency) == min(known, default=None)
        assert len(ranking._known) <= 2 * COUNT
