"""Whole answers of the Messages API, read as the anthropic package reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.anthropic.client.answer_encoder import encode_message
from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob, Citation, Conversation, Reasoning, ThinkingSettings
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    CallStart,
    CitationPart,
    Finish,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage, UsageDetails
from tests.support.anthropic_sdk import read_answer


def encoded(*parts: AnswerPart, thinking: ThinkingSettings | None = None, model: str = "") -> bytes:
    request = Conversation("anthropic.messages", [], thinking=thinking or ThinkingSettings())
    return encode_message(AnswerContext(request, "0af1", 1_700_000_000, model, 7, "iss"), parts)


def content(*parts: AnswerPart, thinking: ThinkingSettings | None = None) -> list[dict[str, Any]]:
    return [block.to_dict() for block in read_answer(encoded(*parts, thinking=thinking)).content]


def test_an_answer_is_a_message() -> None:
    parts = [Start("chatcmpl-1", "model-x"), TextDelta("Hi"), UsagePart(Usage(5, 2, 3)), Finish("stop")]
    assert json.loads(encoded(*parts)) == {
        "id": "msg_0af1",
        "type": "message",
        "role": "assistant",
        "model": "model-x",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 2,
            "output_tokens": 3,
        },
    }
    assert json.loads(encoded(*parts, model="alias"))["model"] == "alias"


def test_the_input_is_estimated_where_the_provider_reports_no_usage() -> None:
    usage = read_answer(encoded(TextDelta("Hi"))).usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 0)


def test_tokens_written_to_a_cache_are_told_by_their_time() -> None:
    details = UsageDetails(cache_write=3, cache_write_1h=4)
    usage = read_answer(encoded(UsagePart(Usage(5, 0, 1, None, details)))).usage
    assert (usage.input_tokens, usage.cache_creation_input_tokens) == (5, 7)
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_1h_input_tokens == 4


def test_thinking_calls_and_text_keep_their_order() -> None:
    parts: list[AnswerPart] = [
        *(ReasoningDelta("a"), ReasoningBlob(Blob("x")), TextDelta("b"), CallStart(0, "call_1", "f", blob=Blob("y"))),
        *(CallDelta(0, '{"x":1}'), TextDelta("c")),
    ]
    found = content(*parts)
    assert [block["type"] for block in found] == ["thinking", "text", "thinking", "tool_use", "text"]
    assert blobs.unpack(found[0]["signature"]) == Reasoning(blob=Blob("x", issuer="iss"))
    assert blobs.unpack_call(found[2]["signature"]) == Blob("y", issuer="iss")
    assert found[3] == {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}}


def test_thoughts_are_hidden_or_left_out_as_the_client_said() -> None:
    parts = [ReasoningDelta("a"), ReasoningBlob(Blob("x", "redacted")), TextDelta("b")]
    thinking, redacted, text = content(*parts, thinking=ThinkingSettings("on", shown="omitted"))
    assert (thinking["thinking"], blobs.unpack(thinking["signature"])) == ("", Reasoning("a"))
    assert blobs.unpack(redacted["data"]) == Reasoning(blob=Blob("x", "redacted", "iss"))
    assert content(*parts, thinking=ThinkingSettings("off")) == [text]


@pytest.mark.parametrize("part", [TextDelta(""), ReasoningDelta(""), RefusalDelta("")])
def test_nothing_makes_no_block(part: AnswerPart) -> None:
    assert content(part) == []


def test_citations_belong_to_their_text_or_become_one() -> None:
    citation = CitationPart(Citation("https://a.example", "A"))
    assert content(citation) == [{"type": "text", "text": "[A](https://a.example)"}]
    assert content(TextDelta("a"), citation)[0]["citations"][0]["url"] == "https://a.example"


def test_a_refusal_has_the_provider_s_words_in_its_details() -> None:
    message = read_answer(encoded(RefusalDelta("No."), Finish("content_filter", detail="Policy.")))
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.explanation == "Policy."
    assert message.content[0].to_dict() == {"type": "text", "text": "No."}


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert content(TextDelta("\ud83d"))[0]["text"] == "\ud83d"
