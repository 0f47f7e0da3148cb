"""The criteria as filters."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import ClientFault
from proxy.routing.criteria_filter import MOST_CACHED
from proxy.wire.criteria import Criteria
from tests.support.catalogs import build, every, plan_for

PROVIDERS = {"p": {"baseUrl": "http://127.0.0.1:1"}, "open": {"baseUrl": "http://127.0.0.1:2"}}
MODELS: list[dict[str, Any]] = [
    {"name": "quick", "provider": "p", "speedTier": "fast", "contextSize": 8000, "tags": ["code", "general"]},
    {
        "name": "deep",
        "provider": "p",
        "type": "reasoning",
        "contextSize": 64000,
        "tags": ["code", "math"],
        "jsonResponse": True,
    },
    {"name": "plain", "provider": "p", "speedTier": "slow", "jsonResponse": True},
    {"name": "typed", "provider": "p", "type": "fast", "tags": ["general"]},
]
KNOWN = build(MODELS, PROVIDERS)
CLOSED = build(MODELS, {"p": PROVIDERS["p"]})
EVERY = {model["name"] for model in MODELS}


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        (Criteria(), EVERY),
        (Criteria(tags=("code",)), {"quick", "deep"}),
        (Criteria(tags=("code", "math")), {"deep"}),
        (Criteria(type="reasoning"), {"deep"}),
        (Criteria(type="chat"), {"quick", "plain"}),
        (Criteria(type="fast"), {"quick", "typed"}),
        (Criteria(min_context_size=8000), {"quick", "deep"}),
        (Criteria(min_context_size=8001), {"deep"}),
        (Criteria(min_context_size=1), {"quick", "deep"}),
        (Criteria(json_response=True), {"deep", "plain"}),
        (Criteria(prefer_fast=True), EVERY),
        (Criteria(min_success_rate=0.9), EVERY),
        (Criteria(tags=("code",), json_response=True, prefer_fast=True), {"deep"}),
    ],
)
def test_each_criterion_keeps_the_matching_models(criteria: Criteria, left: set[str]) -> None:
    for _ in range(2):
        assert {each.name for each in every(plan_for(KNOWN, "auto", criteria=criteria))} == left


@pytest.mark.parametrize(
    ("criteria", "field"),
    [
        (Criteria(tags=("cooking",)), "tags"),
        (Criteria(type="poetry"), "type"),
        (Criteria(min_context_size=64001), "min_context_size"),
        (Criteria(tags=("general",), json_response=True), "json_response"),
        (Criteria(tags=("math",), type="chat"), "tags"),
        (Criteria(type="fast", min_context_size=9000, prefer_fast=True, min_success_rate=1.0), "min_context_size"),
    ],
)
@pytest.mark.parametrize("names", [("auto",), ("none",)])
def test_the_error_names_the_criterion_that_no_model_satisfies(
    criteria: Criteria, field: str, names: tuple[str, ...]
) -> None:
    with pytest.raises(ClientFault) as caught:
        plan_for(CLOSED, *names, auto=True, criteria=criteria)
    fault = caught.value
    assert (fault.status, fault.code, fault.param) == (404, "no_model_matches", field)
    assert field in fault.message


@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(tags=("cooking",)),
        Criteria(type="poetry"),
        Criteria(min_context_size=64001),
        Criteria(json_response=True),
        Criteria(min_success_rate=1.0),
    ],
)
def test_criteria_do_not_apply_to_a_named_model(criteria: Criteria) -> None:
    known = build(MODELS, PROVIDERS)
    for deployment in known.deployments:
        deployment.live.statistics.record(False, 0.0)
    assert [each.name for each in every(plan_for(known, "plain", "quick", criteria=criteria))] == ["plain", "quick"]
    assert len(every(plan_for(known, "open/made-up", criteria=criteria))) == 1


def test_in_a_list_criteria_apply_to_the_models_added_by_auto() -> None:
    known = build(MODELS, PROVIDERS)
    found = every(plan_for(known, "plain", auto=True, criteria=Criteria(tags=("code",))))
    assert (found[0].name, {each.name for each in found[1:]}) == ("plain", {"quick", "deep"})
    assert [each.name for each in every(plan_for(known, "plain", auto=True, criteria=Criteria(type="poetry")))] == [
        "plain"
    ]
    for deployment in known.deployments:
        deployment.live.statistics.record(deployment.name == "deep", 0.0)
    found = every(plan_for(known, "plain", auto=True, criteria=Criteria(min_success_rate=0.5)))
    assert [each.name for each in found] == ["plain", "deep"]


def test_prefer_fast_chooses_among_deployments_of_a_named_model() -> None:
    models = [{"name": "m", "provider": name} for name in ("p", "q")]
    known = build(models, PROVIDERS | {"q": {"baseUrl": "http://127.0.0.1:3"}})
    for latency, deployment in zip((3.0, 1.0), known.deployments, strict=True):
        deployment.live.statistics.record_first_token(latency, 0.0)
    for _ in range(2):
        found = every(plan_for(known, "m", criteria=Criteria(prefer_fast=True, type="poetry")))
        assert [each.provider.name for each in found] == ["q", "p"]


def test_criteria_apply_to_a_pinned_provider() -> None:
    found = every(plan_for(KNOWN, "auto", pinned="p", criteria=Criteria(type="reasoning")))
    assert [each.name for each in found] == ["deep"]


def test_prefer_fast_uses_the_lowest_latency() -> None:
    known = build(MODELS, PROVIDERS, strategy="lowest_cost")
    for latency, deployment in zip((3.0, 1.0, 2.0, 4.0), known.deployments, strict=True):
        deployment.live.statistics.record_first_token(latency, 0.0)
    found = every(plan_for(known, "auto", criteria=Criteria(prefer_fast=True)))
    assert [each.name for each in found] == ["deep", "plain", "quick", "typed"]


def test_rotation_continues_among_matching_models() -> None:
    known = build(MODELS, PROVIDERS, strategies={"auto": "round_robin"})
    first = [plan_for(known, "auto", criteria=Criteria(tags=("code",))).next(0.0) for _ in range(4)]
    assert [each.name for each in first if each] == ["quick", "deep", "quick", "deep"]


def test_equivalent_criteria_share_a_cache_entry() -> None:
    known = build(MODELS, PROVIDERS)
    for size in range(1, 2 * MOST_CACHED):
        plan_for(known, "auto", criteria=Criteria(min_context_size=size))
    assert len(known._by_criteria._cached) == 1
