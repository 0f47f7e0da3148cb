"""The same affinity finds the same deployment."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from proxy.routing.catalog import Catalog
from proxy.wire.criteria import Criteria
from tests.support.catalogs import every, plan_for, rivals

SESSIONS = [b"session-%d" % number for number in range(2000)]


@cache
def many(count: int) -> Catalog:
    return rivals(count)


def home(known: Catalog, session: bytes) -> str:
    found = plan_for(known, "m", affinity=session).next(0.0)
    assert found is not None
    return found.label


@pytest.mark.parametrize("count", [5, 100])
def test_a_session_keeps_its_deployment(count: int) -> None:
    for session in SESSIONS[:20]:
        assert home(many(count), session) == home(rivals(count) if count < 10 else many(count), session)
    homes = Counter(home(many(count), session) for session in SESSIONS)
    assert len(homes) == count
    assert max(homes.values()) < 2000 / count * 2.2


@pytest.mark.parametrize("count", [5, 100])
def test_only_requests_of_an_unavailable_deployment_move(count: int) -> None:
    known = rivals(count)
    before = {session: home(known, session) for session in SESSIONS[:500]}
    gone = known.deployments[0]
    gone.live.quota.cool_down(1.0)
    after = {session: home(known, session) for session in SESSIONS[:500]}
    moved = {session for session in before if before[session] != after[session]}
    assert moved == {session for session in before if before[session] == gone.label}
    assert len({after[session] for session in moved}) > 1


def test_a_new_deployment_takes_only_its_share() -> None:
    for session in SESSIONS[:300]:
        assert home(many(6), session) in (home(many(5), session), "p5/m")


def test_affinity_is_in_proportion_to_the_weights() -> None:
    known = rivals(2, {"weight": 3}, {"weight": 1})
    homes = Counter(home(known, session) for session in SESSIONS)
    assert 0.72 < homes["p0/m"] / len(SESSIONS) < 0.78


@pytest.mark.parametrize("count", [5, 100])
def test_an_overloaded_deployment_is_skipped(count: int) -> None:
    known = rivals(count)
    label = home(known, b"s")
    [busy] = [deployment for deployment in known.deployments if deployment.label == label]
    busy.live.in_flight = 1
    assert home(known, b"s") == label  # one is no load
    busy.live.in_flight = 10
    assert home(known, b"s") != label
    for deployment in known.deployments:
        deployment.live.in_flight = 10
    assert home(known, b"s") == label  # no deployment has more than others


@pytest.mark.parametrize("count", [5, 100])
def test_with_affinity_each_deployment_is_proposed_once(count: int) -> None:
    known = rivals(count)
    known.deployments[0].live.in_flight = 1000
    found = every(plan_for(known, "m", affinity=b"s"))
    assert len(found) == len(set(found)) == count


def test_prefer_fast_overrides_affinity() -> None:
    known = rivals(3)
    for latency, deployment in zip((3.0, 1.0, 2.0), known.deployments, strict=True):
        deployment.live.statistics.record_first_token(latency, 0.0)
    for session in SESSIONS[:10]:
        found = plan_for(known, "m", affinity=session, criteria=Criteria(prefer_fast=True)).next(0.0)
        assert found is known.deployments[1]


def test_affinity_stays_among_the_cheapest() -> None:
    known = rivals(3, {"inputPrice": 1}, {"inputPrice": 1}, {"inputPrice": 2}, strategy="lowest_cost")
    homes = {home(known, session) for session in SESSIONS[:50]}
    assert homes == {"p0/m", "p1/m"}
