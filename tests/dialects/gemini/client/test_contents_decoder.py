"""Turns of a conversation, as clients of the Gemini API send them."""

from __future__ import annotations

import pytest

from proxy.dialects.translation.conversation import (
    ContentSource,
    ConversationMessage,
    Image,
    Text,
    ToolCall,
    ToolResult,
)
from tests.support.gemini_requests import call, decoded, dropped, messages, model, parts, refused, result, user

PIXEL = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def test_the_system_instruction_comes_first_whatever_its_role() -> None:
    found = decoded(systemInstruction={"role": "user", "parts": [{"text": "a"}, {"text": ""}, {"text": "b"}]})
    assert found.messages[0] == ConversationMessage("system", [Text("a"), Text("b")])


def test_a_system_instruction_is_text_only() -> None:
    assert refused(systemInstruction={"parts": [PIXEL]}) == "systemInstruction.parts[0].inlineData"


def test_one_object_may_stand_in_place_of_a_list() -> None:
    body = {"contents": {"parts": {"text": "a"}}, "systemInstruction": {"parts": {"text": "b"}}}
    assert [message.content for message in decoded(**body).messages] == [[Text("b")], [Text("a")]]


@pytest.mark.parametrize("role", [None, "user", "function", "tool"])
def test_a_turn_without_a_role_is_the_users(role: str | None) -> None:
    assert messages({"role": role, "parts": [{"text": "a"}]}) == [ConversationMessage("user", [Text("a")])]


def test_another_role_is_refused() -> None:
    assert refused({"role": "system", "parts": []}) == "contents[0].role"


def test_results_are_a_message_of_their_own_before_the_users_words() -> None:
    found = messages(model(call("f", "1")), user("Look.", result("f", "1", output="x"), PIXEL))
    assert found[1:] == [
        ConversationMessage("tool", [ToolResult("1", [Text("x")])]),
        ConversationMessage("user", [Text("Look."), Image(ContentSource(data="AAAA", media_type="image/png"))]),
    ]


def test_the_chunks_of_a_streamed_answer_are_one_message() -> None:
    found = messages(user("Hi"), model("One "), model("two"), model(call("f", "1")), model(""))
    assert found[1] == ConversationMessage("assistant", [Text("One two"), ToolCall("1", "f", "{}")])


def test_texts_of_the_user_stay_apart() -> None:
    assert messages(user("a", "", "b")) == [ConversationMessage("user", [Text("a"), Text("b")])]


def test_an_empty_turn_is_left_out() -> None:
    assert messages(user("Hi"), model(""), {"role": "model"}, user({})) == [ConversationMessage("user", [Text("Hi")])]


@pytest.mark.parametrize("kind", ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"])
def test_what_tools_at_google_did_is_told(kind: str) -> None:
    found = decoded(model("a", {kind: {"id": "x"}}, "b"))
    assert found.messages[0].content == [Text("ab")]
    assert found.dropped == [f"contents[].parts[{kind}]"]
    assert refused(user({kind: {}})) == f"contents[0].parts[0].{kind}"


def test_a_part_of_another_kind_is_refused() -> None:
    assert refused(user("a", {"hologram": {}})) == "contents[0].parts[1].hologram"
    assert refused(user({"videoMetadata": {}})) == "contents[0].parts[0].videoMetadata"


def test_members_beside_what_a_part_is_are_told() -> None:
    assert dropped(user(PIXEL | {"videoMetadata": {"fps": 1}, "media_resolution": {}})) == [
        "contents[].parts[].videoMetadata",
        "contents[].parts[].media_resolution",
    ]


def test_calls_are_the_models_and_results_the_users() -> None:
    assert refused(user(call("f"))) == "contents[0].parts[0].functionCall"
    assert refused(model(result("f"))) == "contents[0].parts[0].functionResponse"


def test_a_signature_of_the_user_is_told() -> None:
    assert dropped(user({"text": "a", "thoughtSignature": "x", "thought": True})) == [
        "contents[].parts[].thought",
        "contents[].parts[].thoughtSignature",
    ]


def test_an_image_of_the_model_stays_in_its_turn() -> None:
    assert parts("a", PIXEL, "b") == [
        Text("a"),
        Image(ContentSource(data="AAAA", media_type="image/png")),
        Text("b"),
    ]
