from __future__ import annotations

from typing import Any

from proxy.routing.catalog import Catalog
from tests.support.catalogs import build

ADDRESSES = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]


def catalog(**model: object) -> Catalog:
    models = [{"name": "a", "provider": "p"} | model, {"name": "b", "provider": "p"}]
    return build(models, {"p": {"baseUrls": ADDRESSES, "dialects": {"messages": {}}}})


def test_each_address_has_a_deployment_of_each_model_with_a_label_of_its_own() -> None:
    assert [each.label for each in catalog().deployments] == ["p/a#1", "p/a#2", "p/b#1", "p/b#2"]


def test_the_key_of_the_live_state_names_the_model_at_the_provider() -> None:
    keys = [each.key for each in catalog(model="up").deployments]
    assert keys[::2] == [f"p/a=up@{ADDRESSES[0]}", f"p/b@{ADDRESSES[0]}"]


def test_a_model_has_its_own_prices_else_those_of_the_catalog_else_none() -> None:
    providers = {"openai": {"baseUrl": "https://api.openai.com/v1", "apiKey": "k"}, "here": {"baseUrl": ADDRESSES[0]}}
    models: list[dict[str, Any]] = [
        {"name": "own", "provider": "openai", "model": "gpt-4o", "prices": {"input": 1, "output": 2}},
        {"name": "listed", "provider": "openai", "model": "gpt-4o"},
        {"name": "unknown", "provider": "openai"},
        {"name": "gpt-4o", "provider": "here"},
    ]
    sheets = [each.prices for each in build(models, providers).deployments]
    assert [sheet and sheet.source for sheet in sheets] == ["operator", "catalog", None, None]


def test_models_at_one_address_share_what_does_not_depend_on_them() -> None:
    a, _, b, _ = catalog().deployments
    assert a.sites is b.sites
    assert a.patches is b.patches
    assert a.clocks is b.clocks
    a, _, b, _ = catalog(patches=[], timeouts={"idle": 1}).deployments
    assert a.sites is b.sites
    assert (list(a.patches), list(b.patches)) == ([], ["messages", "messages/count_tokens"])
    assert a.clocks != b.clocks
