"""Candidates that a plan proposes and skips, and its explanation."""

from __future__ import annotations

import json
import random

import pytest

from proxy.errors import ClientFault
from proxy.routing.catalog import Catalog, Deployment
from proxy.wire.criteria import Criteria
from tests.support.catalogs import ENDPOINT, build, every, plan_for, rivals

PROVIDERS = {name: {"baseUrl": f"http://127.0.0.1:{port}"} for port, name in enumerate("pqr", 1)}


def labels(deployments: list[Deployment]) -> list[str]:
    return [deployment.label for deployment in deployments]


def fail(deployment: Deployment, times: int, now: float = 0.0) -> None:
    breaker = deployment.live.breaker
    for _ in range(times):
        breaker.fail(breaker.acquire(ENDPOINT, now), now, "test")
        deployment.live.statistics.record(False, now)


def test_nothing_is_proposed_twice() -> None:
    plan = plan_for(rivals(3), "m")
    assert sorted(labels(every(plan))) == ["p0/m", "p1/m", "p2/m"]
    assert plan.next(0.0) is None
    assert plan.next_equal(0.0) is None


def test_a_name_rotates_over_its_deployments() -> None:
    known = rivals(3)
    first = [plan_for(known, "m").next(0.0) for _ in range(6)]
    assert labels([d for d in first if d]) == ["p0/m", "p1/m", "p2/m"] * 2


def obstructed(reason: str, deployment: Deployment) -> None:
    breaker = deployment.live.breaker
    match reason:
        case "breaker_open":
            breaker.trip(0.0, "test")
        case "unavailable":
            breaker.missing(ENDPOINT, 0.0)
        case "resting":
            deployment.live.quota.cool_down(10.0)
        case "busy":
            deployment.live.in_flight = 2
        case "success_rate":
            deployment.live.statistics.record(False, 0.0)


@pytest.mark.parametrize("reason", ["breaker_open", "unavailable", "resting", "busy", "success_rate"])
@pytest.mark.parametrize(
    "strategy", ["smart", "round_robin", "weighted_round_robin", "least_connections", "lowest_latency", "lowest_cost"]
)
def test_an_unavailable_candidate_is_skipped_with_its_reason(reason: str, strategy: str) -> None:
    known = rivals(3, *[{"maxConcurrent": 2}] * 3, strategy=strategy)
    bad = known.deployments[0]
    obstructed(reason, bad)
    for _ in range(5):
        least = Criteria(min_success_rate=0.5)
        plan = plan_for(known, "auto", criteria=least) if reason == "success_rate" else plan_for(known, "m")
        assert sorted(labels(every(plan))) == ["p1/m", "p2/m"]
        assert plan.skipped == [(bad, reason)]
        assert plan.explain()["skipped"] == {"p0/m": reason}


def test_a_model_missing_at_one_endpoint_is_available_at_others() -> None:
    known = rivals(1)
    breaker = known.deployments[0].live.breaker
    breaker.missing("embeddings", 0.0)
    assert labels(every(plan_for(known, "m"))) == ["p0/m"]


def test_a_skipped_candidate_is_proposed_when_it_becomes_available() -> None:
    known = build([{"name": "a", "provider": "p"}, {"name": "b", "provider": "q"}], PROVIDERS)
    a, b = known.deployments
    a.live.quota.cool_down(10.0)
    plan = plan_for(known, "a", "b")
    assert plan.next(0.0) is b
    assert plan.next(0.0) is None
    assert plan.cooldown_secs(4.0) == 6.0
    assert plan.next(10.0) is a
    assert plan.skipped == []


def test_next_equal_stays_in_the_tier() -> None:
    known = build(
        [{"name": "a", "provider": "p"}, {"name": "a", "provider": "q"}, {"name": "b", "provider": "r"}], PROVIDERS
    )
    plan = plan_for(known, "a", "b")
    assert plan.next_equal(0.0) is None  # nothing was proposed yet
    assert plan.next(0.0) is known.deployments[0]
    assert plan.next_equal(0.0) is known.deployments[1]
    assert plan.next_equal(0.0) is None
    assert plan.next(0.0) is known.deployments[2]


def test_may_retry_while_nothing_prevents_it() -> None:
    known = rivals(1)
    plan = plan_for(known, "m")
    deployment = plan.next(0.0)
    assert deployment is not None
    assert plan.may_retry(deployment, 0.0)
    deployment.live.quota.cool_down(5.0)
    assert not plan.may_retry(deployment, 4.9)
    assert plan.may_retry(deployment, 5.0)
    fail(deployment, 3, 5.0)
    assert not plan.may_retry(deployment, 5.0)


SIZES = [
    {"name": "s", "provider": "p", "contextSize": 1000},
    {"name": "same", "provider": "q", "contextSize": 1000},
    {"name": "unknown", "provider": "r"},
    {"name": "l", "provider": "r", "contextSize": 2000},
]


def test_a_required_context_skips_only_contexts_known_to_be_smaller() -> None:
    plan = plan_for(build(SIZES, PROVIDERS), "s", "same", "unknown", "l")
    plan.next(0.0)
    plan.require_context(1000)
    assert labels(every(plan)) == ["r/unknown", "r/l"]
    assert [(each.label, reason) for each, reason in plan.skipped] == [("q/same", "context")]


def test_prefill_and_context_can_be_required_together() -> None:
    known = rivals(3, {"prefill": True, "contextSize": 4}, {"contextSize": 10}, {"prefill": True, "contextSize": 10})
    plan = plan_for(known, "m")
    plan.require_prefill()
    assert {each.provider.name for each in every(plan)} == {"p0", "p2"}
    assert [reason for _, reason in plan.skipped] == ["prefill"]
    plan = plan_for(known, "m")
    plan.require_context(5)
    plan.require_prefill()
    assert [each.provider.name for each in every(plan)] == ["p2"]


@pytest.mark.parametrize(("fallback", "found"), [("s", None), ("l", "r/l")])
def test_a_required_context_applies_to_the_fallback(fallback: str, found: str | None) -> None:
    provider = {"s": "p", "l": "r"}[fallback]
    plan = plan_for(build(SIZES, PROVIDERS, fallback={"provider": provider, "model": fallback}), "same")
    every(plan)
    plan.require_context(1000)
    proposed = plan.next_fallback(0.0)
    assert (proposed and proposed.label) == found


def with_fallback() -> Catalog:
    return build(SIZES, PROVIDERS, fallback={"provider": "r", "model": "l"})


def test_the_fallback_is_proposed_at_most_once() -> None:
    plan = plan_for(with_fallback(), "s")
    assert labels(every(plan)) == ["p/s"]
    found = plan.next_fallback(0.0)
    assert found is not None
    assert found.label == "r/l"
    assert plan.next_fallback(0.0) is None
    plan = plan_for(with_fallback(), "l")
    every(plan)
    assert plan.next_fallback(0.0) is None


def test_a_pinned_provider_has_no_fallback() -> None:
    plan = plan_for(with_fallback(), "s", pinned="p")
    every(plan)
    assert plan.next_fallback(0.0) is None


def test_an_unavailable_fallback_is_not_proposed() -> None:
    known = with_fallback()
    known.fallback[0].live.quota.cool_down(9.0)
    plan = plan_for(known, "s")
    every(plan)
    assert plan.next_fallback(0.0) is None
    assert plan.cooldown_secs(1.0) == 8.0


def test_criteria_do_not_apply_to_the_fallback() -> None:
    known = with_fallback()
    known.fallback[0].live.statistics.record(False, 0.0)
    plan = plan_for(known, "s", criteria=Criteria(min_success_rate=0.5))
    every(plan)
    assert plan.next_fallback(0.0) is known.fallback[0]


def test_an_unreached_success_rate_is_a_404() -> None:
    known = rivals(2)
    for deployment in known.deployments:
        deployment.live.statistics.record(False, 0.0)
    with pytest.raises(ClientFault) as caught:
        plan_for(known, "auto", criteria=Criteria(min_success_rate=0.5))
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "no_model_matches", "min_success_rate")


def test_cooldown_secs_is_the_first_end_of_a_cooldown() -> None:
    known = rivals(3)
    one, two, three = known.deployments
    one.live.quota.cool_down(20.0)
    fail(two, 3)  # the breaker cools down for 60 s
    three.live.breaker.trip(0.0, "test")  # until the operator says otherwise
    plan = plan_for(known, "m")
    assert plan.next(0.0) is None
    assert plan.cooldown_secs(5.0) == 15.0
    one.live.quota.cool_down(100.0)
    assert plan.cooldown_secs(5.0) == 55.0


def test_cooldowns_of_proposed_candidates_count() -> None:
    plan = plan_for(rivals(1), "m")
    deployment = plan.next(0.0)
    assert deployment is not None
    assert plan.cooldown_secs(0.0) is None
    deployment.live.quota.cool_down(7.0)
    assert plan.cooldown_secs(0.0) == 7.0


def test_a_plan_explains_itself_without_addresses() -> None:
    known = rivals(3, {"weight": 4})
    known.deployments[0].live.statistics.record_first_token(1.0, 0.0)
    known.deployments[1].live.breaker.trip(0.0, "test")
    plan = plan_for(known, "nobody", auto=True, chance=random.Random(1))
    assert plan.explain() == {
        "unknown": ["nobody"],
        "skipped": {"p1/m": "breaker_open"},
        "candidates": ["p0/m", "p1/m", "p2/m"],
    }
    chosen = plan.next(0.0)
    assert chosen is not None
    explanation = plan.explain()
    assert explanation == {
        "chosen": chosen.label,
        "strategy": "smart",
        "unknown": ["nobody"],
        "skipped": {"p1/m": "breaker_open"},
        "candidates": ["p0/m", "p1/m", "p2/m"],
        "scores": {"p0/m": 2.0, "p1/m": 1.0, "p2/m": 1.0},
    }
    assert "127.0.0.1" not in json.dumps(explanation)


def test_the_number_of_explained_candidates_is_bounded() -> None:
    plan = plan_for(rivals(100), "auto")
    plan.next(0.0)
    assert len(json.dumps(plan.explain())) < 2000
