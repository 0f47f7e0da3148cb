from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.assistant_encoder import AssistantEncoder, call_id
from proxy.dialects.translation.conversation import (
    Blob,
    CacheMark,
    ContentSource,
    Image,
    Part,
    Reasoning,
    Refused,
    Text,
    ToolCall,
)
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import FACTS, ISSUER, OPENAI, encoding

GOOGLE = ModelFacts(thought_signatures=True)


def encoded(*parts: Part | str, facts: ModelFacts = FACTS) -> tuple[Any, tuple[str, ...]]:
    """The message, and what is told."""
    context = encoding(facts)
    content = [Text(part) if isinstance(part, str) else part for part in parts]
    return AssistantEncoder(context).message(content), context.losses.names


def test_texts_that_follow_each_other_are_one() -> None:
    assert encoded("Rome is ", "big", ".")[0] == {"role": "assistant", "content": "Rome is big."}


def test_texts_before_and_after_something_else_are_two() -> None:
    found, _ = encoded("Wait.", Reasoning("Hm."), "Done.", facts=ModelFacts(returned_reasoning="calls"))
    assert found["content"] == "Wait.\n\nDone."


def test_a_call_has_an_object_as_arguments() -> None:
    call = ToolCall("a", "f", '{"b":1}')
    found, _ = encoded("Wait.", call, ToolCall("b", "g"))
    assert found == {
        "role": "assistant",
        "content": "Wait.",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"b":1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    assert encoded(call)[0]["content"] is None


def test_a_custom_call_has_its_text_as_an_argument() -> None:
    found, _ = encoded(ToolCall("a", "patch", "*** Begin", "custom"))
    assert found["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input":"*** Begin"}'}


def test_a_namespace_is_part_of_the_name() -> None:
    found, _ = encoded(ToolCall("a", "f", namespace="files"))
    assert found["tool_calls"][0]["function"]["name"] == "files__f"


def test_an_id_of_any_shape_is_made_safe_but_those_of_kimi_are_kept() -> None:
    assert call_id("call_1") == "call_1"
    assert call_id("functions.get_weather:12") == "functions.get_weather:12"
    assert call_id("call|1").startswith("call_")
    assert len(call_id("x" * 100)) <= 64


def test_a_refusal_is_a_text_but_at_openai() -> None:
    assert encoded(Refused("No."))[0] == {"role": "assistant", "content": "No."}
    found, _ = encoded(Refused("No."), facts=OPENAI)
    assert found == {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}


def test_a_cache_mark_divides_the_text() -> None:
    found, _ = encoded("a", Text("b", CacheMark()), "c", facts=ModelFacts(cache_marks="cache_control"))
    assert found["content"] == [
        {"type": "text", "text": "ab", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "c"},
    ]  # fmt: skip


@pytest.mark.parametrize("parts", [[], [""], [Refused("")]])
def test_an_empty_message_is_left_out(parts: list[Part | str]) -> None:
    assert encoded(*parts) == (None, ())


def test_a_message_with_nothing_but_reasoning_is_left_out_and_told() -> None:
    assert encoded(Reasoning("Hm."), facts=ModelFacts(returned_reasoning="yes")) == (
        None,
        ("messages[].content[].thinking",),
    )


def test_an_image_of_the_assistant_is_refused() -> None:
    with pytest.raises(Untranslatable, match=r"messages\[\].content"):
        encoded(Image(ContentSource(url="https://a.example")))


# Signatures of calls


def signatures(*calls: ToolCall, facts: ModelFacts = FACTS) -> tuple[list[Any], tuple[str, ...]]:
    found, dropped = encoded(*calls, facts=facts)
    return [
        call.get("extra_content", {}).get("google", {}).get("thought_signature") for call in found["tool_calls"]
    ], dropped


def test_a_signature_goes_back_to_its_issuer() -> None:
    call = ToolCall("a", "f", blob=Blob("c2ln", issuer=ISSUER))
    assert signatures(call, facts=GOOGLE) == (["c2ln"], ())
    assert signatures(call) == (["c2ln"], ())


@pytest.mark.parametrize("issuer", ["", "another"])
def test_a_signature_of_another_is_told(issuer: str) -> None:
    call = ToolCall("a", "f", blob=Blob("c2ln", issuer=issuer))
    assert signatures(call) == ([None], ("messages[].content[].signature",))


def test_google_gets_a_value_in_place_of_a_signature() -> None:
    calls = ToolCall("a", "f"), ToolCall("b", "f")
    assert signatures(*calls, facts=GOOGLE) == (["skip_thought_signature_validator", None], ())
    signed = ToolCall("b", "f", blob=Blob("c2ln", issuer=ISSUER))
    assert signatures(signed, ToolCall("c", "f"), facts=GOOGLE)[0] == ["c2ln", None]
