"""The section ``cache``: mistakes, and settings without effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.cache_schema import CacheRule, CacheSettings
from tests.config.files import loaded, mistakes


@pytest.fixture
def write(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def written(path: Path, config: Any) -> Path:
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize(
    ("section", "mistake"),
    [
        ({"enable": True}, 'cache: unknown key "enable"; did you mean "enabled"?'),
        ({"ttlSecs": 0}, "cache.ttlSecs: must be more than 0, got 0"),
        ({"store": "memcached"}, 'cache.store: expected one of "memory", "redis", got "memcached"'),
        ({"maxTemperature": 3}, "cache.maxTemperature: must be at most 2, got 3"),
        ({"allow": ["n"]}, 'cache.allow[0]: expected one of "choices", "stored", "tools", got "n"'),
        ({"rules": [{"model": "m"}]}, 'cache.rules[0]: unknown key "model"; did you mean "models"?'),
        ({"rules": [{"headers": {"x y": "a"}}]}, "cache.rules[0].headers"),
        ({"waitSecs": 601}, "cache.waitSecs: must be at most 600, got 601"),
    ],
)
def test_mistakes(write: Path, section: dict[str, Any], mistake: str) -> None:
    [found] = mistakes(written(write, {"cache": section}))
    assert found.startswith(f"config.yaml: {mistake}")


@pytest.mark.parametrize(
    ("section", "notice"),
    [
        ({"rules": [{}]}, "cache.rules: have no effect: cache.enabled is false"),
        (
            {"enabled": True, "rules": [{}, {"models": ["m"]}]},
            "cache.rules[1]: has no effect: rules[0] before it matches every request",
        ),
        ({"enabled": True, "rules": [{"clients": ["a"]}]}, "cache.rules[0].clients: has no effect: auth.mode is none"),
        (
            {"enabled": True, "maxMb": 0.5},
            "cache.maxAnswerKb: has no effect: no answer can be larger than cache.maxMb",
        ),
    ],
)
def test_settings_without_effect_are_noticed(write: Path, section: dict[str, Any], notice: str) -> None:
    notices = loaded(written(write, {"cache": section})).notices
    assert notice in notices


@pytest.mark.parametrize("pattern", ["address:127.*", "client:web@*", "*", "*:web@*"])
def test_rules_by_address_have_an_effect_without_authentication(write: Path, pattern: str) -> None:
    section = {"enabled": True, "rules": [{"clients": ["search", pattern]}]}
    assert not [each for each in loaded(written(write, {"cache": section})).notices if each.startswith("cache")]


def test_a_section(write: Path) -> None:
    rule = {"models": ["gpt-*"], "headers": {"x-team": "web-*"}, "ttlSecs": 60, "scope": "shared"}
    found = loaded(written(write, {"cache": {"enabled": True, "rules": [rule]}})).config.cache
    assert found == CacheSettings(
        enabled=True,
        rules=[CacheRule(models=["gpt-*"], headers={"x-team": "web-*"}, ttl_secs=60, scope="shared")],
    )
