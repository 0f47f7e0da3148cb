"""Requests of the Messages API in neutral terms: the members of the body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.client.request_decoder import BILLING_HEADER, MessagesRequestDecoder
from proxy.dialects.translation.conversation import (
    CacheMark,
    Conversation,
    ConversationMessage,
    Text,
    ThinkingSettings,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from proxy.errors import ClientFault, Untranslatable, WrongMember
from tests.support.messages import conversation

BILLING = {"type": "text", "text": f"{BILLING_HEADER} cc_version=2.1.332; cch=12345;"}


def system(**members: Any) -> list[ConversationMessage]:
    return [message for message in conversation(**members).messages if message.role == "system"]


def test_the_smallest_request_says_nothing_else() -> None:
    expected = Conversation(
        "anthropic.messages", [ConversationMessage("user", [Text("Hi")])], output_tokens=9, wants_usage=True
    )
    assert conversation() == expected


def test_a_request_of_claude_code_is_carried_but_for_what_only_anthropic_has() -> None:
    found = conversation(
        "Fix it.",
        {"role": "system", "content": "Today is Sunday."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "text"}]},
        system=[BILLING, {"type": "text", "text": "You are", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        tools=[{"name": "Read", "input_schema": {"type": "object"}, "eager_input_streaming": True}],
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "high"},
        context_management={"edits": []},
        metadata={"user_id": '{"session_id":"x"}'},
        stream=True,
    )
    assert found.messages == [
        ConversationMessage("system", [Text("You are", CacheMark("1h"))]),
        ConversationMessage("user", [Text("Fix it.")]),
        ConversationMessage("system", [Text("Today is Sunday.")]),
        ConversationMessage("assistant", [ToolCall("toolu_1", "Read", '{"path":"a"}')]),
        ConversationMessage("tool", [ToolResult("toolu_1", [Text("text")])]),
    ]
    assert found.tools == [ToolDefinition("Read", parameters={"type": "object"})]
    assert found.thinking == ThinkingSettings("adaptive", effort="high", shown="omitted")
    assert (found.end_user, found.stream) == ('{"session_id":"x"}', True)
    assert found.dropped == ["context_management", "tools[].eager_input_streaming"]


@pytest.mark.parametrize(
    ("given_system", "texts"),
    [
        ("Be brief.", ["Be brief."]),
        ("", []),
        ([BILLING], []),
        ([BILLING, {"type": "text", "text": "a"}], ["a"]),
        ([{"type": "text", "text": "a"}, BILLING], ["a", BILLING["text"]]),
        ([{"type": "text", "text": ""}, {"type": "text", "text": "a"}], ["a"]),
    ],
)
def test_the_system_text_comes_first_without_claude_code_s_billing_header(given_system: Any, texts: list[str]) -> None:
    found = conversation(system=given_system)
    first = [message.content for message in found.messages if message.role == "system"]
    assert first == ([[Text(text) for text in texts]] if texts else [])
    assert found.messages[-1].role == "user"
    assert found.dropped == []


@pytest.mark.parametrize(
    ("members", "dropped"),
    [
        ({"context_management": {}, "mcp_servers": [], "container": "x"}, ["context_management", "mcp_servers", "container"]),
        ({"inference_geo": "us", "diagnostics": {}, "fallbacks": "default"}, ["inference_geo", "diagnostics", "fallbacks"]),
        ({"metadata": {"user_id": "u", "trace": 1}}, ["metadata.trace"]),
        ({"cache_control": {"type": "ephemeral", "scope": "x"}}, ["cache_control.scope"]),
        ({"system": [{"type": "text", "text": "a", "odd": 1}]}, ["system[].odd"]),
        ({"a_member_of_next_month": 1, "container": None}, ["a_member_of_next_month"]),
    ],
)  # fmt: skip
def test_members_that_no_other_dialect_has_are_told(members: dict[str, Any], dropped: list[str]) -> None:
    assert conversation(**members).dropped == dropped


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"safeguards": {}}, "safeguards"),
        ({"thread": {"type": "create"}}, "thread"),
        ({"compaction": {"type": "summarize"}}, "compaction"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_a_member_without_which_the_answer_would_be_wrong_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(Untranslatable, match=param) as caught:
        conversation(**members)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"stream": 1}, "stream"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"system": [{"type": "text", "text": 1}]}, "system[0].text"),
        ({"system": 1}, "system"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(WrongMember) as caught:
        conversation(**members)
    assert caught.value.param == param


def test_settings_are_carried() -> None:
    found = conversation(stop_sequences=["a", "b"], cache_control={"type": "ephemeral"}, max_tokens=5)
    assert (found.stop, found.cache, found.output_tokens) == (["a", "b"], CacheMark(), 5)


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ClientFault):
        MessagesRequestDecoder().decode(body)


def test_half_a_surrogate_pair_is_carried() -> None:
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": "\ud83d"}}
    found = conversation("\ude00", {"role": "assistant", "content": [call]})
    assert found.messages[0].content == [Text("\ude00")]
    assert found.messages[1].content == [ToolCall("a", "f", '{"x":"\\ud83d"}')]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = (
    "type",
    "text",
    "content",
    "source",
    "id",
    "name",
    "input",
    "tool_use_id",
    "signature",
    "data",
    "tool",
    "title",
)
KINDS = ("text", "image", "document", "tool_use", "tool_result", "thinking", "base64", "content", "compaction", "file")
ODD: st.SearchStrategy[Any] = st.recursive(
    JSON,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
        | st.builds(lambda kind, rest: rest | {"type": kind}, st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4))
    ),
    max_leaves=12,
)  # fmt: skip
TURNS = st.fixed_dictionaries(
    {"role": st.sampled_from(("user", "assistant", "system")), "content": st.lists(ODD) | ODD}
)
MEMBERS = ("system", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "cache_control")


@given(st.lists(TURNS, max_size=3), st.dictionaries(st.sampled_from(MEMBERS), ODD, max_size=3))
def test_any_request_is_decoded_or_refused(messages: list[Any], members: dict[str, Any]) -> None:
    body = {"model": "m", "messages": messages} | members
    found = decoded_or_refused(json.dumps(body).encode())
    if isinstance(found, ClientFault):
        assert (found.status, bool(found.param)) == (400, True)
    else:
        assert all(message.content for message in found.messages)


def decoded_or_refused(body: bytes) -> Conversation | ClientFault:
    try:
        return MessagesRequestDecoder().decode(body)
    except ClientFault as fault:
        return fault
