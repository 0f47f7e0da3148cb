from __future__ import annotations

import pytest

from proxy.providers.models.names import looked_up, short_name

# As the documentation of each provider writes them.
SPELLINGS = {
    "claude-opus-4-8": [
        "claude-opus-4-8",
        "anthropic/claude-opus-4.8",
        "~anthropic/claude-opus-4.8",
        "anthropic/claude-opus-4.8:beta",
        "anthropic.claude-opus-4-8",
        "global.anthropic.claude-opus-4-8",
        "publishers/anthropic/models/claude-opus-4-8",
        "claude-opus-4-8@default",
        "claude-opus-4-8[1m]",
        "Claude-Opus-4-8",
    ],
    "claude-haiku-4-5": [
        "claude-haiku-4-5-20251001",
        "claude-haiku-4-5@20251001",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "us-gov.anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic/claude-haiku-4.5",
        "claude-haiku-4-5-latest",
    ],
    "claude-3-5-sonnet": [
        "claude-3-5-sonnet-20241022",
        "claude-3-5-sonnet-v2@20241022",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "anthropic/claude-3.5-sonnet",
        "claude-3-5-sonnet-latest",
    ],
    "gpt-5.5": ["gpt-5.5", "openai/gpt-5.5", "gpt-5.5-2026-04-23", "openai.gpt-5.5"],
    "gpt-4o-mini": ["gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini-2024-07-18:my-org::abc123"],
    "gpt-5-chat": ["gpt-5-chat-latest"],
    "gpt-oss": ["gpt-oss:20b", "gpt-oss:latest"],
    "gemini-3.1-pro": [
        "gemini-3.1-pro-preview",
        "models/gemini-3.1-pro-preview",
        "google/gemini-3.1-pro-preview",
        "publishers/google/models/gemini-3.1-pro",
    ],
    "gemini-2.5-flash": [
        "gemini-2.5-flash-001",
        "gemini-2.5-flash-preview-05-20",
        "gemini-2.5-flash-preview-09-2025",
        "gemini-2.5-flash-latest",
        "google.gemini-2.5-flash",
    ],
    "kimi-k2-thinking": ["moonshotai/Kimi-K2-Thinking", "accounts/fireworks/models/kimi-k2-thinking"],
    "deepseek-r1": ["deepseek/deepseek-r1:free", "deepseek-r1:14b"],
}


@pytest.mark.parametrize(
    ("spelling", "name"), [(each, name) for name, spellings in SPELLINGS.items() for each in spellings]
)
def test_each_spelling_of_a_name_is_known(spelling: str, name: str) -> None:
    assert short_name(spelling) == name
    assert looked_up(spelling, {name: 1}) == 1


@pytest.mark.parametrize(
    "other", ["claude-opus-4-80", "claude-opus-4", "claude-opus-4-8-1", "my-claude-opus-4-8", "claude-opus-4-8-fast"]
)
def test_another_version_is_another_model(other: str) -> None:
    assert looked_up(other, {"claude-opus-4-8": 1}) is None


def test_a_dated_name_wins_over_that_of_the_model() -> None:
    table = {"gpt-4o-2024-05-13": 1, "gpt-4o": 2}
    assert looked_up("openai/gpt-4o-2024-05-13", table) == 1
    assert looked_up("gpt-4o-2024-11-20", table) == 2


@pytest.mark.parametrize("name", ["", "/", ":", "ft:", "@", "-v1:0", "a/", "claude-", "."])
def test_an_odd_name_is_no_model(name: str) -> None:
    assert looked_up(name, {"a": 1}) is None
