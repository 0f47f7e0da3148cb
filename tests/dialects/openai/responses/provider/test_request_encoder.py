from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from proxy.dialects.translation.conversation import Conversation, JsonFormat
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from proxy.wire import document
from tests.support.any_conversations import conversations
from tests.support.chat_encoding import Encoded, asking, message
from tests.support.responses_encoding import OPENAI, OTHER, encode
from tests.translation.types_check import misfits


def test_nothing_is_stored_and_reasoning_comes_back_encrypted() -> None:
    found = encode(asking())
    assert found.body == {
        "model": "up-model",
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    assert found.dropped == ()


def test_a_model_that_does_not_reason_is_not_asked_for_encrypted_reasoning() -> None:
    assert "include" not in encode(asking(), ModelFacts(openai=True, efforts=())).body


def test_a_stream_says_so() -> None:
    assert encode(asking(stream=True)).body["stream"] is True


@pytest.mark.parametrize(("source", "member"), [("anthropic.messages", "messages"), ("openai.chat", "messages")])
def test_a_conversation_without_content_is_refused(source: str, member: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        encode(asking(message("user", ""), source=source))
    assert refused.value.param == member


def test_a_conversation_of_system_text_alone_is_sent_as_a_message() -> None:
    body = encode(asking(message("system", "Say hi."))).body
    assert "instructions" not in body
    assert body["input"] == [{"type": "message", "role": "developer", "content": "Say hi."}]


def test_two_answers_are_refused() -> None:
    with pytest.raises(Untranslatable) as refused:
        encode(asking(choices=2))
    assert refused.value.param == "n"


def test_a_final_message_of_the_assistant_is_refused_unless_the_model_continues_it() -> None:
    prefilled = asking(message("user", "Hi"), message("assistant", "Well, "))
    with pytest.raises(Untranslatable, match="does not continue"):
        encode(prefilled)
    assert encode(prefilled, ModelFacts(prefill=True)).body["input"][-1]["content"] == "Well, "


def test_system_text_is_in_the_input_where_any_json_is_asked_for() -> None:
    """OpenAI looks for the word JSON there alone."""
    body = encode(asking(message("system", "Answer in JSON."), message("user", "Hi"), output_format=JsonFormat())).body
    assert [each["role"] for each in body["input"]] == ["developer", "user"]


def test_nothing_is_lost_where_nothing_may_be() -> None:
    with pytest.raises(Untranslatable, match="stop"):
        encode(asking(stop=["."], source="openai.chat"), strict=True)


FACTS = st.builds(
    ModelFacts,
    output_tokens=st.sampled_from([0, 1000]),
    efforts=st.sampled_from([None, (), ("none", "high"), ("low",)]),
    sampling=st.booleans(),
    late_system=st.booleans(),
    openai=st.booleans(),
    cache_marks=st.sampled_from(["none", "breakpoint"]),
)


def sent(conversation: Conversation, facts: ModelFacts) -> Encoded | None:
    """``None``: the conversation has what the API lacks."""
    try:
        return encode(conversation, facts)
    except Untranslatable:
        return None


@given(conversations(), FACTS)
def test_every_request_fits_the_types_of_the_sdk(conversation: Conversation, facts: ModelFacts) -> None:
    found = sent(conversation, facts)
    assume(found is not None)
    assert found is not None
    body: Any = document.decode(document.encode(found.body))
    for item in body["input"]:  # ids that only the types require, and the API does not
        if item["type"] == "reasoning" or (item.get("role") == "assistant" and isinstance(item["content"], list)):
            item.setdefault("id", "id_1")
        if item.get("role") == "assistant" and isinstance(item["content"], list):
            item.setdefault("status", "completed")
            for part in item["content"]:
                if part["type"] == "output_text":
                    part.setdefault("annotations", [])
    kind = ResponseCreateParamsStreaming if "stream" in body else ResponseCreateParamsNonStreaming
    assert list(misfits(body, kind)) == []


@given(conversations(), st.sampled_from([OPENAI, OTHER]))
def test_a_conversation_is_encoded_without_a_change_to_it(conversation: Conversation, facts: ModelFacts) -> None:
    before = copy.deepcopy(conversation)
    first = sent(conversation, facts)
    assert conversation == before
    assert sent(conversation, facts) == first
