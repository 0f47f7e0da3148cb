"""Which models each client's list has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.errors import ClientFault
from proxy.routing.access import ALL, access
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ANTHROPIC_MODELS, GEMINI_MODELS, MODELS, Endpoint
from proxy.routing.lists import ModelLists
from proxy.routing.live import Registry
from tests.support.catalogs import build
from tests.support.gateway import to_config

PROVIDERS: dict[str, Any] = {
    "open": {"baseUrl": "http://127.0.0.1:1/v1"},
    "both": {"baseUrl": "http://127.0.0.1:2/v1", "dialects": {"messages": {}}},
    "claude": {"kind": "anthropic", "baseUrl": "http://127.0.0.1:3/v1"},
    "google": {"kind": "gemini", "baseUrl": "http://127.0.0.1:4/v1beta"},
}
CONFIGURED = [
    {"name": "chat", "provider": "open"},
    {"name": "sonnet", "provider": "claude", "contextSize": 200_000, "maxOutputTokens": 64_000},
    {"name": "shared", "provider": "both"},
    {"name": "shared", "provider": "claude"},
    {"name": "chat-only", "provider": "both", "endpoints": ["chat"]},
    {"name": "flash", "provider": "google"},
    {"name": "vectors", "provider": "google", "type": "embedding"},
    {"name": "off", "provider": "claude", "available": False},
]


@pytest.fixture
def known() -> Catalog:
    return build(CONFIGURED, PROVIDERS)


def names(known: Catalog, endpoint: Endpoint, allowed: tuple[str, ...] = ()) -> list[str]:
    found = json.loads(known.pages.page(endpoint, access(allowed, ()), ""))
    return [model.get("id") or model["name"] for model in found.get("data") or found["models"]]


def test_each_client_sees_the_models_that_it_can_call(known: Catalog) -> None:
    assert names(known, ANTHROPIC_MODELS) == ["chat", "sonnet", "shared", "chat-only", "flash"]
    assert names(known, GEMINI_MODELS) == [
        *("models/chat", "models/sonnet", "models/shared", "models/chat-only", "models/flash", "models/vectors"),
    ]
    assert names(known, MODELS) == ["chat", "sonnet", "shared", "chat-only", "flash", "vectors"]


def test_a_restricted_credential_sees_its_models(known: Catalog) -> None:
    assert names(known, ANTHROPIC_MODELS, ("sonnet", "vectors")) == ["sonnet"]


def test_googles_list_has_the_methods_of_a_model(known: Catalog) -> None:
    found = json.loads(known.pages.page(GEMINI_MODELS, ALL, ""))["models"]
    methods = {model["displayName"]: model["supportedGenerationMethods"] for model in found}
    assert methods["flash"] == ["generateContent", "countTokens", "embedContent", "batchEmbedContents"]
    assert methods["vectors"] == ["embedContent", "batchEmbedContents"]
    assert methods["sonnet"] == ["generateContent", "countTokens"]
    assert methods["chat-only"] == ["generateContent"]
    assert methods["chat"] == ["generateContent", "embedContent", "batchEmbedContents"]  # of no configured type


def test_a_model_is_shown_to_the_clients_that_can_call_it(known: Catalog) -> None:
    found = known.pages.object(ANTHROPIC_MODELS, ALL, "sonnet")
    assert found is not None
    assert json.loads(found)["max_input_tokens"] == 200_000
    assert known.pages.object(ANTHROPIC_MODELS, ALL, "chat") is not None
    assert known.pages.object(ANTHROPIC_MODELS, ALL, "vectors") is None
    assert known.pages.object(MODELS, ALL, "chat") is not None
    assert known.pages.object(GEMINI_MODELS, access(("chat",), ()), "flash") is None


def test_models_that_a_provider_lists_itself_are_shown() -> None:
    lists = ModelLists()
    known = build([], {"both": PROVIDERS["both"], "open": PROVIDERS["open"]}, lists=lists)
    for name in ("both", "open"):
        [site] = known.providers[name].sites
        lists.begin(site)
        lists.end(site, 0.0, [f"of-{name}"])
    assert names(known, ANTHROPIC_MODELS) == ["of-both", "of-open"]
    assert names(known, MODELS) == ["of-both", "of-open"]


def test_codex_gets_no_rows_that_it_cannot_read(known: Catalog) -> None:
    found = json.loads(known.pages.page(MODELS, ALL, "client_version=0.171.0"))
    assert [model["id"] for model in found["data"]] == names(known, MODELS)
    assert found["models"] == []
    assert json.loads(known.pages.page(MODELS, ALL, ""))["models"]


def test_an_alias_is_shown_to_the_clients_that_can_call_one_of_its_models() -> None:
    config = to_config(
        {
            "providers": PROVIDERS,
            "models": CONFIGURED,
            "aliases": {"claude-x": ["chat", "sonnet"], "any": "auto", "p-*": "chat", "lost": "nothing"},
        }
    )
    known = Catalog(config, Registry.of(config.circuit_breaker), version="1", created=0)
    assert names(known, ANTHROPIC_MODELS) == ["chat", "sonnet", "shared", "chat-only", "flash", "claude-x", "any"]
    assert names(known, GEMINI_MODELS)[-3:] == ["models/vectors", "models/claude-x", "models/any"]
    assert names(known, MODELS)[-2:] == ["claude-x", "any"]
    assert names(known, MODELS, ("flash",)) == ["flash", "any"]


def test_a_wrong_query_is_refused(known: Catalog) -> None:
    with pytest.raises(ClientFault, match="pageSize"):
        known.pages.page(GEMINI_MODELS, ALL, "pageSize=none")
