from __future__ import annotations

from typing import get_args

import pytest
from anthropic.types.model import Model

from proxy.providers.models.claude import CLAUDE, NEWEST
from proxy.providers.models.names import looked_up


def test_each_model_of_the_sdk_is_known() -> None:
    literal, _ = get_args(Model)
    assert [name for name in get_args(literal) if looked_up(name, CLAUDE) is None] == []


@pytest.mark.parametrize(
    ("thinking", "names"),
    [
        ("none", {"claude-3-haiku", "claude-3-5-sonnet"}),
        ("budget", {"claude-3-7-sonnet", "claude-sonnet-4", "claude-opus-4-1", "claude-opus-4-5"}),
        ("both", {"claude-opus-4-6", "claude-sonnet-4-6", "claude-mythos-preview"}),
        ("adaptive", {"claude-opus-4-7", "claude-sonnet-5", "claude-haiku-5-5", "claude-fable-5-2"}),
    ],
)
def test_thinking_changes_with_the_version(thinking: str, names: set[str]) -> None:
    assert {CLAUDE[name].thinking for name in names} == {thinking}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-sonnet-5", "yes"),
        ("claude-opus-5", "to_high"),
        ("claude-haiku-5-5", "to_high"),
        ("claude-sonnet-5-5", "between_tools"),
        ("claude-opus-5-5", "no"),
        ("claude-fable-5", "no"),
    ],
)
def test_some_models_always_think(name: str, expected: str) -> None:
    assert CLAUDE[name].thinking_off == expected


@pytest.mark.parametrize(
    ("name", "sampling", "prefill", "late_system", "structured", "forced_tools", "tokens"),
    [
        ("claude-3-opus", True, True, False, False, True, 4096),
        ("claude-sonnet-4", True, True, False, False, True, 64_000),
        ("claude-opus-4", True, True, False, False, True, 32_000),
        ("claude-opus-4-1", True, True, False, True, True, 32_000),
        ("claude-haiku-4-5", True, True, False, True, True, 64_000),
        ("claude-opus-4-6", True, False, False, True, True, 128_000),
        ("claude-opus-4-7", False, False, False, True, True, 128_000),
        ("claude-opus-4-8", False, False, True, True, True, 128_000),
        ("claude-fable-5", False, False, True, True, True, 128_000),
        ("claude-fable-5-1", False, False, True, True, False, 128_000),
    ],
)
def test_what_is_refused_changes_with_the_version(
    name: str,
    sampling: bool,
    prefill: bool,
    late_system: bool,
    structured: bool,
    forced_tools: bool,
    tokens: int,
) -> None:
    facts = CLAUDE[name]
    assert (facts.sampling, facts.prefill, facts.late_system) == (sampling, prefill, late_system)
    assert (facts.structured, facts.forced_tools, facts.output_tokens) == (structured, forced_tools, tokens)


def test_efforts_came_with_opus_4_5() -> None:
    assert CLAUDE["claude-sonnet-4-5"].efforts == ()
    assert CLAUDE["claude-opus-4-5"].efforts == ("low", "medium", "high")
    assert CLAUDE["claude-opus-4-6"].efforts == ("low", "medium", "high", "max")
    assert CLAUDE["claude-opus-4-7"].efforts == ("low", "medium", "high", "xhigh", "max")


def test_a_newer_version_is_assumed_to_refuse_what_the_newest_refuse() -> None:
    assert (NEWEST.sampling, NEWEST.prefill, NEWEST.forced_tools, NEWEST.thinking_off) == (False, False, False, "no")
