from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.answer_text import AnswerText
from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.parts import AnswerPart, BlockEnd, Dropped, ReasoningBlob, ReasoningDelta, TextDelta


def read(*deltas: dict[str, Any]) -> list[AnswerPart]:
    text = AnswerText()
    return [part for delta in deltas for part in text.read(delta)] + list(text.end())


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_has_one_of_two_names(name: str) -> None:
    found = read({name: "H", "content": ""}, {name: "m", "content": None}, {"content": "a"})
    assert found == [ReasoningDelta("H"), ReasoningDelta("m"), TextDelta("a")]


def test_reasoning_under_both_names_is_read_once() -> None:
    assert read({"reasoning": "Hm", "reasoning_content": "Hm"}) == [ReasoningDelta("Hm")]


def test_reasoning_stands_before_text_of_the_same_delta() -> None:
    assert read({"content": "a", "reasoning": "Hm"}) == [ReasoningDelta("Hm"), TextDelta("a")]


def test_details_do_not_double_the_reasoning() -> None:
    detail = {"type": "reasoning.text", "text": "Hm", "format": "anthropic-claude-v1", "index": 0}
    signed = {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    found = read({"reasoning": "Hm", "reasoning_details": [detail]}, {"reasoning": None, "reasoning_details": [signed]})
    blob = Blob('{"type":"reasoning.text","signature":"sig","format":"anthropic-claude-v1","index":0}')
    assert found == [ReasoningDelta("Hm"), ReasoningBlob(blob)]


def test_an_encrypted_detail_is_a_blob_beside_the_text() -> None:
    detail = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "format": "openai-responses-v1", "index": 0}
    blob = Blob(json.dumps(detail, separators=(",", ":")), "encrypted")
    assert read({"reasoning": "Hm", "reasoning_details": [detail]}) == [ReasoningDelta("Hm"), ReasoningBlob(blob)]


def test_details_of_another_index_are_another_block() -> None:
    details = [{"type": "reasoning.summary", "summary": text, "index": index} for index, text in enumerate("ab")]
    assert read({"reasoning_details": details}) == [ReasoningDelta("a", True), BlockEnd(), ReasoningDelta("b", True)]


def test_a_tool_that_a_server_ran_while_reasoning_is_dropped() -> None:
    detail = {"type": "reasoning.server_tool_call", "name": "web_search"}
    assert read({"reasoning_details": [detail]}) == [Dropped("reasoning_details[reasoning.server_tool_call]")]


def test_a_content_of_mistral_is_a_list() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True}
    found = read(
        {"role": "assistant", "content": ""},
        {"content": [thinking]},
        {"content": [thinking, {"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}]},
        {"content": "b"},
    )
    thoughts = [ReasoningDelta("Hm"), ReasoningDelta("Hm")]
    assert found == [*thoughts, TextDelta("a"), Dropped("content[reference]"), TextDelta("b")]


def test_an_object_without_a_type_is_text() -> None:
    assert read({"content": [{"text": "a"}, {}, 1, "b"]}) == [TextDelta("a"), TextDelta("b")]


def test_a_signature_of_mistral_is_a_blob() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "signature": "sig"}
    assert read({"content": [thinking]}) == [
        ReasoningDelta("Hm"), ReasoningBlob(Blob('{"type":"thinking","signature":"sig"}')),
    ]  # fmt: skip


def test_reasoning_between_tags_is_reasoning() -> None:
    pieces = ["<thi", "nk>\nHm", "</think>", "\n\na", "<think>b"]
    found = read(*({"content": piece} for piece in pieces))
    assert found == [ReasoningDelta("Hm"), TextDelta("a"), TextDelta("<think>b")]


def test_tags_are_text_where_the_server_tells_reasoning_apart() -> None:
    assert read({"reasoning": "Hm"}, {"content": "<think>a"}) == [ReasoningDelta("Hm"), TextDelta("<think>a")]


def test_text_is_plain_when_it_cannot_begin_with_a_tag() -> None:
    text = AnswerText()
    assert list(text.read({"content": "<"})) == []
    assert not text.plain
    assert list(text.read({"content": "a"})) == [TextDelta("<a")]
    assert text.plain


def test_reasoning_is_plain_after_its_first_piece() -> None:
    text = AnswerText()
    assert not text.reasoned
    assert list(text.read({"reasoning_content": "Hm"})) == [ReasoningDelta("Hm")]
    assert text.reasoned
