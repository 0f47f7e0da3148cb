from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.messages_encoder import ChatMessagesEncoder
from proxy.dialects.translation.conversation import (
    ContentSource,
    Conversation,
    ConversationMessage,
    Document,
    Image,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import FACTS, encoding, message

STRICT_TEMPLATE = ModelFacts(late_system=False)
IMAGE = Image(ContentSource(url="https://a.example/cat.png"))
C_IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/cat.png"}}


def encoded(*messages: ConversationMessage, facts: ModelFacts = FACTS) -> tuple[Any, tuple[str, ...]]:
    """The messages, and what is told."""
    context = encoding(facts)
    return ChatMessagesEncoder(context).messages(Conversation("", [*messages])), context.losses.names


def result(call_id: str, *parts: Any, **members: Any) -> ToolResult:
    return ToolResult(call_id, [Text(part) if isinstance(part, str) else part for part in parts], **members)


def called(*ids: str) -> ConversationMessage:
    return message("assistant", *(ToolCall(each, "f") for each in ids))


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


def tool(call_id: str, content: Any) -> Any:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


# Roles


def test_each_role_has_its_message() -> None:
    found, dropped = encoded(message("system", "Be brief."), message("user", "Hi"), message("assistant", "Yes?"))
    assert found == [
        {"role": "system", "content": "Be brief."}, user("Hi"), {"role": "assistant", "content": "Yes?"},
    ]  # fmt: skip
    assert dropped == ()


def test_several_texts_are_one_string() -> None:
    assert encoded(message("user", "a", "b"))[0] == [user("a\n\nb")]


def test_messages_of_the_user_in_a_row_become_one() -> None:
    assert encoded(message("user", "a"), message("user", IMAGE), message("user", "b"))[0] == [
        user([{"type": "text", "text": "a"}, C_IMAGE, {"type": "text", "text": "b"}])
    ]


def test_messages_of_two_users_stay_two() -> None:
    found, _ = encoded(message("user", "a", name="Ann"), message("user", "b", name="Bob"))
    assert [each["name"] for each in found] == ["Ann", "Bob"]


def test_empty_messages_are_left_out() -> None:
    assert encoded(message("user", "a"), message("assistant", ""), message("user", ""), message("user", "b"))[0] == [
        user("a\n\nb")
    ]


def test_the_phase_of_a_message_is_told() -> None:
    assert encoded(message("assistant", "a", phase="commentary"))[1] == ("messages[]",)


# System text


def test_system_text_may_stand_anywhere() -> None:
    found, dropped = encoded(
        message("system", "a"), message("system", "b"), message("user", "Hi"), message("system", "c")
    )
    assert [(each["role"], each["content"]) for each in found] == [
        ("system", "a"), ("system", "b"), ("user", "Hi"), ("system", "c"),
    ]  # fmt: skip
    assert dropped == ()


def test_late_system_text_becomes_the_users_where_the_model_refuses_it() -> None:
    messages = message("system", "a"), message("system", "b"), message("user", "Hi"), message("system", "c")
    found, dropped = encoded(*messages, facts=STRICT_TEMPLATE)
    assert found == [{"role": "system", "content": "a\n\nb"}, user("Hi\n\n<system>\nc\n</system>")]
    assert dropped == ("messages[].role",)


def test_system_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(Untranslatable):
        encoded(message("system", IMAGE))


# Results


def test_results_follow_their_calls() -> None:
    found, _ = encoded(called("a", "b"), message("tool", result("a", "1"), result("b", "2")), message("user", "So?"))
    assert found[1:] == [tool("a", "1"), tool("b", "2"), user("So?")]


def test_what_is_no_text_follows_the_last_result() -> None:
    found, _ = encoded(
        called("a", "b"), message("tool", result("a", "Look", IMAGE), result("b", "2")), message("user", "So?")
    )
    about = {"type": "text", "text": "Output of the tool call a:"}
    assert found[1:] == [tool("a", "Look"), tool("b", "2"), user([about, C_IMAGE, {"type": "text", "text": "So?"}])]


def test_a_result_that_is_only_an_image_says_where_it_is() -> None:
    found, _ = encoded(called("a"), message("tool", result("a", IMAGE)))
    assert found[1]["content"] == "(The output follows in a message of the user.)"


def test_a_text_file_in_a_result_is_text() -> None:
    found, _ = encoded(called("a"), message("tool", result("a", Document(ContentSource(text="1"), "a.txt"))))
    assert found[1:] == [tool("a", '<document name="a.txt">\n1\n</document>')]


def test_a_failure_of_a_tool_is_told_in_its_text() -> None:
    found, _ = encoded(called("a", "b"), message("tool", result("a", "No.", is_error=True), result("b", is_error=True)))
    assert found[1:] == [tool("a", "Error: No."), tool("b", "Error: (no output)")]


def test_an_empty_result_has_a_text() -> None:
    assert encoded(called("a"), message("tool", result("a", "")))[0][1:] == [tool("a", "(no output)")]
