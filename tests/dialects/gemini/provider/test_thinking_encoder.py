from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.gemini.provider.thinking_encoder import encode_thinking
from proxy.dialects.translation.conversation import ThinkingSettings
from proxy.providers.models.gemini import GEMINI
from tests.support.gemini_encoding import encoding

PRO, FLASH, NEW, HYDROGEN, NONE = (
    GEMINI[name]
    for name in ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.8-flash", "gemini-4-hydrogen", "gemini-2.0-flash")
)
SHOWN = {"includeThoughts": True}


def thinking(facts: Any, **settings: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = encoding(facts, "anthropic.messages")
    return encode_thinking(ThinkingSettings(**settings), found), found.losses.names


@pytest.mark.parametrize("facts", [PRO, FLASH, NEW, NONE])
def test_nothing_said_is_nothing_sent(facts: Any) -> None:
    assert thinking(facts) == ({}, ())
    assert thinking(facts, shown="omitted") == ({}, ())


@pytest.mark.parametrize(
    ("effort", "level", "lost"),
    [
        ("minimal", "LOW", True),
        ("low", "LOW", False),
        ("high", "HIGH", False),
        ("xhigh", "HIGH", True),
        ("max", "HIGH", True),
    ],
)
def test_an_effort_is_the_nearest_level(effort: str, level: str, lost: bool) -> None:
    found, told = thinking(NEW, effort=effort)
    assert found == {"thinkingLevel": level, "includeThoughts": True}
    assert bool(told) is lost
    assert thinking(HYDROGEN, effort="xhigh")[0]["thinkingLevel"] == "XHIGH"


@pytest.mark.parametrize(("budget", "level"), [(1024, "LOW"), (5000, "MEDIUM"), (30_000, "HIGH")])
def test_a_budget_is_the_nearest_level(budget: int, level: str) -> None:
    assert thinking(NEW, mode="on", budget=budget) == ({"thinkingLevel": level} | SHOWN, ())


def test_thinking_without_a_depth_leaves_the_level_to_the_model() -> None:
    assert thinking(NEW, mode="adaptive") == (SHOWN, ())
    assert thinking(FLASH, mode="adaptive") == ({"thinkingBudget": -1} | SHOWN, ())


def test_a_budget_is_within_the_model_s_range() -> None:
    assert thinking(PRO, mode="on", budget=4096) == ({"thinkingBudget": 4096} | SHOWN, ())
    assert thinking(PRO, mode="on", budget=100_000) == (
        {"thinkingBudget": 32_768} | SHOWN,
        ("thinking.budget_tokens",),
    )


def test_an_effort_is_a_budget_for_older_models() -> None:
    assert thinking(FLASH, effort="medium") == ({"thinkingBudget": 8192} | SHOWN, ())
    assert thinking(FLASH, effort="max") == ({"thinkingBudget": 24_576} | SHOWN, ())


@pytest.mark.parametrize("settings", [{"mode": "off"}, {"effort": "none"}, {"mode": "off", "effort": "high"}])
def test_thinking_is_off_where_it_can_be(settings: Any) -> None:
    assert thinking(FLASH, **settings) == ({"thinkingBudget": 0}, ())
    told = ("thinking.type",) if "mode" in settings else ("output_config.effort",)
    assert thinking(PRO, **settings) == ({"thinkingBudget": 128}, told)
    assert thinking(NEW, **settings) == ({"thinkingLevel": "LOW"}, told)
    assert thinking(NONE, **settings) == ({}, ())


def test_thoughts_are_not_sent_to_a_client_that_wants_none() -> None:
    assert thinking(NEW, mode="adaptive", effort="low", shown="omitted") == ({"thinkingLevel": "LOW"}, ())
    assert thinking(NEW, shown="summary") == (SHOWN, ())


def test_a_model_that_does_not_think_is_told_of() -> None:
    assert thinking(NONE, effort="high")[1] == ("output_config.effort",)
    assert thinking(NONE, mode="on", budget=2000)[1] == ("thinking.budget_tokens",)
    assert thinking(NONE, mode="adaptive", shown="summary")[1] == ("thinking.type", "thinking.display")
