from __future__ import annotations

from typing import Any

import pytest

from tests.translation.chat_rules import of_body

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "user", "content": "Hi"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "b"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def refused(*messages: Any, **members: Any) -> list[str]:
    return list(of_body({"model": "m", "messages": list(messages) or [ASKED]} | members))


def test_a_round_trip_of_a_tool_is_taken() -> None:
    reasoned = CALLED | {"reasoning_content": "Hm", "tool_calls": [CALL | {"extra_content": {}}]}
    assert refused(ASKED, reasoned, RESULT, ASKED, tools=[TOOL], tool_choice="required") == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"system": "Hi"}, "system: is unknown"),
        ({"stop": list("abcde")}, "stop: at most 4 texts, none of them empty"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens and max_completion_tokens cannot both be set"),
        ({"stream_options": {"include_usage": True}}, "stream_options: only allowed with stream"),
        ({"top_logprobs": 2}, "top_logprobs: only allowed with logprobs"),
        ({"tool_choice": "auto"}, "tool_choice: only allowed with tools"),
        ({"tools": []}, "tools: is empty"),
        ({"tools": [TOOL, TOOL]}, "tools: two of one name"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools: wrong name ''"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice: no tool 'g'"),
        ({"tools": [{"type": "function", "function": {"name": "f" * 65}}]}, f"tools: wrong name '{'f' * 65}'"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused(members: dict[str, Any], reason: str) -> None:
    assert reason in refused(**members)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([ASKED, RESULT], "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"),
        ([ASKED, CALLED, ASKED], "tool_call_ids did not have response messages: ['a']"),
        ([ASKED, CALLED], "tool_call_ids did not have response messages: ['a']"),
        ([ASKED, CALLED, RESULT, RESULT], "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"),
        ([{"role": "developer", "content": "Hi"}], "messages[0]: unknown role developer"),
        ([{"role": "assistant", "content": ""}], "messages[0]: no content"),
        ([{"role": "user", "content": [{"type": "text", "text": ""}]}], "messages[0]: an empty text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file_1"}}]}], "messages[0]: image_url: wrong address file_1"),
        ([{"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}], "messages[0]: file: no name"),
        ([ASKED, CALLED, RESULT | {"content": [{"type": "image_url", "image_url": {"url": "https://a"}}]}], "messages[2]: a image_url in a message of role tool"),
        ([ASKED | {"content": [{"type": "image", "source": {}}]}], "messages[0]: a image in a message of role user"),
    ],
)  # fmt: skip
def test_wrong_messages_are_refused(messages: list[Any], reason: str) -> None:
    assert reason in refused(*messages)
