"""Settings of a Responses request in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import CacheMark, JsonFormat, SamplingSettings, ThinkingSettings
from proxy.errors import ClientFault, Untranslatable
from tests.support.responses import Json
from tests.support.responses import decoded as decoded_items

SCHEMA = {"type": "object"}


def decoded(**members: Any) -> Any:
    return decoded_items(**{"input": "Hi"} | members)


def test_sampling() -> None:
    found = decoded(temperature=0, top_p=0.5, presence_penalty=1, frequency_penalty=-1, top_logprobs=2)
    assert found.sampling == SamplingSettings(
        0, 0.5, presence_penalty=1, frequency_penalty=-1, logprobs=True, top_logprobs=2
    )
    assert found.dropped == []


@pytest.mark.parametrize(
    ("members", "wanted"),
    [({}, False), ({"top_logprobs": 0}, False), ({"include": ["message.output_text.logprobs"]}, True)],
)
def test_log_probabilities(members: Json, wanted: bool) -> None:
    assert decoded(**members).sampling.logprobs is wanted


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (None, ThinkingSettings()),
        ({"effort": None}, ThinkingSettings()),
        ({"effort": "none"}, ThinkingSettings(effort="none")),
        ({"effort": "xhigh", "summary": "auto"}, ThinkingSettings(effort="xhigh", shown="summary")),
        ({"generate_summary": "auto"}, ThinkingSettings(shown="summary")),
    ],
)
def test_reasoning(reasoning: Any, expected: ThinkingSettings) -> None:
    found = decoded(reasoning=reasoning)
    assert (found.thinking, found.dropped) == (expected, [])


def test_what_is_special_about_reasoning_is_told() -> None:
    usual = {"context": "auto", "mode": "standard"}
    assert decoded(reasoning=usual).dropped == []
    special = {"context": "all_turns", "mode": "pro", "effort": "huge", "summary": "concise", "odd": 1}
    assert decoded(reasoning=special).dropped == [
        "reasoning.odd",
        "reasoning.summary",
        "reasoning.context",
        "reasoning.mode",
        "reasoning.effort",
    ]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonFormat()),
        (
            {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True, "description": "d"},
            JsonFormat(SCHEMA, "n", "d", strict=True),
        ),
    ],
)
def test_formats(form: Any, expected: JsonFormat | None) -> None:
    found = decoded(text={"format": form, "verbosity": "high"})
    assert (found.output_format, found.verbosity, found.dropped) == (expected, "high", [])


def test_a_format_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Untranslatable) as caught:
        decoded(text={"format": {"type": "grammar"}})
    assert caught.value.param == "text.format.type"


@pytest.mark.parametrize(
    ("members", "expected", "dropped"),
    [
        ({}, "", []),
        ({"user": "u"}, "u", []),
        ({"safety_identifier": "s"}, "s", []),
        ({"user": "u", "safety_identifier": "u"}, "u", []),
        ({"user": "u", "safety_identifier": "s"}, "s", ["user"]),
    ],
)
def test_the_end_user(members: Json, expected: str, dropped: list[str]) -> None:
    found = decoded(**members)
    assert (found.end_user, found.dropped) == (expected, dropped)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, None),
        ({"mode": "explicit", "ttl": "12h"}, None),
        ({"mode": "implicit"}, CacheMark()),
        ({"ttl": "12h"}, CacheMark("12h")),
    ],
)
def test_the_mark_at_the_end_of_the_prompt(options: Any, expected: CacheMark | None) -> None:
    assert decoded(prompt_cache_options=options).cache == expected


def test_a_request_only_for_the_cache_is_refused() -> None:
    with pytest.raises(Untranslatable) as caught:
        decoded(prompt_cache_options={"prewarm": True})
    assert caught.value.param == "prompt_cache_options.prewarm"


@pytest.mark.parametrize(
    ("members", "dropped"),
    [
        ({"store": True}, ["store"]),
        ({"store": False}, []),
        ({"truncation": "auto"}, ["truncation"]),
        ({"max_tool_calls": 0}, ["max_tool_calls"]),
        (
            {"include": ["reasoning.encrypted_content", "file_search_call.results"]},
            ["include[file_search_call.results]"],
        ),
        ({"stream_options": {"include_obfuscation": True}}, ["stream_options.include_obfuscation"]),
        ({"stream_options": {"include_obfuscation": False, "include_usage": True}}, []),
        ({"stream_options": {"odd": 1}}, ["stream_options.odd"]),
        ({"prompt_cache_options": {"comparison_response_id": "r"}}, ["prompt_cache_options.comparison_response_id"]),
        ({"prompt_cache_retention": "24h"}, ["prompt_cache_retention"]),
        ({"text": {"odd": 1}}, ["text.odd"]),
    ],
)
def test_settings_that_nobody_else_has_are_told(members: Json, dropped: list[str]) -> None:
    assert decoded(**members).dropped == dropped


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"text": {"format": {"type": "json_schema", "schema": 1}}}, "text.format.schema"),
        ({"include": "all"}, "include"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"stream_options": {"include_obfuscation": 1}}, "stream_options.include_obfuscation"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_member(members: Json, path: str) -> None:
    with pytest.raises(ClientFault) as caught:
        decoded(**members)
    assert caught.value.param == path
