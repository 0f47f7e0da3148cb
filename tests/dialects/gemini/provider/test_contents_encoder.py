from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.gemini.provider.model_encoder import NO_SIGNATURE
from proxy.dialects.translation.conversation import (
    ContentSource,
    ConversationMessage,
    Image,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.errors import Untranslatable
from tests.support.gemini_encoding import NEW, OLD, asking, encode, message

HI = message("user", "Hi")
IMAGE = Image(ContentSource(data="iVBORw0KGgoAAAA"))


def contents(*messages: ConversationMessage, facts: Any = NEW) -> list[tuple[str, list[Any]]]:
    return [(each["role"], each["parts"]) for each in encode(asking(*messages), facts).body["contents"]]


def said(*messages: ConversationMessage) -> list[tuple[str, list[str]]]:
    """The texts, and the ids of calls and results."""
    return [
        (role, [part.get("text") or (part.get("functionCall") or part["functionResponse"])["id"] for part in parts])
        for role, parts in contents(*messages)
    ]


def test_the_first_system_messages_are_the_instruction() -> None:
    body, lost = encode(asking(message("system", "a", "b"), message("system", "c"), HI))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}
    assert lost == ()


def test_later_ones_are_text_of_the_user_and_told() -> None:
    body, lost = encode(asking(message("user", "a"), message("assistant", "b"), message("system", "c"), HI))
    assert body["contents"][-1]["parts"] == [{"text": "<system>\nc\n</system>"}, {"text": "Hi"}]
    assert lost == ("messages[].role",)


def test_a_system_message_can_only_be_text() -> None:
    with pytest.raises(Untranslatable):
        encode(asking(message("system", IMAGE), HI))


def test_instructions_alone_are_text_of_the_user() -> None:
    body, lost = encode(asking(message("system", "a")))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    assert lost == ("messages[].role",)


def test_a_conversation_without_a_word_is_refused() -> None:
    with pytest.raises(Untranslatable, match="no text"):
        encode(asking(message("user", "")))


def test_messages_of_one_role_are_one_turn() -> None:
    found = said(message("user", "a"), message("user", "b"), message("assistant", "c"), message("assistant", "d"), HI)
    assert found == [("user", ["a", "b"]), ("model", ["c", "d"]), ("user", ["Hi"])]
    found = said(message("user", "a"), message("assistant", ""), HI)
    assert found == [("user", ["a", "Hi"])]


def test_a_conversation_that_the_model_begins_gets_a_beginning() -> None:
    assert said(message("assistant", "a"), HI) == [("user", ["."]), ("model", ["a"]), ("user", ["Hi"])]


def test_a_final_turn_of_the_model_is_refused_where_it_is_not_continued() -> None:
    assert contents(HI, message("assistant", "a"), facts=OLD)[-1] == ("model", [{"text": "a"}])
    with pytest.raises(Untranslatable, match="does not continue"):
        contents(HI, message("assistant", "a"))


def test_results_are_in_the_turn_after_their_calls_and_in_their_order() -> None:
    calls = message("assistant", ToolCall("1", "f"), ToolCall("2", "g"))
    found = contents(
        HI,
        calls,
        message("user", "Wait."),
        message("tool", ToolResult("2", [Text("b")])),
        message("tool", ToolResult("1", [Text("a")])),
        HI,
    )
    assert found[2] == (
        "user",
        [
            {"functionResponse": {"id": "1", "name": "f", "response": {"output": "a"}}},
            {"functionResponse": {"id": "2", "name": "g", "response": {"output": "b"}}},
            {"text": "Wait."},
            {"text": "Hi"},
        ],
    )


def test_a_result_has_the_name_that_its_call_was_sent_with() -> None:
    found = contents(HI, message("assistant", ToolCall("1", "f.g")), message("tool", ToolResult("1", [])))
    call, result = found[1][1][0]["functionCall"], found[2][1][0]["functionResponse"]
    assert call["name"] == result["name"] != "f.g"


def test_a_result_of_no_call_is_sent_all_the_same() -> None:
    found = contents(HI, message("tool", ToolResult("1", [Text("a")])))
    assert found[0][1][0]["functionResponse"]["name"] == "tool"


def test_what_an_older_model_s_result_cannot_have_follows_in_the_turn() -> None:
    messages = HI, message("assistant", ToolCall("1", "f")), message("tool", ToolResult("1", [IMAGE]))
    (_, parts) = contents(*messages, facts=OLD)[-1]
    assert [next(iter(part)) for part in parts] == ["functionResponse", "text", "inlineData"]


def test_calls_of_others_get_a_value_for_their_signature_from_gemini_3_on() -> None:
    messages = HI, message("assistant", ToolCall("1", "f")), message("tool", ToolResult("1", []))
    assert contents(*messages)[1][1][0]["thoughtSignature"] == NO_SIGNATURE
    assert "thoughtSignature" not in contents(*messages, facts=OLD)[1][1][0]


def test_names_and_phases_of_messages_are_told() -> None:
    found = encode(asking(message("user", "a", name="Ann"), message("assistant", "b", phase="commentary"), HI))
    assert found.dropped == ("messages[].name", "messages[].phase")
