from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.answer_decoder import ChatAnswerDecoder
from proxy.dialects.openai.chat.provider.assistant_encoder import AssistantEncoder
from proxy.dialects.translation.conversation import Blob, Part, Reasoning, Text, ToolCall
from proxy.dialects.translation.gathered import ReasoningBlock, TextBlock, gather
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.wire import document
from tests.support.chat_encoding import ISSUER, encoding

NO = ModelFacts()
CALLS = ModelFacts(returned_reasoning="calls")
YES = ModelFacts(returned_reasoning="yes")
THINKING = "messages[].content[].thinking"
CALL = ToolCall("a", "f")


def encoded(*parts: Part, facts: ModelFacts = NO) -> tuple[Any, tuple[str, ...]]:
    """Members with reasoning, and what is told."""
    context = encoding(facts)
    message = AssistantEncoder(context).message(list(parts))
    assert message is not None
    return {name: value for name, value in message.items() if name.startswith("reasoning")}, context.losses.names


HM = Reasoning("Hm.")
YES_TEXT = Text("Yes.")


@pytest.mark.parametrize(
    ("facts", "parts", "members", "dropped"),
    [
        (NO, [HM, YES_TEXT], {}, (THINKING,)),
        (NO, [HM, CALL], {}, (THINKING,)),
        (NO, [CALL], {}, ()),
        (CALLS, [HM, CALL], {"reasoning_content": "Hm."}, ()),
        (CALLS, [CALL], {"reasoning_content": ""}, ()),
        (CALLS, [HM, YES_TEXT], {}, ()),  # which the provider ignores
        (YES, [HM, YES_TEXT], {"reasoning_content": "Hm."}, ()),
        (YES, [HM, Reasoning("So."), CALL], {"reasoning_content": "Hm.\n\nSo."}, ()),
        (YES, [CALL], {}, ()),
        (ModelFacts(returned_reasoning="yes", reasoning_name="reasoning"), [HM, CALL], {"reasoning": "Hm."}, ()),
    ],
)
def test_the_text_goes_back_where_the_provider_wants_it(
    facts: ModelFacts, parts: list[Part], members: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    assert encoded(*parts, facts=facts) == (members, dropped)


@pytest.mark.parametrize("issuer", ["", "another"])
def test_a_blob_of_another_provider_is_told(issuer: str) -> None:
    blob = Blob('{"type":"reasoning.text","signature":"s"}', issuer=issuer)
    assert encoded(Reasoning("Hm.", blob), YES_TEXT, facts=YES) == (
        {"reasoning_content": "Hm."}, ("messages[].content[].signature",),
    )  # fmt: skip


def test_redacted_reasoning_of_another_provider_is_told() -> None:
    assert encoded(Reasoning("", Blob("x", "redacted", "another")), YES_TEXT) == ({}, ("messages[].content[].data",))


@pytest.mark.parametrize("data", ["c2ln", "{", "{}", '{"type":1}', '{"type":"\ud83d'])
def test_a_blob_of_another_dialect_is_told(data: str) -> None:
    assert encoded(Reasoning("", Blob(data, issuer=ISSUER)), YES_TEXT) == ({}, ("messages[].content[].signature",))


def sent_back(details: list[Any], *after: Part, **message: Any) -> Any:
    """What the provider gets back of details in its answer."""
    answer = {"choices": [{"message": {"content": "Yes.", "reasoning_details": details, **message}}]}
    parts: list[Part] = []
    for block in gather(ChatAnswerDecoder().whole(document.encode(answer))).blocks:
        if isinstance(block, ReasoningBlock):
            blob = block.blob and Blob(block.blob.data, block.blob.kind, ISSUER)
            parts.append(Reasoning(block.text, blob, block.summary))
        elif isinstance(block, TextBlock):
            parts.append(Text(block.text))
    found, dropped = encoded(*parts, *after, facts=YES)
    assert dropped == ()
    return found["reasoning_details"]


SIGNED = {
    "type": "reasoning.text",
    "text": "Hm.",
    "signature": "s",
    "id": "r",
    "format": "anthropic-claude-v1",
    "index": 0,
}
SEALED = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
SUMMARY = {"type": "reasoning.summary", "summary": "Hm.", "format": "openai-responses-v1", "index": 0}
PLAIN = {"type": "reasoning.text", "text": "Well."}


@pytest.mark.parametrize(
    "details",
    [
        [SIGNED],
        [SEALED],
        [SUMMARY, SEALED],
        [SIGNED, SIGNED | {"text": "So.", "index": 1}],
        [SIGNED | {"text": ""}],
        [PLAIN, SIGNED | {"index": 1}],
        [SIGNED, PLAIN],
        [PLAIN, PLAIN, SIGNED],
    ],
)
def test_details_come_back_unchanged(details: list[Any]) -> None:
    assert sent_back(details) == details


def test_a_summary_of_openai_stays_one_whatever_the_client_says() -> None:
    blob = Blob(document.encode(SEALED).decode(), "encrypted", ISSUER)
    assert encoded(Reasoning("Hm.", blob), CALL)[0] == {"reasoning_details": [SUMMARY, SEALED]}


def test_details_need_no_text_beside_them() -> None:
    assert encoded(Reasoning("Hm.", Blob('{"type":"reasoning.text","signature":"s"}', issuer=ISSUER)), CALL, facts=CALLS) == (
        {"reasoning_details": [{"type": "reasoning.text", "signature": "s", "text": "Hm."}]}, (),
    )  # fmt: skip


def test_thinking_of_mistral_is_content() -> None:
    context = encoding(NO)
    reasoning = Reasoning("Hm.", Blob('{"type":"thinking","signature":"s"}', issuer=ISSUER))
    assert AssistantEncoder(context).message([reasoning, YES_TEXT]) == {
        "role": "assistant",
        "content": [
            {"type": "thinking", "signature": "s", "thinking": [{"type": "text", "text": "Hm."}]},
            {"type": "text", "text": "Yes."},
        ],
    }
    assert context.losses.names == ()
