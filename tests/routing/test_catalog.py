"""From names to deployments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import ClientFault
from proxy.routing.catalog import Catalog, Deployment
from tests.support.gateway import to_config

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
    return Catalog(
        to_config({"providers": PROVIDERS | providers, "models": models}), version="1", created=1_700_000_000
    )


def told(deployments: list[Deployment]) -> list[tuple[str, str | None]]:
    return [(each.provider.name, each.upstream_model) for each in deployments]


R1 = ("openrouter", "deepseek/deepseek-r1:free")
REASONER = ("deepseek", "deepseek-reasoner")
CHAT = ("deepseek", "deepseek-chat")


@pytest.mark.parametrize(
    ("name", "planned"),
    [
        ("deepseek-chat", [CHAT]),
        ("deepseek/deepseek-chat", [CHAT]),
        ("deepseek-r1", [R1, REASONER]),
        ("openrouter/deepseek-r1", [R1]),
        ("deepseek/deepseek-r1", [REASONER]),
        ("deepseek/deepseek-r1:free", [R1]),
        ("openrouter/deepseek/deepseek-r1:free", [R1]),
        ("deepseek-reasoner", [REASONER]),
        (None, [R1]),
    ],
)
def test_a_model_is_found_by_its_name_its_providers_name_and_none(
    name: str | None, planned: list[tuple[str, str]]
) -> None:
    assert told(catalog().plan(name)) == planned


def test_a_models_own_name_goes_before_the_same_name_at_a_provider() -> None:
    models = [
        {"name": "fast", "provider": "openrouter", "model": "gpt"},
        {"name": "gpt", "provider": "deepseek", "model": "other"},
    ]
    assert told(catalog(models).plan("gpt")) == [("deepseek", "other"), ("openrouter", "gpt")]
    assert told(catalog(models).plan("fast")) == [("openrouter", "gpt")]


@pytest.mark.parametrize("name", ["deepseek-v9", "", "off", "openrouter/deepseek-chat", "nobody/deepseek-chat", "/"])
def test_an_unknown_name_is_a_404_that_names_the_field(name: str) -> None:
    with pytest.raises(ClientFault) as caught:
        catalog().plan(name)
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
        catalog().plan(name)
    assert near in caught.value.message


def test_where_nothing_is_near_the_known_models_are_told() -> None:
    with pytest.raises(ClientFault, match="Known models: deepseek-chat, deepseek-r1"):
        catalog().plan("zzzzzz")


def refusal(name: str) -> ClientFault | None:
    try:
        assert KNOWN.plan(name)
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
    assert told(known.plan("llama3:8b")) == [("open", "llama3:8b")]
    assert told(known.plan("open/llama3:8b")) == [("open", "llama3:8b")]
    assert told(known.plan("meta/llama3")) == [("open", "meta/llama3")]
    assert told(known.plan("deepseek-chat")) == [CHAT]
    with pytest.raises(ClientFault):  # its provider lists its models, and this is none of them
        known.plan("deepseek/unheard-of")


def test_with_nothing_but_open_providers_a_call_without_a_model_goes_to_the_first_as_it_is() -> None:
    config = to_config(
        {"providers": {"a": {"baseUrl": "http://127.0.0.1:3/v1"}, "b": {"baseUrl": "http://127.0.0.1:4"}}}
    )
    [deployment] = Catalog(config, version="1", created=0).plan(None)
    assert (deployment.provider.name, deployment.upstream_model) == ("a", None)


def test_without_a_usable_model_there_is_nothing_to_ask() -> None:
    models = [{"name": "a", "provider": name, "available": False} for name in PROVIDERS]
    for name in (None, "a"):
        with pytest.raises(ClientFault) as caught:
            catalog(models).plan(name)
        assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("name", "planned"),
    [
        ("deepseek-r1", REASONER),
        ("deepseek/deepseek-r1", REASONER),
        ("deepseek-reasoner", REASONER),
        ("brand-new", ("deepseek", "brand-new")),
        ("deepseek/brand-new", ("deepseek", "brand-new")),
        (None, CHAT),
    ],
)
def test_a_pinned_provider_is_asked_whatever_the_name(name: str | None, planned: tuple[str, str]) -> None:
    known = catalog()
    assert told(known.plan(name, known.providers["deepseek"])) == [planned]


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
    assert told(known.plan("deepseek-r1")) == [R1]
    assert "deepseek" not in known.providers
    with pytest.raises(ClientFault):
        known.plan("deepseek-chat")


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
