"""Chat messages of all roles."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import (
    Blob,
    CacheMark,
    Citation,
    ContentSource,
    ConversationMessage,
    Image,
    Reasoning,
    Refused,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.errors import Untranslatable, WrongMember
from tests.dialects.openai.chat.requests import assistant, decoded, messages

CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
MARK = {"cache_control": {"type": "ephemeral"}}


def test_system_messages_may_stand_anywhere() -> None:
    found = messages(
        {"role": "developer", "content": "a"},
        {"role": "user", "content": "b", "name": "bob"},
        {"role": "system", "content": [{"type": "text", "text": "c"}]},
    )
    assert found == [
        ConversationMessage("system", [Text("a")]),
        ConversationMessage("user", [Text("b")], name="bob"),
        ConversationMessage("system", [Text("c")]),
    ]


def test_an_assistant_reasons_then_says_then_calls() -> None:
    found = assistant(content="b", refusal="c", reasoning_content="a", tool_calls=[CALL])
    assert found.content == [Reasoning("a"), Text("b"), Refused("c"), ToolCall("c1", "f", '{"a":1}')]


def test_an_answer_of_the_sdk_can_be_sent_back() -> None:
    """The SDK's messages have all members, most of them null."""
    message = {"audio": None, "function_call": None, "refusal": None, "annotations": [], "tool_calls": None}
    found = decoded(messages=[{"role": "assistant", "content": "a", **message}])
    assert (found.messages, found.dropped) == ([ConversationMessage("assistant", [Text("a")])], [])


def test_audio_that_a_model_made_is_refused() -> None:
    with pytest.raises(Untranslatable) as caught:
        assistant(audio={"id": "a1"})
    assert caught.value.param == "messages[0].audio"


def test_results_have_text_or_images_and_the_kind_of_their_call() -> None:
    custom = {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "x"}}
    image = {"type": "image_url", "image_url": {"url": "https://x.example"}}
    found = messages(
        {"role": "assistant", "tool_calls": [CALL, custom]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "2"}, image]},
        {"role": "tool", "tool_call_id": "c3", "content": "3"},
    )
    assert [each.content for each in found[1:]] == [
        [ToolResult("c1", [Text("1")])],
        [ToolResult("c2", [Text("2"), Image(ContentSource(url="https://x.example"))], kind="custom")],
        [ToolResult("c3", [Text("3")])],
    ]
    assert {each.role for each in found[1:]} == {"tool"}


def test_the_name_of_a_result_is_kept_unless_it_is_that_of_the_tool() -> None:
    call = {"role": "assistant", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "1"}
    assert messages(call, result | {"name": "f"})[1].name == ""
    assert messages(call, result | {"name": "g"})[1].name == "g"


def test_old_function_calls_and_their_results_get_ids() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    result = {"role": "function", "name": "f", "content": "1"}
    found = messages(call, result, call, result, {"role": "function", "name": "g", "content": None})
    assert [each.content[0] for each in found] == [
        ToolCall("function_call_1", "f", "{}"),
        ToolResult("function_call_1", [Text("1")]),
        ToolCall("function_call_2", "f", "{}"),
        ToolResult("function_call_2", [Text("1")]),
        ToolResult("function_call_3", []),
    ]
    assert [each.role for each in found] == ["assistant", "tool", "assistant", "tool", "tool"]
    assert [each.name for each in found] == ["", "", "", "", "g"]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "a", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {"role": "system", "content": "a"},
    ],
)
def test_the_mark_of_a_message_stands_behind_its_last_part(message: dict[str, Any]) -> None:
    last = messages(message | MARK)[0].content[-1]
    assert isinstance(last, Text | ToolCall | ToolResult)
    assert last.cache == CacheMark()


def test_the_mark_of_a_part_counts_more_than_that_of_its_message() -> None:
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert messages({"role": "user", "content": [part], **MARK})[0].content == [Text("a", CacheMark("1h"))]


def test_a_mark_with_nothing_before_it_is_told() -> None:
    assert decoded(messages=[{"role": "user", "content": "", **MARK}]).dropped == ["messages[].cache_control"]


CITATION = {"url": "u", "title": "t", "start_index": 1, "end_index": 2, "content": "q"}


def test_sources_that_are_sent_back_belong_to_the_text() -> None:
    found = assistant(content="abc", annotations=[{"type": "url_citation", "url_citation": CITATION}])
    assert found.content == [Text("abc", citations=(Citation("u", "t", "q", start=1, end=2),))]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"content": None, "annotations": [{"url_citation": CITATION}]}, "annotations"),
        ({"content": "a", "annotations": [{"type": "file"}]}, "annotations[file]"),
        ({"content": "a", "annotations": [{"url_citation": {"x": 1}}]}, "annotations[].url_citation.x"),
        ({"content": "a", "prefix": True}, "prefix"),
        ({"tool_calls": [CALL | {"x": 1}]}, "tool_calls[].x"),
        (
            {"reasoning_details": [{"type": "reasoning.server_tool_call"}]},
            "reasoning_details[reasoning.server_tool_call]",
        ),
    ],
)
def test_what_has_no_counterpart_is_told(message: dict[str, Any], path: str) -> None:
    assert decoded(messages=[{"role": "assistant", **message}]).dropped == [f"messages[].{path}"]


def test_a_signature_beside_the_reasoning_goes_to_its_call() -> None:
    details = [{"type": "reasoning.encrypted", "data": "sl1.i.sAAAA", "id": "c1", "format": "google-gemini-v1"}]
    found = assistant(reasoning_details=details, tool_calls=[CALL])
    assert found.content == [ToolCall("c1", "f", '{"a":1}', blob=Blob("AAAA", issuer="i"))]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({}, "role"),
        ({"role": "robot"}, "role"),
        ({"role": 1}, "role"),
        ({"role": "tool", "content": "a"}, "tool_call_id"),
        ({"role": "function", "content": "a"}, "name"),
        ({"role": "user", "content": "a", "name": 1}, "name"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls"),
        ({"role": "assistant", "annotations": [{"url_citation": {"url": 1}}]}, "annotations[0].url_citation.url"),
        ({"role": "assistant", "annotations": [{"url_citation": 1}]}, "annotations[0].url_citation"),
    ],
)
def test_a_wrong_message_is_named(message: dict[str, Any], path: str) -> None:
    with pytest.raises(WrongMember) as caught:
        messages({"role": "user", "content": "a"}, message)
    assert caught.value.param == f"messages[1].{path}"
