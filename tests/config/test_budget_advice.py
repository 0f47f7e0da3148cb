"""Names in ``only`` of a budget that are not configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.loader import load

HASH = "sha256:" + "0" * 64
KEYS: dict[str, Any] = {"auth": {"mode": "keys", "keys": [{"name": "bob", "hash": HASH}]}}
ALONE: dict[str, Any] = {**KEYS, "database": {"enabled": False}, "ledger": {"enabled": False}}
SOURCE: dict[str, Any] = {
    "providers": {
        "up": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "k"},
        "absent": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "${NO_KEY}"},
        "last": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "k"},
    },
    "models": [{"name": "large", "provider": "up"}, {"name": "gone", "provider": "absent"}],
    "routing": {"fallback": {"provider": "last", "model": "cheap"}},
}


def notices(folder: Path, budget: dict[str, Any], **more: Any) -> list[str]:
    source = {**SOURCE, **more, "budgets": [{"name": "b", "tokens": 1, **budget}]}
    (folder / "c.yaml").write_text(yaml.safe_dump(source))
    found = load(folder / "c.yaml", {}).notices
    return [line for line in found if line.startswith("budgets[0].only")]


def missing(kind: str, name: str, hint: str = "") -> list[str]:
    more = f'; did you mean "{hint}"?' if hint else ""
    return [f'budgets[0].only: no {kind} "{name}" is configured, so the budget counts nothing for it{more}']


@pytest.mark.parametrize("per", ["model", "provider", "key"])
def test_a_name_that_is_nowhere_is_told(tmp_path: Path, per: str) -> None:
    assert notices(tmp_path, {"per": per, "only": ["nope"]}, **ALONE) == missing(per, "nope")


def test_a_similar_name_is_proposed(tmp_path: Path) -> None:
    assert notices(tmp_path, {"per": "model", "only": ["large", "larg"]}) == missing("model", "larg", "large")


@pytest.mark.parametrize(
    "budget",
    [
        {"per": "model", "only": ["large", "gone", "cheap"]},
        {"per": "provider", "only": ["up", "absent", "last"]},
        {"per": "key", "only": ["bob", "config:bob"]},
        {"per": "owner", "only": ["nope"]},
        {"per": "team", "only": ["nope"]},
        {"per": "run", "only": ["nope"]},
        {"per": "label:env", "only": ["nope"]},
    ],
)
def test_what_is_configured_or_not_known_is_not_told(tmp_path: Path, budget: dict[str, Any]) -> None:
    assert notices(tmp_path, budget, **ALONE) == []


def test_the_database_may_have_other_keys_but_none_of_the_file(tmp_path: Path) -> None:
    assert notices(tmp_path, {"per": "key", "only": ["nope", "key_1"]}, **KEYS) == []
    found = notices(tmp_path, {"per": "key", "only": ["config:bub"]}, **KEYS)
    assert found == missing("key", "config:bub", "config:bob")


def test_models_of_a_provider_that_takes_any_name_are_not_known(tmp_path: Path) -> None:
    providers = {**SOURCE["providers"], "open": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "k"}}
    assert notices(tmp_path, {"per": "model", "only": ["nope"]}, providers=providers) == []


def test_a_list_at_a_url_changes_by_itself(tmp_path: Path) -> None:
    assert notices(tmp_path, {"per": "model", "only": ["nope"]}, modelsFile="http://127.0.0.1:9/models.yaml") == []


def test_the_demo_has_models_of_its_own(tmp_path: Path) -> None:
    more = {"providers": {}, "models": [], "routing": {}, "demo": "auto"}
    for per in ("model", "provider"):
        assert notices(tmp_path, {"per": per, "only": ["demo"]}, **more) == []
