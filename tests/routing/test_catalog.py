"""From names to deployments."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import ClientFault
from proxy.routing.access import ALL
from proxy.routing.catalog import LONGEST_PASSING, MOST_PASSING, Catalog, Deployment
from proxy.routing.live import MOST_PASSING as MOST_LIVES
from tests.support.catalogs import ENDPOINT, asked, build, every

PROVIDERS = {
    "openrouter": {"baseUrl": "http://127.0.0.1:1/api/v1"},
    "deepseek": {"baseUrl": "http://127.0.0.1:2"},
}
MODELS = [
    {"name": "off", "provider": "deepseek", "available": False, "type": "chat"},
    {
        "name": "deepseek-r1",
        "provider": "openrouter",
        "model": "deepseek/deepseek-r1:free",
        "type": "reasoning",
        "contextSize": 64000,
        "tags": ["reasoning", "code"],
    },
    {"name": "deepseek-chat", "provider": "deepseek"},
    {"name": "deepseek-r1", "provider": "deepseek", "model": "deepseek-reasoner"},
]


def catalog(models: list[dict[str, Any]] = MODELS, **providers: Any) -> Catalog:
    return build(models, PROVIDERS | providers)


def planned(known: Catalog, name: str | None, pinned: str | None = None) -> list[tuple[str, str | None]]:
    return told(every(asked(known, name, pinned=pinned)))


def told(deployments: list[Deployment]) -> list[tuple[str, str | None]]:
    return [(each.provider.name, each.upstream_model) for each in deployments]


R1 = ("openrouter", "deepseek/deepseek-r1:free")
REASONER = ("deepseek", "deepseek-reasoner")
CHAT = ("deepseek", "deepseek-chat")


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("deepseek-chat", [CHAT]),
        ("deepseek/deepseek-chat", [CHAT]),
        ("deepseek-r1", [R1, REASONER]),
        ("openrouter/deepseek-r1", [R1]),
        ("deepseek/deepseek-r1", [REASONER]),
        ("deepseek/deepseek-r1:free", [R1]),
        ("openrouter/deepseek/deepseek-r1:free", [R1]),
        ("deepseek-reasoner", [REASONER]),
    ],
)
def test_a_model_is_found_by_its_name_and_its_providers_name(name: str, candidates: list[tuple[str, str]]) -> None:
    assert planned(catalog(), name) == candidates


@pytest.mark.parametrize("name", [None, "auto"])
def test_without_a_name_it_may_be_any_that_is_available(name: str | None) -> None:
    assert set(planned(catalog(), name)) == {R1, CHAT, REASONER}


def test_a_models_own_name_goes_before_the_same_name_at_a_provider() -> None:
    known = catalog(
        [
            {"name": "fast", "provider": "openrouter", "model": "gpt"},
            {"name": "gpt", "provider": "deepseek", "model": "other"},
        ]
    )
    for _ in range(3):
        assert planned(known, "gpt") == [("deepseek", "other"), ("openrouter", "gpt")]
        assert planned(known, "fast") == [("openrouter", "gpt")]


@pytest.mark.parametrize("name", ["deepseek-v9", "", "off", "openrouter/deepseek-chat", "nobody/deepseek-chat", "/"])
def test_an_unknown_name_is_a_404_that_names_the_field(name: str) -> None:
    with pytest.raises(ClientFault) as caught:
        asked(catalog(), name)
    fault = caught.value
    assert (fault.status, fault.code, fault.param, fault.type) == (
        404,
        "model_not_found",
        "model",
        "invalid_request_error",
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [("deepseek-r2", "'deepseek-r1'"), ("deepsek-chat", "'deepseek-chat'"), ("DeepSeek-Chat", "'deepseek-chat'")],
)
def test_near_names_are_told(name: str, near: str) -> None:
    with pytest.raises(ClientFault, match="Did you mean") as caught:
        asked(catalog(), name)
    assert near in caught.value.message


def test_where_nothing_is_near_the_known_models_are_told() -> None:
    with pytest.raises(ClientFault, match="Known models: deepseek-chat, deepseek-r1"):
        asked(catalog(), "zzzzzz")


def refusal(name: str) -> ClientFault | None:
    try:
        assert asked(KNOWN, name)
    except ClientFault as fault:
        return fault
    return None


@given(st.text(max_size=3000))
@settings(deadline=None)
def test_any_name_at_all_is_a_plan_or_a_short_404(name: str) -> None:
    fault = refusal(name)
    assert fault is None or (fault.status == 404 and len(fault.message) < 3000)


KNOWN = catalog()


def test_a_provider_without_listed_models_takes_any_name() -> None:
    known = catalog(open={"baseUrl": "http://127.0.0.1:3/v1"})
    assert planned(known, "llama3:8b") == [("open", "llama3:8b")]
    assert planned(known, "open/llama3:8b") == [("open", "llama3:8b")]
    assert planned(known, "meta/llama3") == [("open", "meta/llama3")]
    assert planned(known, "deepseek-chat") == [CHAT]
    with pytest.raises(ClientFault):  # its provider lists its models, and this is none of them
        asked(known, "deepseek/unheard-of")


def test_what_clients_made_up_is_kept_within_bounds() -> None:
    known = catalog(open={"baseUrl": "http://127.0.0.1:3/v1"})
    [first], [again] = every(asked(known, "made-up")), every(asked(known, "open/made-up"))
    assert first is again  # with it its breaker
    for number in range(MOST_PASSING + 1):
        asked(known, f"x{number}")
    assert every(asked(known, "made-up"))[0] is not first
    assert len(known._registry) <= MOST_LIVES + len(PROVIDERS) + 1 + len(MODELS)
    with pytest.raises(ClientFault) as caught:
        asked(known, "x" * (LONGEST_PASSING + 1))
    assert caught.value.code == "model_not_found"


def test_with_nothing_but_open_providers_a_call_without_a_model_goes_to_the_first_as_it_is() -> None:
    known = build([], {"a": {"baseUrl": "http://127.0.0.1:3/v1"}, "b": {"baseUrl": "http://127.0.0.1:4"}})
    assert planned(known, None) == [("a", None)]
    assert every(asked(known, None)) == [known.opaque_plan(known.providers["a"], ALL, random.Random(0)).next(0.0)]


def test_without_a_usable_model_there_is_nothing_to_ask() -> None:
    models = [{"name": "a", "provider": name, "available": False} for name in PROVIDERS]
    for name in (None, "a"):
        with pytest.raises(ClientFault) as caught:
            asked(catalog(models), name)
        assert (caught.value.status, caught.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("name", "candidate"),
    [
        ("deepseek-r1", REASONER),
        ("deepseek/deepseek-r1", REASONER),
        ("deepseek-reasoner", REASONER),
        ("brand-new", ("deepseek", "brand-new")),
        ("deepseek/brand-new", ("deepseek", "brand-new")),
    ],
)
def test_a_pinned_provider_is_asked_whatever_the_name(name: str, candidate: tuple[str, str]) -> None:
    assert planned(catalog(), name, "deepseek") == [candidate]


def test_a_pinned_provider_is_asked_for_any_of_its_own_models_where_none_is_named() -> None:
    assert set(planned(catalog(), None, "deepseek")) == {CHAT, REASONER}
    assert planned(catalog(open={"baseUrl": "http://127.0.0.1:3/v1"}), None, "open") == [("open", None)]


# A list


@pytest.mark.parametrize(
    ("names", "auto", "candidates", "unknown"),
    [
        (("deepseek-chat", "openrouter/deepseek-r1"), False, [CHAT, R1], ()),
        (("openrouter/deepseek-r1", "deepseek-chat"), False, [R1, CHAT], ()),
        (("nobody", "deepseek-chat", "off"), False, [CHAT], ("nobody", "off")),
        (("deepseek-chat", "deepseek-chat"), False, [CHAT], ()),
        (("deepseek-r1", "deepseek-chat"), False, [R1, REASONER, CHAT], ()),
        (("nobody",), True, None, ("nobody",)),
    ],
)
def test_a_list_is_tried_in_order_and_unknown_names_are_passed_over(
    names: tuple[str, ...], auto: bool, candidates: list[tuple[str, str]] | None, unknown: tuple[str, ...]
) -> None:
    plan = asked(catalog(), *names, auto=auto)
    assert plan.unknown == unknown
    found = told(every(plan))
    assert found == candidates if candidates is not None else set(found) == {R1, CHAT, REASONER}


def test_the_ready_plan_is_the_same_plan() -> None:
    known = catalog()
    for name in ("deepseek-chat", "openrouter/deepseek-r1", "deepseek-r1", "nobody"):
        assert known.ready_plan(name, ENDPOINT, b"x", random.Random(0)) is None  # nobody asked for it yet
        with suppress(ClientFault):
            plan = asked(known, name, affinity=b"x")
            ready = known.ready_plan(name, ENDPOINT, b"x", random.Random(0))
            assert ready is not None
            assert (ready.steps, ready.endpoint, ready.affinity) == (plan.steps, plan.endpoint, plan.affinity)
            assert (ready.last, ready.unknown, ready.rate) == (plan.last, plan.unknown, plan.rate)
    assert known.ready_plan("nobody", ENDPOINT, b"", random.Random(0)) is None


def test_auto_at_the_end_of_a_list_adds_all_others() -> None:
    found = planned_list(catalog(), "deepseek-chat")
    assert found[0] == CHAT
    assert sorted(found[1:]) == sorted([R1, REASONER])


def planned_list(known: Catalog, *names: str) -> list[tuple[str, str | None]]:
    return told(every(asked(known, *names, auto=True)))


def test_a_list_in_which_no_name_is_known_is_a_404() -> None:
    with pytest.raises(ClientFault) as caught:
        asked(catalog(), "nobody", "nothing")
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")


# Addresses, fallback, live state


TWO = {"p": {"baseUrl": "http://127.0.0.1:1", "baseUrls": ["http://127.0.0.1:2"], "quotaGroup": "g"}}


def test_each_address_of_a_provider_is_a_deployment_of_its_own() -> None:
    known = build([{"name": "m", "provider": "p"}], TWO)
    first, second = every(asked(known, "m"))
    assert {first.site.base_url, second.site.base_url} == {"http://127.0.0.1:1", "http://127.0.0.1:2"}
    assert first.live is not second.live
    assert first.live.quota is second.live.quota
    assert {first.label, second.label} == {"p/m#1", "p/m#2"}
    assert "127.0.0.1" in first.key
    assert len(json.loads(known.listing)["models"]) == 1


def test_a_models_own_quota_group_goes_before_its_providers() -> None:
    models = [{"name": "a", "provider": "p", "quotaGroup": "mine"}, {"name": "b", "provider": "p"}]
    groups = {d.name: d.live.quota.group for d in build(models, TWO).deployments}
    assert groups == {"a": "mine", "b": "g"}


def test_a_new_catalog_finds_the_live_state_of_the_old_unless_the_upstream_model_is_another() -> None:
    old = build([{"name": "a", "provider": "p"}, {"name": "b", "provider": "p", "model": "x"}], TWO)
    new = build(
        [{"name": "a", "provider": "p"}, {"name": "b", "provider": "p", "model": "y"}], TWO, registry=old._registry
    )
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
    assert told(list(known.fallback)) == candidates


def test_a_fallback_that_is_not_enabled_is_none() -> None:
    assert build(MODELS, PROVIDERS, fallback={"provider": "deepseek", "model": "off", "enabled": False}).fallback == ()
    assert catalog().fallback == ()


def test_an_opaque_path_asks_its_provider_once() -> None:
    known = catalog()
    plan = known.opaque_plan(known.providers["deepseek"], ALL, random.Random(0))
    assert told(every(plan)) == [("deepseek", None)]
    assert plan.fallback(0.0) is None


def test_among_many_models_near_names_are_still_told() -> None:
    many = [{"name": f"model-{number}", "provider": "deepseek"} for number in range(1000)]
    with pytest.raises(ClientFault, match="Did you mean 'model-1'"):
        asked(build(many, {"deepseek": PROVIDERS["deepseek"]}), "model_1")


# What is told of the models


def test_the_listing_holds_openais_objects_and_our_own_rows() -> None:
    listing = json.loads(catalog().listing)
    assert listing["object"] == "list"
    assert listing["data"] == [
        {"id": "deepseek-r1", "object": "model", "created": 1_700_000_000, "owned_by": "openrouter"},
        {"id": "deepseek-chat", "object": "model", "created": 1_700_000_000, "owned_by": "deepseek"},
    ]
    assert [set(row) for row in listing["models"]] == [
        {"name", "provider", "type", "contextSize", "tags", "available"}
    ] * 4
    assert [(row["name"], row["provider"], row["available"]) for row in listing["models"]] == [
        ("off", "deepseek", False),
        ("deepseek-r1", "openrouter", True),
        ("deepseek-chat", "deepseek", True),
        ("deepseek-r1", "deepseek", True),
    ]
    assert listing["models"][1]["type"] == "reasoning"
    assert listing["models"][1]["contextSize"] == 64000
    assert listing["models"][1]["tags"] == ["reasoning", "code"]
    assert listing["models"][2]["contextSize"] is None


def test_a_disabled_provider_is_not_in_it() -> None:
    known = catalog(deepseek={"baseUrl": "http://127.0.0.1:2", "enabled": False})
    assert planned(known, "deepseek-r1") == [R1]
    assert "deepseek" not in known.providers
    with pytest.raises(ClientFault):
        asked(known, "deepseek-chat")


@pytest.mark.parametrize("name", ["deepseek-chat", "deepseek/deepseek-chat"])
def test_one_model_is_found_for_its_own_page(name: str) -> None:
    found = catalog().find(name)
    assert found is not None
    assert json.loads(found) == {
        "id": "deepseek-chat",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "deepseek",
    }
    assert catalog().find("off") is None
    assert catalog().find("nothing") is None
