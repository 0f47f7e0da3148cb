"""Troubles of the configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from proxy.config.left_out import Absence, LeftOutModel
from proxy.control.attention.settings import ConfigTroubles
from proxy.control.live import ReloadResult


def troubles(**facts: Any) -> ConfigTroubles:
    live: Any = SimpleNamespace(**{"waiting": (), "left_out": ()} | facts)
    return ConfigTroubles(live, lambda: 5.0)


async def test_a_failed_reload_is_shown_until_one_succeeds() -> None:
    config = troubles()
    assert await config.find() == []
    config.reloaded(ReloadResult(False, mistakes=["models[0].name: is missing", "port: is no number"]))
    [trouble] = await config.find()
    assert (trouble.severity, trouble.kind, trouble.since) == ("warning", "config", 5.0)
    assert trouble.why.endswith("stays in force: models[0].name: is missing (and 1 more)")
    config.reloaded(ReloadResult(True))
    assert await config.find() == []


async def test_changes_that_wait_for_the_next_start() -> None:
    [trouble] = await troubles(waiting=("server.port", "dataDir")).find()
    assert (trouble.severity, trouble.count) == ("notice", 2)
    assert trouble.why == "changes that take effect at the next start: server.port, dataDir"


async def test_models_that_are_left_out_are_one_entry_for_each_provider() -> None:
    absence = Absence("has no key", "set XAI_API_KEY")
    models = [LeftOutModel(name, "", "xai", "models.yaml", absence) for name in "ab"]
    other = LeftOutModel("c", "", "groq", "models.yaml", Absence("is disabled", "set providers.groq.enabled to true"))
    assert [(each.what, each.why) for each in await troubles(left_out=[*models, other]).find()] == [
        ("2 models of xai", "the provider has no key (set XAI_API_KEY)"),
        ("1 model of groq", "the provider is disabled (set providers.groq.enabled to true)"),
    ]
