"""Shares of the strategies with a fixed seed, in small (scanned) and large (sampled) tiers."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from proxy.config.schema import Strategy
from proxy.routing.catalog import Catalog, Deployment
from proxy.routing.strategies import LEAST_RATE, STRATEGIES
from tests.support.catalogs import ENDPOINT, every, plan_for, rivals

LARGE = 200


def shares(known: Catalog, rounds: int = 4000, seed: int = 7) -> Counter[str]:
    """How often each provider is the first that is proposed."""
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    for _ in range(rounds):
        first = plan_for(known, "m", chance=chance).next(0.0)
        assert first is not None
        found[first.provider.name] += 1
    return found


def history(deployment: Deployment, *, good: int = 0, bad: int = 0, latency: float | None = None) -> None:
    for ok in [True] * good + [False] * bad:
        deployment.live.statistics.record(ok, 0.0)
    if latency is not None:
        deployment.live.statistics.record_first_token(latency, 0.0)


def near(part: float, expected: float, tolerance: float = 0.025) -> bool:
    return abs(part - expected) < tolerance


def test_every_configurable_strategy_exists() -> None:
    assert set(STRATEGIES) == set(Strategy.__args__)  # type: ignore[attr-defined]


# smart


def test_smart_chooses_in_proportion_to_the_weights() -> None:
    found = shares(rivals(3, {"weight": 5}, {"weight": 3}, {"weight": 2}, strategy="smart"))
    assert near(found["p0"] / 4000, 0.5)
    assert near(found["p1"] / 4000, 0.3)
    assert near(found["p2"] / 4000, 0.2)


def test_smart_multiplies_weight_success_rate_and_latency_factor() -> None:
    known = rivals(3, {"weight": 1}, {"weight": 2}, {"weight": 4}, strategy="smart")
    one, two, three = known.deployments
    history(one, good=10, latency=0.0)  # 1 x 1.0 x 1
    history(two, good=5, bad=5, latency=0.0)  # 2 x 0.5 x 1
    history(three, good=10, latency=3.0)  # 4 x 1.0 x 1/4
    assert all(near(count / 4000, 1 / 3) for count in shares(known).values())


@pytest.mark.parametrize("count", [4, LARGE])
def test_smart_explores_those_without_statistics_as_if_they_were_the_best(count: int) -> None:
    known = rivals(count, strategy="smart")
    half = count // 2
    for deployment in known.deployments[:half]:
        history(deployment, good=1, bad=1, latency=1.0)  # 1 x 0.5 x 0.5
    found = shares(known)
    unexplored = sum(found[f"p{number}"] for number in range(half, count))
    assert near(unexplored / 4000, 0.8)  # 1 to 0.25


def test_the_shares_are_exact_among_many() -> None:
    settings: list[dict[str, Any]] = [{"weight": 1 + number % 3} for number in range(LARGE)]
    known = rivals(LARGE, *settings, strategy="smart")
    for number, deployment in enumerate(known.deployments):
        history(deployment, good=1 + number % 2, bad=1, latency=float(number % 5))
    tier = plan_for(known, "m").tiers
    scores = {each.provider.name: tier[0].score(each, 0.0) or 0.0 for each in known.deployments}
    total = sum(scores.values())
    found = shares(known, 6000)
    # Chi square with 199 degrees of freedom stays below 260 with p = 0.998.
    chi = sum((found[name] - 6000 * score / total) ** 2 / (6000 * score / total) for name, score in scores.items())
    assert chi < 260


def test_if_no_sample_is_accepted_all_are_scanned() -> None:
    known = rivals(LARGE, strategy="smart")
    for deployment in known.deployments:
        history(deployment, bad=2, latency=1000.0)
    assert len(shares(known, 200)) > 50


@pytest.mark.parametrize("strategy", ["smart", "weighted_round_robin", "round_robin", "least_connections"])
def test_weight_zero_is_used_last(strategy: str) -> None:
    known = rivals(4, {"weight": 0}, {"weight": 0}, strategy=strategy)
    assert set(shares(known, 200)) == {"p2", "p3"}
    assert [each.provider.name in ("p0", "p1") for each in every(plan_for(known, "m"))] == [False, False, True, True]


def test_a_deployment_that_always_failed_keeps_a_small_share() -> None:
    known = rivals(2, strategy="smart")
    history(known.deployments[0], bad=2)
    assert 0 < shares(known, 4000)["p0"] < 4000 * LEAST_RATE * 2


def test_after_the_cooldown_a_probe_is_as_likely_as_any_other() -> None:
    known = rivals(2, strategy="smart")
    deployment = known.deployments[0]
    for _ in range(3):
        deployment.live.breaker.fail(deployment.live.breaker.acquire(ENDPOINT, 0.0), 0.0, "test")
        history(deployment, bad=1)
    assert set(shares(known, 100)) == {"p1"}
    chance = random.Random(5)
    firsts = [plan_for(known, "m", chance=chance).next(60.0) for _ in range(1000)]
    assert near(firsts.count(deployment) / 1000, 0.5, 0.05)


def test_the_same_seed_gives_the_same_choices() -> None:
    assert shares(rivals(5, strategy="smart"), 50, 1) == shares(rivals(5, strategy="smart"), 50, 1)


# In turn


def test_round_robin_is_even_and_skips_open_breakers() -> None:
    known = rivals(3, strategy="round_robin")
    known.deployments[0].live.breaker.trip(0.0, "test")
    assert shares(known, 100) == {"p1": 50, "p2": 50}


def test_weighted_round_robin_is_exact_and_even() -> None:
    known = rivals(3, {"weight": 3}, {"weight": 1}, {"weight": 1}, strategy="weighted_round_robin")
    firsts = [plan_for(known, "m").next(0.0) for _ in range(50)]
    names = [each.provider.name for each in firsts if each]
    for begin in range(0, 50, 5):
        assert Counter(names[begin : begin + 5]) == {"p0": 3, "p1": 1, "p2": 1}
    assert "p0" in {*names[:2]} & {*names[2:4]}


def test_weighted_round_robin_is_even_among_many() -> None:
    known = rivals(LARGE, *[{"weight": 9}] * 100, *[{"weight": 1}] * 100, strategy="weighted_round_robin")
    found = shares(known, 1000)
    heavy = sum(found[f"p{number}"] for number in range(100))
    assert near(heavy / 1000, 0.9, 0.005)
    assert max(found.values()) - min(found[f"p{number}"] for number in range(100)) <= 3


# The best


@pytest.mark.parametrize("count", [4, LARGE])
def test_least_connections_selects_the_least_loaded_and_rotates_among_idle_ones(count: int) -> None:
    known = rivals(count, strategy="least_connections")
    assert set(shares(known, count).values()) == {1}
    for number, deployment in enumerate(known.deployments):
        deployment.live.in_flight = 5 if number % 2 else 2
    assert all(int(name[1:]) % 2 == 0 for name in shares(known, count))


@pytest.mark.parametrize("count", [4, LARGE])
def test_lowest_latency_explores_the_unknown_one_request_at_a_time(count: int) -> None:
    known = rivals(count, strategy="lowest_latency")
    chosen = []
    for _ in range(count):
        first = plan_for(known, "m").next(0.0)
        assert first is not None
        first.live.in_flight += 1
        chosen.append(first)
    assert len(set(chosen)) == count
    assert plan_for(known, "m").next(0.0) is not None  # all are being explored: any is better than none
    history(chosen[0], latency=30.0)
    assert set(shares(known, 20)) == {chosen[0].provider.name}  # the only one that is known


@pytest.mark.parametrize("count", [4, LARGE])
def test_lowest_latency_selects_the_fastest_and_follows_changes(count: int) -> None:
    known = rivals(count, strategy="lowest_latency")
    for number, deployment in enumerate(known.deployments):
        history(deployment, latency=1.0 + number)
    assert set(shares(known, 20)) == {"p0"}
    known.deployments[0].live.statistics.latency = 50.0
    assert set(shares(known, 20)) == {"p1"}
    known.deployments[-1].live.statistics.latency = 0.1  # found out by others
    shares(known, 20)
    assert set(shares(known, 20)) == {f"p{count - 1}"}
    known.deployments[-1].live.breaker.trip(0.0, "test")
    assert set(shares(known, 20)) == {"p1"}


@pytest.mark.parametrize("count", [4, LARGE])
def test_expired_latencies_are_explored_again(count: int) -> None:
    known = rivals(count, strategy="lowest_latency")
    for deployment in known.deployments:
        history(deployment, latency=1.0)
    fastest = plan_for(known, "m").next(0.0)
    assert fastest is not None
    later = 10_000.0
    found = set()
    for _ in range(count):
        first = plan_for(known, "m").next(later)
        assert first is not None
        first.live.statistics.record_first_token(5.0, later)
        found.add(first)
    assert found == set(known.deployments)


@pytest.mark.parametrize("count", [6, LARGE])
def test_lowest_cost_rotates_among_the_cheapest_with_unknown_prices_last(count: int) -> None:
    prices: list[dict[str, Any]] = [
        {},
        {"inputPrice": 2, "outputPrice": 3},
        {"inputPrice": 1, "outputPrice": 4},
        {"inputPrice": 0, "outputPrice": 9},
        {"inputPrice": 6},
    ]
    known = rivals(count, *prices, strategy="lowest_cost")
    assert shares(known, 100) == {"p1": 50, "p2": 50}
    order = [each.provider.name for each in every(plan_for(known, "m"))]
    assert order[2:4] == ["p4", "p3"]
    assert len(order) == count


def test_lowest_cost_follows_prices_that_change() -> None:
    new = {"prices": [{"input": 3}, {"input": 1, "validFrom": "1970-01-02"}]}
    known = rivals(3, {}, new, {"prices": {"input": 2}}, strategy="lowest_cost")
    assert [each.provider.name for each in every(plan_for(known, "m"))] == ["p2", "p1", "p0"]
    later = 86_400.0
    plan = plan_for(known, "m", now=later)
    assert [each.provider.name for each in every(plan, later)] == ["p1", "p2", "p0"]
    plan = plan_for(known, "m", now=later)
    plan.next(later)
    assert plan.explain()["scores"] == {"p1/m": 1.0, "p2/m": 2.0}


# Which strategy


@pytest.mark.parametrize(
    ("routing", "named", "auto"),
    [
        ({}, "round_robin", "smart"),
        ({"strategy": "lowest_cost"}, "lowest_cost", "lowest_cost"),
        ({"strategies": {"m": "least_connections"}}, "least_connections", "smart"),
        ({"strategies": {"auto": "round_robin"}, "strategy": "smart"}, "smart", "round_robin"),
    ],
)
def test_a_name_uses_its_own_strategy_or_the_default(routing: dict[str, Any], named: str, auto: str) -> None:
    known = rivals(2, **routing)
    for name, strategy in (("m", named), ("auto", auto)):
        plan = plan_for(known, name)
        plan.next(0.0)
        assert plan.explain()["strategy"] == strategy


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("count", [1, 5, LARGE])
def test_each_strategy_proposes_every_available_deployment_once(strategy: str, count: int) -> None:
    known = rivals(count, strategy=strategy)
    down = {deployment for number, deployment in enumerate(known.deployments) if number % 3 == 1}
    for deployment in down:
        deployment.live.breaker.trip(0.0, "test")
    found = every(plan_for(known, "m", chance=random.Random(3)))
    assert len(found) == len(set(found))
    assert set(found) == set(known.deployments) - down


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_only_available_deployment_of_many_is_found(strategy: str) -> None:
    known = rivals(LARGE, strategy=strategy)
    for deployment in known.deployments[:-1]:
        deployment.live.breaker.trip(0.0, "test")
    assert set(shares(known, 5)) == {f"p{LARGE - 1}"}
