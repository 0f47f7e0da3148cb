"""Settings of chat requests."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import JsonFormat, SamplingSettings, ThinkingSettings
from proxy.errors import Untranslatable, WrongMember
from tests.dialects.openai.chat.requests import decoded


def test_each_sampling_member_reaches_its_place() -> None:
    found = decoded(
        temperature=0.5,
        top_p=1,
        top_k=5,
        seed=7,
        presence_penalty=-1,
        frequency_penalty=0.25,
        logit_bias={"1": 2},
        logprobs=True,
        top_logprobs=3,
    )
    assert found.sampling == SamplingSettings(0.5, 1, 5, 7, -1, 0.25, {"1": 2}, logprobs=True, top_logprobs=3)
    assert found.dropped == []


@pytest.mark.parametrize(
    ("members", "thinking"),
    [
        ({}, ThinkingSettings()),
        ({"reasoning_effort": "minimal"}, ThinkingSettings(effort="minimal")),
        ({"reasoning_effort": "none"}, ThinkingSettings(effort="none")),
        ({"reasoning": {"effort": "high"}}, ThinkingSettings(effort="high")),
        ({"reasoning": {"max_tokens": 2000}}, ThinkingSettings("on", 2000)),
        ({"reasoning": {"max_tokens": 0}}, ThinkingSettings("off", 0)),
        ({"reasoning": {"enabled": True}}, ThinkingSettings("on")),
        ({"reasoning": {"enabled": False}}, ThinkingSettings("off")),
        ({"reasoning": {"exclude": True}}, ThinkingSettings(shown="omitted")),
        ({"reasoning": {"exclude": False}}, ThinkingSettings()),
        ({"thinking": {"type": "enabled"}}, ThinkingSettings("on")),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, ThinkingSettings("on", 5000)),
        ({"thinking": {"type": "disabled"}}, ThinkingSettings("off")),
        ({"thinking": {"type": "auto"}}, ThinkingSettings("adaptive")),
        ({"thinking": {"type": "adaptive"}, "reasoning_effort": "max"}, ThinkingSettings("adaptive", effort="max")),
        ({"enable_thinking": True}, ThinkingSettings("on")),
        ({"enable_thinking": False}, ThinkingSettings("off")),
        ({"enable_thinking": True, "thinking": {"type": "enabled"}}, ThinkingSettings("on")),
    ],
)
def test_all_ways_to_set_the_thinking(members: dict[str, Any], thinking: ThinkingSettings) -> None:
    found = decoded(**members)
    assert (found.thinking, found.dropped) == (thinking, [])


@pytest.mark.parametrize(
    ("members", "thinking", "told"),
    [
        ({"reasoning_effort": "ultra"}, ThinkingSettings(), "reasoning_effort"),
        ({"reasoning": {"effort": "ultra"}}, ThinkingSettings(), "reasoning.effort"),
        ({"reasoning": {"summary": "auto"}}, ThinkingSettings(), "reasoning.summary"),
        (
            {"reasoning": {"effort": "low"}, "reasoning_effort": "high"},
            ThinkingSettings(effort="low"),
            "reasoning_effort",
        ),
        ({"thinking": {"type": "x"}}, ThinkingSettings(), "thinking.type"),
        (
            {"thinking": {"type": "disabled", "clear_thinking": True}},
            ThinkingSettings("off"),
            "thinking.clear_thinking",
        ),
        ({"thinking": {"type": "disabled"}, "reasoning": {"enabled": True}}, ThinkingSettings("on"), "thinking.type"),
        ({"thinking": {"type": "disabled"}, "enable_thinking": True}, ThinkingSettings("off"), "enable_thinking"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5}, "reasoning": {"max_tokens": 6}},
            ThinkingSettings("on", 6),
            "thinking.budget_tokens",
        ),
    ],
)
def test_what_cannot_be_set_is_told(members: dict[str, Any], thinking: ThinkingSettings, told: str) -> None:
    found = decoded(**members)
    assert (found.thinking, found.dropped) == (thinking, [told])


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonFormat()),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "d", "schema": {"a": 1}, "strict": True},
            },
            JsonFormat({"a": 1}, "n", "d", strict=True),
        ),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, JsonFormat(None, "n")),
    ],
)
def test_each_format_is_kept(value: object, form: JsonFormat | None) -> None:
    assert decoded(response_format=value).output_format == form


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(Untranslatable) as caught:
        decoded(response_format={"type": "grammar"})
    assert caught.value.param == "response_format.type"


def test_one_limit_replaces_the_other() -> None:
    assert decoded(max_tokens=5).output_tokens == decoded(max_completion_tokens=5).output_tokens == 5
    both = decoded(max_tokens=5, max_completion_tokens=6)
    assert (both.output_tokens, both.dropped) == (6, ["max_tokens"])
    assert decoded(max_tokens=5, max_completion_tokens=5).dropped == []
    assert decoded(max_tokens=5).own_names == {"max_completion_tokens": "max_tokens"}
    assert both.own_names == decoded(max_completion_tokens=5).own_names == decoded().own_names == {}


def test_one_name_of_the_user_replaces_the_other() -> None:
    assert decoded(user="a").end_user == decoded(safety_identifier="a").end_user == "a"
    both = decoded(user="a", safety_identifier="b")
    assert (both.end_user, both.dropped) == ("b", ["user"])


@pytest.mark.parametrize(("stop", "found"), [(None, []), ("", []), ("a", ["a"]), (["a", " "], ["a", " "])])
def test_stop_is_a_text_or_several(stop: object, found: list[str]) -> None:
    assert decoded(stop=stop).stop == found


def test_more_than_one_answer_is_kept() -> None:
    assert decoded(n=3).choices == 3


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"n": 0}, "n"),
        ({"stop": 1}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"temperature": "1"}, "temperature"),
        ({"logit_bias": []}, "logit_bias"),
        ({"reasoning": {"max_tokens": "1"}}, "reasoning.max_tokens"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"thinking": {"type": 1}}, "thinking.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": 1}}}, "response_format.json_schema.name"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"prompt_cache_options": {"ttl": 1}}, "prompt_cache_options.ttl"),
        ({"modalities": "text"}, "modalities"),
    ],
)
def test_a_wrong_member_is_named(members: dict[str, Any], path: str) -> None:
    with pytest.raises(WrongMember) as caught:
        decoded(**members)
    assert caught.value.param == path
