from __future__ import annotations

from typing import Any

import pytest

from tests.translation.messages_rules import of_body

ASKED = {"role": "user", "content": "Hi"}
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "valid"}
CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
CALLED = {"role": "assistant", "content": [CALL]}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "b"}
ANSWERED = {"role": "user", "content": [RESULT]}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
OLD = {"model": "claude-haiku-4-5", "max_tokens": 9000}
THINKING = OLD | {"thinking": {"type": "enabled", "budget_tokens": 2000}}


def refused(*messages: Any, **members: Any) -> list[str]:
    base = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": list(messages) or [ASKED]}
    return list(of_body(base | members, {"valid"}))


def test_a_round_trip_of_a_tool_is_taken() -> None:
    called = {"role": "assistant", "content": [THOUGHT, CALL]}
    answered = {"role": "user", "content": [RESULT, {"type": "text", "text": "And?"}]}
    late = {"role": "system", "content": "Be brief."}
    assert refused(ASKED, called, answered, late, tools=[TOOL], thinking={"type": "adaptive"}) == []
    assert refused(ASKED, called, ANSWERED, **THINKING) == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"model": "gpt-5"}, "model: gpt-5"),
        ({"n": 1}, "n: is unknown"),
        ({"max_tokens": 128_001}, "max_tokens: from 1 to 128000"),
        ({"temperature": 1}, "temperature: this model has none"),
        (OLD | {"temperature": 1.5}, "temperature: from 0 to 1"),
        (OLD | {"temperature": 1, "top_p": 1}, "temperature and top_p cannot both be specified"),
        ({"stop_sequences": ["\n"]}, "stop_sequences: must not be white space"),
        ({"system": [{"type": "text", "text": ""}]}, "system: an empty text"),
        ({"system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}] * 5}, "cache_control: at most 4"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "output_config.format.schema: additionalProperties must be false"),
        ({"tools": [TOOL, TOOL]}, "tools: two of one name"),
        ({"tools": [TOOL | {"name": "a.b"}]}, "tools: wrong name 'a.b'"),
        ({"tool_choice": {"type": "auto"}}, "tool_choice: only allowed with tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice: no tool 'g'"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking: this model does not take enabled"),
        (THINKING | {"max_tokens": 2000}, "thinking.budget_tokens: at least 1024, and less than max_tokens"),
        (THINKING | {"temperature": 0.5}, "temperature: must be 1 with thinking"),
        (THINKING | {"tools": [TOOL], "tool_choice": {"type": "any"}}, "tool_choice: must not be forced with thinking"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused(members: dict[str, Any], reason: str) -> None:
    assert reason in refused(**members)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "assistant", "content": "Hi"}, ASKED], "messages: the first one must be of the user"),
        ([ASKED, {"role": "assistant", "content": "Hi"}], "messages: this model does not take a final assistant message"),
        ([ASKED, CALLED, ASKED], "tool_use ids without tool_result directly after: ['a']"),
        ([ASKED, CALLED], "tool_use ids without tool_result: ['a']"),
        ([ASKED, ANSWERED], "unexpected tool_use_id in a tool_result: a"),
        ([ASKED, CALLED, {"role": "user", "content": [{"type": "text", "text": "b"}, RESULT]}], "unexpected tool_use_id in a tool_result: a"),
        ([{"role": "user", "content": " "}], "messages.0: text: must not be empty"),
        ([ASKED, {"role": "assistant", "content": [THOUGHT | {"signature": "other"}]}, ASKED], "messages.1: Invalid `signature` in `thinking` block"),
        ([ASKED, {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}, ASKED], "messages.1: Invalid `signature` in `thinking` block"),
        ([{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "a"}}]}], "messages.0: image: wrong media_type image/bmp"),
    ],
)  # fmt: skip
def test_wrong_messages_are_refused(messages: list[Any], reason: str) -> None:
    assert reason in refused(*messages)


def test_an_older_model_takes_no_late_system_text_and_needs_thinking_before_a_call() -> None:
    assert "messages: system is no role for this model" in refused(ASKED, {"role": "system", "content": "x"}, **OLD)
    assert "messages: expected thinking before the last tool_use" in refused(ASKED, CALLED, ANSWERED, **THINKING)
