"""Thinking and effort, by what the model takes."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.provider.thinking_encoder import EncodedThinking, ThinkingEncoder
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import ThinkingSettings
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.providers.models.claude import CLAUDE

BUDGET = ModelFacts(thinking="budget", efforts=())
BOTH = CLAUDE["claude-opus-4-6"]
ADAPTIVE = CLAUDE["claude-opus-4-8"]
NONE = ModelFacts(thinking="none", efforts=())
NAMES = member_names("openai.responses")


def encoded(
    settings: ThinkingSettings, facts: ModelFacts = ADAPTIVE, room: int = 64_000, **barred: bool
) -> tuple[EncodedThinking, tuple[str, ...]]:
    losses = Losses()
    asked: Any = {"barred": False, "barred_budget": False} | barred
    return ThinkingEncoder(facts, losses, NAMES).encode(settings, room, **asked), losses.names


def enabled(tokens: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens}


@pytest.mark.parametrize("facts", [NONE, BUDGET, BOTH, ADAPTIVE])
def test_nothing_said_is_nothing_sent(facts: ModelFacts) -> None:
    assert encoded(ThinkingSettings(), facts) == (EncodedThinking(), ())
    assert encoded(ThinkingSettings(shown="omitted"), facts) == (EncodedThinking(), ())


@pytest.mark.parametrize(
    ("settings", "facts", "member", "effort"),
    [
        (ThinkingSettings(effort="high"), ADAPTIVE, {"type": "adaptive"}, "high"),
        (ThinkingSettings("adaptive"), ADAPTIVE, {"type": "adaptive"}, ""),
        (ThinkingSettings("on"), BOTH, {"type": "adaptive"}, ""),
        (ThinkingSettings("on", 10_000), ADAPTIVE, {"type": "adaptive"}, "high"),
        (ThinkingSettings("on", 10_000), BOTH, enabled(10_000), ""),
        (ThinkingSettings("on", 10_000, "low"), BOTH, enabled(10_000), "low"),
        (ThinkingSettings("on", 10), BUDGET, enabled(1024), ""),
        (ThinkingSettings("on"), BUDGET, enabled(8192), ""),
        (ThinkingSettings(effort="high"), BUDGET, enabled(16_384), ""),
        (ThinkingSettings(effort="max"), BUDGET, enabled(48_000), ""),
        (ThinkingSettings("on", 900_000), BUDGET, enabled(63_999), ""),
        (ThinkingSettings(effort="high"), CLAUDE["claude-opus-4-5"], enabled(16_384), "high"),
        (ThinkingSettings(effort="high"), ModelFacts(thinking="budget"), enabled(16_384), ""),
        (ThinkingSettings(effort="high"), ModelFacts(), {"type": "adaptive"}, "high"),
        (ThinkingSettings("on", effort="none"), ADAPTIVE, {"type": "adaptive"}, ""),
    ],
)
def test_thinking_is_said_as_the_model_takes_it(
    settings: ThinkingSettings, facts: ModelFacts, member: Any, effort: str
) -> None:
    assert encoded(settings, facts) == (EncodedThinking(member, effort), ())


@pytest.mark.parametrize(
    ("settings", "facts", "found"),
    [
        (ThinkingSettings(effort="minimal"), ADAPTIVE, EncodedThinking({"type": "adaptive"}, "low")),
        (ThinkingSettings(effort="xhigh"), BOTH, EncodedThinking({"type": "adaptive"}, "high")),
        (ThinkingSettings("off", effort="xhigh"), BOTH, EncodedThinking({"type": "disabled"}, "high")),
    ],
)
def test_another_effort_than_the_clients_is_told(
    settings: ThinkingSettings, facts: ModelFacts, found: EncodedThinking
) -> None:
    assert encoded(settings, facts) == (found, ("reasoning.effort",))


@pytest.mark.parametrize(
    ("facts", "shown", "display"),
    [
        (ADAPTIVE, "omitted", "omitted"),
        (ADAPTIVE, "summary", "summarized"),
        (BUDGET, "omitted", "omitted"),
        (BUDGET, "summary", None),
    ],
)
def test_what_is_shown_of_it(facts: ModelFacts, shown: Any, display: str | None) -> None:
    found, _ = encoded(ThinkingSettings("on", shown=shown), facts)
    assert found.member is not None
    assert found.member.get("display") == display


def test_a_summary_needs_thinking() -> None:
    assert encoded(ThinkingSettings(shown="summary"))[0].is_on


@pytest.mark.parametrize("settings", [ThinkingSettings("off"), ThinkingSettings(effort="none")])
@pytest.mark.parametrize(
    ("facts", "member", "effort", "told"),
    [
        (NONE, None, "", ()),
        (BUDGET, {"type": "disabled"}, "", ()),
        (ADAPTIVE, {"type": "disabled"}, "", ()),
        (CLAUDE["claude-opus-5"], {"type": "disabled"}, "", ()),
        (CLAUDE["claude-sonnet-5-5"], {"type": "between_tools"}, "", ()),
        (CLAUDE["claude-fable-5"], None, "low", ("reasoning.effort",)),
    ],
)
def test_thinking_is_turned_off_as_the_model_takes_it(
    settings: ThinkingSettings, facts: ModelFacts, member: Any, effort: str, told: tuple[str, ...]
) -> None:
    found, names = encoded(settings, facts)
    assert (found, names) == (EncodedThinking(member, effort), told)
    assert not found.is_on


def test_some_models_take_no_thinking_off_with_a_great_effort() -> None:
    off = ThinkingSettings("off", effort="max")
    assert encoded(off, ADAPTIVE)[0].effort == "max"
    assert encoded(off, CLAUDE["claude-opus-5"])[0].effort == "high"


def test_a_model_that_does_not_think_tells_it() -> None:
    assert encoded(ThinkingSettings(effort="high"), NONE) == (EncodedThinking(), ("reasoning.effort",))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (ThinkingSettings("on"), ("thinking",)),
        (ThinkingSettings("on", 2000), ("thinking.budget_tokens",)),
        (ThinkingSettings(effort="low", shown="summary"), ("reasoning_effort", "reasoning.exclude")),
    ],
)
def test_all_that_was_said_is_told(settings: ThinkingSettings, told: tuple[str, ...]) -> None:
    losses = Losses()
    ThinkingEncoder(NONE, losses, member_names("openai.chat")).encode(settings, 9, barred=False, barred_budget=False)
    assert losses.names == told


def test_other_members_may_bar_thinking() -> None:
    high = ThinkingSettings(effort="high")
    assert encoded(high, ADAPTIVE, barred=True) == (EncodedThinking(None, "high"), ("reasoning.effort",))
    assert encoded(high, ADAPTIVE, barred_budget=True) == (EncodedThinking({"type": "adaptive"}, "high"), ())
    assert encoded(high, BUDGET, barred_budget=True) == (EncodedThinking(), ("reasoning.effort",))


@pytest.mark.parametrize(("room", "member"), [(1024, None), (1025, enabled(1024)), (4096, enabled(3072))])
def test_the_budget_leaves_room_for_the_answer(room: int, member: Any) -> None:
    found, told = encoded(ThinkingSettings(effort="high"), BUDGET, room)
    assert (found.member, told) == (member, ("reasoning.effort",) if member is None else ())


def test_the_effort_is_a_member() -> None:
    assert (EncodedThinking().effort_member(), EncodedThinking(effort="low").effort_member()) == ({}, {"effort": "low"})
