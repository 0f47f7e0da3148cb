"""The turns of conversations in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import (
    Blob,
    CacheMark,
    ContentSource,
    ConversationMessage,
    Document,
    Image,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.errors import Untranslatable, WrongMember
from tests.support.messages import conversation

CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1"}
TEXT = {"type": "text", "text": "a"}
NEXT = "next_user_message"


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def system(text: str, **members: Any) -> dict[str, Any]:
    return {"role": "system", "content": text} | members


def parts(*blocks: Any) -> list[Part]:
    """Those of an assistant message."""
    return [part for message in conversation(assistant(*blocks)).messages for part in message.content]


def turns(*messages: Any) -> list[tuple[str, str]]:
    """Role and text of each message."""
    found = conversation(*messages).messages
    return [(each.role, "".join(part.text for part in each.content if isinstance(part, Text))) for each in found]


def test_texts_stand_for_one_block_and_empty_messages_for_nothing() -> None:
    assert turns("a", assistant(TEXT), user(), {"role": "assistant", "content": ""}, "b") == [
        ("user", "a"),
        ("assistant", "a"),
        ("user", "b"),
    ]


def test_a_call_is_carried_with_its_arguments_as_json() -> None:
    call = CALL | {"input": {"a": [1, "é"]}, "caller": {"type": "direct"}, "cache_control": {"type": "ephemeral"}}
    assert parts(call) == [ToolCall("toolu_1", "f", '{"a":[1,"é"]}', cache=CacheMark())]
    assert parts(CALL) == [ToolCall("toolu_1", "f", "{}")]


def test_results_become_a_message_of_their_own_before_the_rest() -> None:
    other = RESULT | {
        "tool_use_id": "toolu_2",
        "content": "b",
        "is_error": True,
        "cache_control": {"type": "ephemeral"},
    }
    found = conversation(user(TEXT, RESULT, other)).messages
    assert found == [
        ConversationMessage("tool", [ToolResult("toolu_1", []), ToolResult("toolu_2", [Text("b")], True, cache=CacheMark())]),
        ConversationMessage("user", [Text("a")]),
    ]  # fmt: skip


def test_a_result_may_have_texts_images_documents_and_search_results() -> None:
    content = [
        TEXT,
        {"type": "image", "source": {"type": "url", "url": "u"}},
        {"type": "document", "source": {"type": "text", "data": "d"}},
        {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]},
        {"type": "tool_reference", "tool_name": "grep"},
    ]
    found = conversation(user(RESULT | {"content": content})).messages[0].content[0]
    assert isinstance(found, ToolResult)
    assert found.content == [
        Text("a"),
        Image(ContentSource(url="u")),
        Document(ContentSource(text="d", media_type="text/plain")),
        Document(ContentSource(text="a", media_type="text/plain"), "t", "s"),
        Text("Found the tool grep."),
    ]


def thinking(text: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (thinking("why", "EqQB"), Reasoning("why", Blob("EqQB"))),
        (thinking("why", blobs.pack(Blob("x"), "iss")), Reasoning("why", Blob("x", issuer="iss"))),
        (thinking("", blobs.pack(Blob("x", "encrypted"), "iss", "why")), Reasoning("why", Blob("x", "encrypted", "iss"))),
        (thinking("", blobs.pack(None, "iss", "why")), Reasoning("why")),
        (thinking("why", ""), Reasoning("why")),
        ({"type": "thinking", "thinking": "why"}, Reasoning("why")),
        ({"type": "redacted_thinking", "data": "EmwK"}, Reasoning(blob=Blob("EmwK", "redacted"))),
        (
            {"type": "redacted_thinking", "data": blobs.pack(Blob("x", "redacted"), "iss")},
            Reasoning(blob=Blob("x", "redacted", "iss")),
        ),
    ],
)  # fmt: skip
def test_thinking_is_carried_with_what_only_its_issuer_can_read(block: Any, expected: Reasoning) -> None:
    assert parts(block, CALL) == [expected, ToolCall("toolu_1", "f", "{}")]


def test_thinking_without_text_and_signature_is_nothing() -> None:
    assert parts(thinking("", ""), {"type": "redacted_thinking", "data": ""}, TEXT) == [Text("a")]


def test_the_signature_of_a_call_comes_back_to_it() -> None:
    signature = blobs.pack_call(Blob("x"), "iss")
    assert parts(thinking("why", ""), thinking("", signature), CALL, CALL | {"id": "toolu_2"}) == [
        Reasoning("why"),
        ToolCall("toolu_1", "f", "{}", blob=Blob("x", issuer="iss")),
        ToolCall("toolu_2", "f", "{}"),
    ]


def test_the_signature_of_a_call_that_was_removed_gets_to_no_other() -> None:
    removed = assistant(TEXT, thinking("", blobs.pack_call(Blob("x"), "iss")))
    assert conversation(removed, assistant(CALL)).messages[-1].content == [ToolCall("toolu_1", "f", "{}")]


@pytest.mark.parametrize(
    "kind",
    [
        *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
        *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result"),
        *("advisor_tool_result", "mcp_tool_use", "mcp_tool_result", "mcp_tool_listing", "fallback", "container_upload"),
    ],
)
def test_what_tools_at_anthropic_did_is_told_and_the_text_stays(kind: str) -> None:
    found = conversation("Search.", assistant(TEXT, {"type": kind, "content": [{"type": "x"}]}, TEXT))
    assert found.messages[1].content == [Text("a"), Text("a")]
    assert found.dropped == [f"messages[].content[{kind}]"]


def test_a_file_that_the_user_uploaded_for_code_is_refused() -> None:
    with pytest.raises(Untranslatable, match="container_upload"):
        conversation(user({"type": "container_upload", "file_id": "f"}))


def test_a_summary_stands_for_all_before_it() -> None:
    compaction = {"type": "compaction", "content": "They met.", "signature": "s", "encrypted_content": "e"}
    found = conversation("a", assistant(TEXT, compaction, TEXT), "b", system="s")
    assert [message.role for message in found.messages] == ["system", "user", "assistant", "user"]
    assert found.messages[1].content == [Text("They met.")]
    assert found.messages[2].content == [Text("a")]
    assert found.dropped == ["messages[].content[].signature", "messages[].content[].encrypted_content"]


def test_a_compaction_that_failed_changes_nothing() -> None:
    failed = {"type": "compaction", "content": None}
    assert turns("a", assistant(TEXT, failed), "b") == [("user", "a"), ("assistant", "a"), ("user", "b")]
    assert conversation("a", assistant(failed)).dropped == ["messages[].content[compaction]"]


def test_a_summary_changes_the_tools() -> None:
    tool = {"type": "tool_definition", "definition": {"name": "g", "input_schema": {}}}
    compaction = {"type": "compaction", "content": "c", "tool_changes": [{"type": "tool_addition", "tool": tool}]}
    assert [each.name for each in conversation(assistant(compaction)).tools] == ["g"]


def test_system_messages_stay_where_they_are() -> None:
    assert turns("a", system("s"), assistant(TEXT), "b") == [
        ("user", "a"),
        ("system", "s"),
        ("assistant", "a"),
        ("user", "b"),
    ]


def test_a_system_message_for_one_turn_ends_with_it() -> None:
    message = system("s", clear_at=NEXT)
    assert ("system", "s") in turns("a", message)
    assert ("system", "s") not in turns("a", message, assistant(TEXT), "b")
    assert ("system", "s") in turns("a", system("s", clear_at="never"), "b")
    assert conversation("a", system("s", clear_at="later")).dropped == ["messages[].clear_at"]


def test_the_effort_of_a_system_message_is_that_of_its_turn() -> None:
    low = {"effort": "low"}
    message = {"role": "system", "output_config": {"effort": "max"}}
    results = user(RESULT)
    assert conversation("a", message, output_config=low).thinking.effort == "max"
    assert conversation("a", message, assistant(CALL), results, output_config=low).thinking.effort == "max"
    assert conversation("a", message, assistant(TEXT), "b", output_config=low).thinking.effort == "low"


@pytest.mark.parametrize(
    ("message", "dropped"),
    [
        (user(TEXT) | {"name": "x"}, "messages[].name"),
        (assistant(TEXT) | {"stop_reason": "end_turn"}, "messages[].stop_reason"),
        (assistant(CALL | {"caller": {"type": "code_execution_20260120"}}), "messages[].content[].caller"),
        (assistant(CALL | {"toolset_name": "computer"}), "messages[].content[].toolset_name"),
        (user(RESULT | {"content": [TEXT | {"odd": 1}]}), "messages[].content[].content[].odd"),
        (system("s", output_config={"format": {}}), "messages[].output_config.format"),
    ],
)
def test_members_that_no_other_dialect_has_are_told(message: Any, dropped: str) -> None:
    assert conversation(message).dropped == [dropped]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"content": "x"}, "role"),
        ({"role": "tool", "content": "x"}, "role"),
        (user() | {"content": 1}, "content"),
        (assistant(CALL | {"id": None}), "content[0].id"),
        (assistant(CALL | {"name": 1}), "content[0].name"),
        (assistant(CALL | {"input": "x"}), "content[0].input"),
        (user(TEXT, {"type": "tool_result"}), "content[1].tool_use_id"),
        (user(RESULT | {"content": [{"type": "text", "text": 1}]}), "content[0].content[0].text"),
        (user(RESULT | {"is_error": "yes"}), "content[0].is_error"),
        (assistant({"type": "thinking", "thinking": 1}), "content[0].thinking"),
        (system("s", output_config={"effort": 1}), "output_config.effort"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(message: Any, param: str) -> None:
    with pytest.raises(WrongMember) as caught:
        conversation("a", message)
    assert caught.value.param == f"messages[1].{param}"


@pytest.mark.parametrize(
    "message", [user(CALL), assistant(RESULT), user(thinking("a", "b")), {"role": "system", "content": [RESULT]}]
)
def test_a_block_in_a_message_of_another_role_is_refused(message: Any) -> None:
    with pytest.raises(Untranslatable) as caught:
        conversation(message)
    assert caught.value.param == "messages[0].content[0].type"
