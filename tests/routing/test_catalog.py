"""From names to deployments."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.provider_schema import EndpointName
from proxy.config.schema import CircuitBreaker
from proxy.errors import ClientFault
from proxy.routing.access import ALL, access
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import PATHS, paths_of
from proxy.routing.live import Registry
from proxy.routing.spec import Spec
from tests.routing.samples import ANY, CHAT, MODELS, PROVIDERS, R1, REASONER, catalog, pairs, planned
from tests.support.catalogs import ENDPOINT, build, every, plan_for


@pytest.mark.parametrize("name", [None, "auto"])
def test_auto_chooses_any_available_model(name: str | None) -> None:
    assert set(planned(catalog(), name)) == {R1, CHAT, REASONER}


@pytest.mark.parametrize("name", ["deepseek-v9", "", "openrouter/deepseek-chat", "nobody/deepseek-chat", "/"])
def test_an_unknown_name_is_a_404_that_names_the_field(name: str) -> None:
    with pytest.raises(ClientFault) as caught:
        plan_for(catalog(), name)
    fault = caught.value
    assert (fault.status, fault.code, fault.param, fault.kind) == (
        404,
        "model_not_found",
        "model",
        "invalid_request",
    )


def refusal(name: str) -> ClientFault | None:
    try:
        assert plan_for(KNOWN, name)
    except ClientFault as fault:
        return fault
    return None


@given(st.text(max_size=3000))
@settings(deadline=None)
def test_any_name_at_all_is_a_plan_or_a_short_404(name: str) -> None:
    fault = refusal(name)
    assert fault is None or (fault.status == 404 and len(fault.message) < 3000)


KNOWN = catalog()


@pytest.mark.parametrize("name", [None, "auto"])
@pytest.mark.parametrize("count", [1, 2])
def test_auto_without_any_listed_model_is_rejected_with_an_explanation(name: str | None, count: int) -> None:
    with pytest.raises(ClientFault) as caught:
        plan_for(build([], dict(list(ANY.items())[:count])), name)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "model_required", "model")
    assert "Name a model" in caught.value.message


def test_a_pinned_provider_without_models_gets_the_call_unchanged() -> None:
    known = build([], ANY)
    assert planned(known, None, "a") == [("a", None)]
    opaque = known.opaque_plan(known.providers["a"], ALL, random.Random(0))
    assert every(plan_for(known, None, pinned="a")) == [opaque.next(0.0)]


# Models that are not available


def test_an_unavailable_model_is_skipped_like_an_open_breaker() -> None:
    plan = plan_for(catalog(), "off")
    assert plan.next(0.0) is None
    assert [(each.label, reason) for each, reason in plan.skipped] == [("deepseek/off", "disabled")]


def test_an_unavailable_model_is_followed_by_the_next_and_the_fallback() -> None:
    known = build(MODELS, PROVIDERS, fallback={"provider": "deepseek", "model": "deepseek-chat"})
    assert planned_names(known, "off", "deepseek-r1") == ["deepseek-r1", "deepseek-r1"]
    plan = plan_for(known, "off")
    assert (plan.next(0.0), pairs([found] if (found := plan.next_fallback(0.0)) else [])) == (None, [CHAT])


def planned_names(known: Catalog, *names: str) -> list[str]:
    return [each.name for each in every(plan_for(known, *names))]


@pytest.mark.parametrize("name", [None, "auto", "a"])
def test_the_fallback_is_used_if_no_model_is_available(name: str | None) -> None:
    models = [{"name": "a", "provider": name, "available": False} for name in PROVIDERS]
    plan = plan_for(catalog(models), name)
    assert (plan.next(0.0), plan.next_fallback(0.0), len(plan.skipped)) == (None, None, 2)
    known = build(models, PROVIDERS | ANY, fallback={"provider": "b", "model": "x"})
    assert pairs([found] if (found := plan_for(known, name).next_fallback(0.0)) else []) == [("b", "x")]


# Endpoints


SERVING = [
    {"name": "plain", "provider": "deepseek"},
    {"name": "talk", "provider": "deepseek", "type": "chat"},
    {"name": "think", "provider": "deepseek", "type": "reasoning"},
    {"name": "odd", "provider": "deepseek", "type": "poetry"},
    {"name": "vector", "provider": "deepseek", "type": "embedding"},
    {"name": "paint", "provider": "deepseek", "type": "image"},
    {"name": "hear", "provider": "deepseek", "type": "audio", "endpoints": ["audio/transcriptions"]},
    {"name": "sound", "provider": "deepseek", "type": "audio"},
    {"name": "judge", "provider": "deepseek", "type": "moderation"},
    {"name": "both", "provider": "deepseek", "endpoints": ["chat", "embeddings"]},
]


TALKERS = {"plain", "talk", "think", "odd"}


@pytest.mark.parametrize(
    ("endpoint", "names"),
    [
        ("chat/completions", TALKERS | {"both"}),
        ("completions", TALKERS),
        ("responses", TALKERS | {"both"}),
        ("embeddings", {"vector", "both"}),
        ("embedContent", {"vector", "both"}),
        ("moderations", {"judge"}),
        ("images/generations", {"paint"}),
        ("images/edits", {"paint"}),
        ("audio/speech", {"sound"}),
        ("audio/transcriptions", {"sound", "hear"}),
        ("audio/translations", {"sound"}),
    ],
)
@pytest.mark.parametrize("pinned", [None, "deepseek"])
def test_auto_chooses_among_the_models_that_serve_the_endpoint(
    endpoint: str, names: set[str], pinned: str | None
) -> None:
    known = build(SERVING, {"deepseek": PROVIDERS["deepseek"]})
    assert {each.name for each in every(plan_for(known, None, endpoint=endpoint, pinned=pinned))} == names


def test_every_endpoint_name_of_the_configuration_is_in_the_table() -> None:
    for name in get_args(EndpointName):
        model = {"name": "m", "provider": "deepseek", "endpoints": [name]}
        [deployment] = build([model], {"deepseek": PROVIDERS["deepseek"]}).deployments
        assert deployment.endpoints
    model = {"name": "m", "provider": "deepseek", "endpoints": [*get_args(EndpointName)]}
    [deployment] = build([model], {"deepseek": PROVIDERS["deepseek"]}).deployments
    assert deployment.endpoints == set(PATHS)


@pytest.mark.parametrize("pinned", [None, "deepseek"])
@pytest.mark.parametrize(
    ("name", "endpoint", "served"),
    [
        ("vector", "chat/completions", "embeddings, embedContent and batchEmbedContents"),
        ("deepseek/vector", "responses", "embeddings, embedContent and batchEmbedContents"),
        (
            "talk",
            "embeddings",
            "chat/completions, completions, responses, responses/input_tokens, messages, generateContent and "
            "streamGenerateContent",
        ),
        (
            "both",
            "completions",
            "chat/completions, responses, embeddings, messages, generateContent, streamGenerateContent, embedContent"
            " and batchEmbedContents",
        ),
        ("hear", "audio/speech", "audio/transcriptions"),
    ],
)
def test_a_model_that_does_not_serve_the_endpoint_is_a_400_that_lists_its_endpoints(
    name: str, endpoint: str, served: str, pinned: str | None
) -> None:
    known = build(SERVING, {"deepseek": PROVIDERS["deepseek"]}, fallback={"provider": "deepseek", "model": "plain"})
    for _ in range(2):
        with pytest.raises(ClientFault) as caught:
            plan_for(known, name, endpoint=endpoint, pinned=pinned)
        fault = caught.value
        assert (fault.status, fault.code, fault.param) == (400, "unsupported_endpoint", "model")
        assert fault.message == f"The model {name!r} does not serve {endpoint}. It serves {served}."


def test_a_model_without_type_serves_any_endpoint_by_name() -> None:
    known = build(SERVING, PROVIDERS)
    for endpoint in paths_of("chat") | paths_of("responses"):
        assert [each.name for each in every(plan_for(known, "plain", endpoint=endpoint))] == ["plain"]
        assert planned(known, "openrouter/new") == [("openrouter", "new")]


def test_a_list_skips_names_that_do_not_serve_the_endpoint() -> None:
    known = build(SERVING, {"deepseek": PROVIDERS["deepseek"]})
    found = every(plan_for(known, "nobody", "talk", "vector", "both", endpoint="embeddings"))
    assert [each.name for each in found] == ["vector", "both"]
    with pytest.raises(ClientFault, match="does not serve"):
        plan_for(known, "nobody", "talk", endpoint="embeddings")


def test_auto_is_a_404_if_no_model_serves_the_endpoint() -> None:
    known = build([SERVING[1]], PROVIDERS, fallback={"provider": "deepseek", "model": "talk"})
    with pytest.raises(ClientFault) as caught:
        plan_for(known, None, endpoint="embeddings")
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "no_model_matches", "model")


def test_a_fallback_that_does_not_serve_the_endpoint_is_not_used() -> None:
    known = build(SERVING, {"deepseek": PROVIDERS["deepseek"]}, fallback={"provider": "deepseek", "model": "talk"})
    assert plan_for(known, "vector", endpoint="embeddings").next_fallback(0.0) is None
    assert plan_for(known, "think").next_fallback(0.0) is not None


def test_a_cached_plan_is_for_one_endpoint() -> None:
    known = build(SERVING, {"deepseek": PROVIDERS["deepseek"]})
    plan_for(known, "talk")
    assert known.cached_plan("talk", "chat/completions", b"", random.Random(0)) is not None
    assert known.cached_plan("talk", "embeddings", b"", random.Random(0)) is None


def test_only_deployments_that_serve_the_endpoint_rotate() -> None:
    models = [
        {"name": "m", "provider": "deepseek", "type": "embedding"},
        {"name": "m", "provider": "openrouter"},
        {"name": "m", "provider": "a"},
    ]
    known = build(models, PROVIDERS | ANY)
    first = [plan_for(known, "m").next(0.0) for _ in range(4)]
    assert [each.provider.name for each in first if each] == ["openrouter", "a"] * 2
    assert len(every(plan_for(known, "m", endpoint="embeddings"))) == 3


def test_a_pinned_provider_without_a_name_uses_its_own_models() -> None:
    assert set(planned(catalog(), None, "deepseek")) == {CHAT, REASONER}
    assert planned(catalog(open={"baseUrl": "http://127.0.0.1:3/v1"}), None, "open") == [("open", None)]


# A list


@pytest.mark.parametrize(
    ("names", "auto", "candidates", "unknown"),
    [
        (("deepseek-chat", "openrouter/deepseek-r1"), False, [CHAT, R1], ()),
        (("openrouter/deepseek-r1", "deepseek-chat"), False, [R1, CHAT], ()),
        (("nobody", "deepseek-chat", "off"), False, [CHAT], ("nobody",)),
        (("deepseek-chat", "deepseek-chat"), False, [CHAT], ()),
        (("deepseek-r1", "deepseek-chat"), False, [R1, REASONER, CHAT], ()),
        (("nobody",), True, None, ("nobody",)),
    ],
)
def test_a_list_is_tried_in_order_and_unknown_names_are_skipped(
    names: tuple[str, ...], auto: bool, candidates: list[tuple[str, str]] | None, unknown: tuple[str, ...]
) -> None:
    plan = plan_for(catalog(), *names, auto=auto)
    assert plan.unknown == unknown
    found = pairs(every(plan))
    assert found == candidates if candidates is not None else set(found) == {R1, CHAT, REASONER}


def test_the_cached_plan_is_the_same_plan() -> None:
    known = catalog()
    for name in ("deepseek-chat", "openrouter/deepseek-r1", "deepseek-r1", "nobody"):
        assert known.cached_plan(name, ENDPOINT, b"x", random.Random(0)) is None  # not requested yet
        with suppress(ClientFault):
            plan = plan_for(known, name, affinity=b"x")
            ready = known.cached_plan(name, ENDPOINT, b"x", random.Random(0))
            assert ready is not None
            assert (ready.tiers, ready.endpoint, ready.affinity) == (plan.tiers, plan.endpoint, plan.affinity)
            assert (ready.fallback_tier, ready.unknown, ready.min_success_rate) == (
                plan.fallback_tier,
                plan.unknown,
                plan.min_success_rate,
            )
    assert known.cached_plan("nobody", ENDPOINT, b"", random.Random(0)) is None


def test_auto_at_the_end_of_a_list_adds_all_others() -> None:
    found = planned_list(catalog(), "deepseek-chat")
    assert found[0] == CHAT
    assert sorted(found[1:]) == sorted([R1, REASONER])


def planned_list(known: Catalog, *names: str) -> list[tuple[str, str | None]]:
    return pairs(every(plan_for(known, *names, auto=True)))


def test_a_list_of_unknown_names_is_a_404() -> None:
    with pytest.raises(ClientFault) as caught:
        plan_for(catalog(), "nobody", "nothing")
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")


# Addresses, fallback, live state


TWO = {"p": {"baseUrl": "http://127.0.0.1:1", "baseUrls": ["http://127.0.0.1:2"], "quotaGroup": "g"}}


def test_each_address_of_a_provider_is_a_separate_deployment() -> None:
    known = build([{"name": "m", "provider": "p"}], TWO)
    first, second = every(plan_for(known, "m"))
    assert {first.site.base_url, second.site.base_url} == {"http://127.0.0.1:1", "http://127.0.0.1:2"}
    assert first.live is not second.live
    assert first.live.quota is second.live.quota
    assert {first.label, second.label} == {"p/m#1", "p/m#2"}
    assert "127.0.0.1" in first.key
    assert len(json.loads(known.listing)["models"]) == 1


def test_a_models_quota_group_overrides_its_providers() -> None:
    models = [{"name": "a", "provider": "p", "quotaGroup": "mine"}, {"name": "b", "provider": "p"}]
    groups = {d.name: d.live.quota.group for d in build(models, TWO).deployments}
    assert groups == {"a": "mine", "b": "g"}


def test_a_new_catalog_keeps_live_state_unless_the_upstream_model_changes() -> None:
    lives = Registry.of(CircuitBreaker())
    old = build([{"name": "a", "provider": "p"}, {"name": "b", "provider": "p", "model": "x"}], TWO, registry=lives)
    new = build([{"name": "a", "provider": "p"}, {"name": "b", "provider": "p", "model": "y"}], TWO, registry=lives)
    same = [one.live is other.live for one, other in zip(old.deployments, new.deployments, strict=True)]
    assert same == [True, True, False, False]


@pytest.mark.parametrize(
    ("provider", "model", "candidates"),
    [
        ("deepseek", "deepseek-chat", [CHAT]),
        ("deepseek", "deepseek-reasoner", [REASONER]),
        ("openrouter", "deepseek-r1", [R1]),
        ("openrouter", "never/listed", [("openrouter", "never/listed")]),
        ("deepseek", "off", []),
    ],
)
def test_the_fallback_is_named_by_either_name(provider: str, model: str, candidates: list[tuple[str, str]]) -> None:
    known = build(MODELS, PROVIDERS, fallback={"provider": provider, "model": model})
    assert pairs(list(known.fallback)) == candidates


def test_a_disabled_fallback_is_not_used() -> None:
    assert build(MODELS, PROVIDERS, fallback={"provider": "deepseek", "model": "off", "enabled": False}).fallback == ()
    assert catalog().fallback == ()


def test_an_opaque_path_makes_one_attempt() -> None:
    known = catalog()
    plan = known.opaque_plan(known.providers["deepseek"], ALL, random.Random(0))
    assert pairs(every(plan)) == [("deepseek", None)]
    assert plan.next_fallback(0.0) is None


def test_a_disabled_provider_is_not_listed() -> None:
    known = catalog(deepseek={"baseUrl": "http://127.0.0.1:2", "enabled": False})
    assert planned(known, "deepseek-r1") == [R1]
    assert "deepseek" not in known.providers
    with pytest.raises(ClientFault):
        plan_for(known, "deepseek-chat")


@pytest.mark.parametrize("name", ["deepseek-chat", "deepseek/deepseek-chat"])
def test_a_single_model_can_be_retrieved(name: str) -> None:
    found = catalog().pages.find(name)
    assert found is not None
    assert json.loads(found) == {
        "id": "deepseek-chat",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "deepseek",
    }
    assert catalog().pages.find("off") is None
    assert catalog().pages.find("nothing") is None


def test_auto_without_allowed_models_is_a_403() -> None:
    spec = Spec(auto=True, endpoint=ENDPOINT, access=access(["other"], []))
    with pytest.raises(ClientFault) as caught:
        catalog().plan(spec, None, 0.0, random.Random(0))
    assert caught.value.status == 403
    assert (
        caught.value.message
        == "This credential may use none of the models that 'auto' can choose. Name one that it may use."
    )


def test_a_path_of_a_forbidden_provider_is_a_403() -> None:
    known = catalog()
    with pytest.raises(ClientFault) as caught:
        known.opaque_plan(known.providers["deepseek"], access([], ["openrouter"]), random.Random(0))
    assert (caught.value.status, caught.value.code) == (403, "model_not_allowed")
    assert caught.value.message == "This credential may not use the provider 'deepseek'."
