"""The word JSON in prompts."""

from __future__ import annotations

import pytest

from proxy.dialects.openai.json_word import with_json_word
from proxy.dialects.translation.conversation import (
    Conversation,
    ConversationMessage,
    JsonFormat,
    Text,
    ToolResult,
)

USER = ConversationMessage("user", [Text("Hi")])
SYSTEM = ConversationMessage("system", [Text("Be brief.")])


def asking(*messages: ConversationMessage, form: JsonFormat | None) -> Conversation:
    return Conversation("gemini.generate", list(messages), output_format=form)


@pytest.mark.parametrize("before", [[], [SYSTEM]])
def test_a_prompt_without_the_word_gets_it_behind_the_system_texts(before: list[ConversationMessage]) -> None:
    conversation = asking(*before, USER, form=JsonFormat())
    found = with_json_word(conversation).messages
    assert found == [*before, ConversationMessage("system", [Text("Answer in JSON.")]), USER]
    assert conversation.messages == [*before, USER]


@pytest.mark.parametrize(
    "said",
    [
        ConversationMessage("user", [Text("As Json, please")]),
        ConversationMessage("tool", [ToolResult("c1", [Text("JSON")])]),
    ],
)
def test_a_prompt_with_the_word_is_left_as_it_is(said: ConversationMessage) -> None:
    conversation = asking(said, form=JsonFormat())
    assert with_json_word(conversation) is conversation


@pytest.mark.parametrize("form", [None, JsonFormat({"type": "object"})])
def test_other_forms_need_no_word(form: JsonFormat | None) -> None:
    conversation = asking(USER, form=form)
    assert with_json_word(conversation) is conversation
