from __future__ import annotations

import random
from typing import Any

import pytest

from proxy.config.schema import CircuitBreaker
from proxy.errors import ClientFault
from proxy.routing.access import access
from proxy.routing.lists import ListsPending, ModelLists
from proxy.routing.live import MOST_UNLISTED as MOST_LIVES
from proxy.routing.live import Registry
from proxy.routing.spec import Spec
from proxy.routing.unlisted import LONGEST_UNLISTED, MOST_UNLISTED
from proxy.wire.criteria import NONE
from tests.routing.samples import ANY, CHAT, LEFT_OUT, MODELS, OPENAI, PROVIDERS, R1, REASONER, catalog, pairs, planned
from tests.support.catalogs import ENDPOINT, build, every, plan_for


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


@pytest.mark.parametrize("name", ["r1", "openrouter/r1", "vendor/r1", "openrouter/vendor/r1"])
def test_an_omitted_model_is_a_404_with_the_reason(name: str) -> None:
    known = build([{"name": "r2", "provider": "deepseek"}], {"deepseek": PROVIDERS["deepseek"]}, left_out=LEFT_OUT)
    with pytest.raises(ClientFault) as caught:
        plan_for(known, name)
    fault = caught.value
    assert (fault.status, fault.code, fault.param) == (404, "model_not_found", "model")
    assert fault.message == (
        f'"{name}" is in models.yaml, but its provider openrouter has no key: set OPENROUTER_API_KEY.'
    )


def test_omitted_models_are_not_revealed_to_other_keys() -> None:
    known = build(MODELS, PROVIDERS, left_out=LEFT_OUT)
    spec = Spec(("r1",), False, NONE, ENDPOINT, access=access(("deepseek*",), ()), waited=True)
    with pytest.raises(ClientFault) as caught:
        known.plan(spec, None, 0.0, random.Random(0))
    assert "openrouter" not in caught.value.message


def test_the_only_provider_gets_an_omitted_model_unless_its_list_lacks_it() -> None:
    lists = ModelLists()
    known = build([], {"openai": OPENAI}, lists=lists, left_out=LEFT_OUT)
    with pytest.raises(ListsPending):
        plan_for(known, "r1", waited=False)
    assert planned(known, "r1") == [("openai", "r1")]  # the provider gave no list
    lists.end(known.providers["openai"].sites[0], 0.0, ["gpt"])
    with pytest.raises(ClientFault, match="its provider openrouter has no key"):
        plan_for(known, "r1")
    assert planned(known, "openai/r1") == [("openai", "r1")]
    assert planned(known, "unheard-of") == [("openai", "unheard-of")]
    lists.end(known.providers["openai"].sites[0], 0.0, ["r1"])
    assert planned(known, "r1") == [("openai", "r1")]


# A provider that is named explicitly


SHIPPED = [
    {"name": "gpt-4o-mini", "provider": "openrouter", "model": "openai/gpt-4o-mini"},
    {"name": "openai/own", "provider": "openrouter", "model": "own-there"},
]


@pytest.mark.parametrize(
    ("name", "pinned", "candidates"),
    [
        ("openai/gpt-4o-mini", None, [("openai", "gpt-4o-mini")]),
        ("openai/gpt-9", None, [("openai", "gpt-9")]),
        ("gpt-4o-mini", None, [("openrouter", "openai/gpt-4o-mini")]),
        ("openai/own", None, [("openrouter", "own-there")]),
        ("openrouter/openai/gpt-4o-mini", None, [("openrouter", "openai/gpt-4o-mini")]),
        ("openai/gpt-4o-mini", "openrouter", [("openrouter", "openai/gpt-4o-mini")]),
        ("openai/gpt-4o-mini", "openai", [("openai", "gpt-4o-mini")]),
        ("gpt-4o-mini", "openai", [("openai", "gpt-4o-mini")]),
    ],
)
def test_an_any_model_provider_takes_precedence_over_upstream_names(
    name: str, pinned: str | None, candidates: list[tuple[str, str]]
) -> None:
    assert planned(catalog(SHIPPED, openai=OPENAI), name, pinned) == candidates


def test_a_prefixed_name_skips_a_provider_that_accepts_only_listed_names() -> None:
    known = catalog(SHIPPED, openai=OPENAI | {"anyModel": False})
    assert planned(known, "openai/gpt-4o-mini") == [("openrouter", "openai/gpt-4o-mini")]


def test_an_any_model_provider_still_has_its_configured_models() -> None:
    listed = {"name": "mini", "provider": "openai", "model": "gpt-4o-mini", "tags": ["fast"]}
    known = catalog([*SHIPPED, listed], openai=OPENAI | {"anyModel": True})
    for name in ("openai/gpt-4o-mini", "openai/mini"):
        [deployment] = every(plan_for(known, name))
        assert (deployment.name, pairs([deployment])) == ("mini", [("openai", "gpt-4o-mini")])


def test_an_unavailable_model_elsewhere_does_not_affect_the_named_provider() -> None:
    known = catalog([SHIPPED[0] | {"available": False}], openai=OPENAI)
    assert planned(known, "openai/gpt-4o-mini") == [("openai", "gpt-4o-mini")]


def test_a_configured_name_takes_precedence_over_an_upstream_name() -> None:
    known = catalog(
        [
            {"name": "fast", "provider": "openrouter", "model": "gpt"},
            {"name": "gpt", "provider": "deepseek", "model": "other"},
        ]
    )
    for _ in range(3):
        assert planned(known, "gpt") == [("deepseek", "other"), ("openrouter", "gpt")]
        assert planned(known, "fast") == [("openrouter", "gpt")]


def test_a_provider_without_configured_models_accepts_any_name() -> None:
    known = catalog(open={"baseUrl": "http://127.0.0.1:3/v1"})
    assert planned(known, "llama3:8b") == [("open", "llama3:8b")]
    assert planned(known, "open/llama3:8b") == [("open", "llama3:8b")]
    assert planned(known, "meta/llama3") == [("open", "meta/llama3")]
    assert planned(known, "deepseek-chat") == [CHAT]
    with pytest.raises(ClientFault):  # its provider lists its models, and this is none of them
        plan_for(known, "deepseek/unheard-of")


def test_unlisted_names_in_the_cache_are_bounded() -> None:
    registry = Registry.of(CircuitBreaker())
    known = catalog(open={"baseUrl": "http://127.0.0.1:3/v1"}, registry=registry)
    [first], [again] = every(plan_for(known, "made-up")), every(plan_for(known, "open/made-up"))
    assert first is again  # with it its breaker
    for number in range(MOST_UNLISTED + 1):
        plan_for(known, f"x{number}")
    assert every(plan_for(known, "made-up"))[0] is not first
    assert len(registry) <= MOST_LIVES + len(PROVIDERS) + 1 + len(MODELS)
    with pytest.raises(ClientFault) as caught:
        plan_for(known, "x" * (LONGEST_UNLISTED + 1))
    assert caught.value.code == "model_not_found"


def test_an_unavailable_model_is_not_sent_to_an_any_model_provider() -> None:
    known = catalog(open={"baseUrl": "http://127.0.0.1:3/v1"})
    for name in ("off", "deepseek/off"):
        assert planned(known, name) == []
    assert planned(known, "off", "deepseek") == []


def test_a_name_at_two_providers_uses_the_available_one() -> None:
    models = [{"name": "m", "provider": "deepseek", "available": False}, {"name": "m", "provider": "openrouter"}]
    assert planned(catalog(models), "m") == [("openrouter", "m")]


# Providers that take any name


def test_a_fallback_only_provider_does_not_accept_unknown_names() -> None:
    models = [{"name": "m", "provider": "deepseek"}]
    known = build(models, PROVIDERS, fallback={"provider": "openrouter", "model": "spare"})
    for name in ("unheard-of", "openrouter/unheard-of"):
        with pytest.raises(ClientFault) as caught:
            plan_for(known, name)
        assert caught.value.code == "model_not_found"
    assert pairs([found] if (found := plan_for(known, "m").next_fallback(0.0)) else []) == [("openrouter", "spare")]


@pytest.mark.parametrize(
    ("models", "settings", "taken"),
    [
        ([{"name": "m", "provider": "deepseek"}], {"anyModel": True}, True),
        ([{"name": "m", "provider": "openrouter"}], {"anyModel": True}, True),
        ([{"name": "m", "provider": "openrouter"}], {}, False),
        ([{"name": "m", "provider": "deepseek"}], {"anyModel": False}, False),
    ],
)
def test_any_model_decides_whether_a_provider_accepts_unknown_names(
    models: list[dict[str, Any]], settings: dict[str, Any], taken: bool
) -> None:
    providers = PROVIDERS | {"openrouter": PROVIDERS["openrouter"] | settings}
    known = build(models, providers | {"deepseek": {"baseUrl": "http://127.0.0.1:2", "anyModel": False}})
    assert known.providers["openrouter"].any_model is taken
    if taken:
        assert planned(known, "unheard-of") == [("openrouter", "unheard-of")]


def test_a_fallback_that_is_the_only_provider_accepts_any_name() -> None:
    known = build([], {"a": ANY["a"]}, fallback={"provider": "a", "model": "spare"})
    assert planned(known, "unheard-of") == [("a", "unheard-of")]


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
def test_a_pinned_provider_gets_any_name(name: str, candidate: tuple[str, str]) -> None:
    assert planned(catalog(), name, "deepseek") == [candidate]
