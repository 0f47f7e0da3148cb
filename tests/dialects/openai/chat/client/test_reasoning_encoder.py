"""Reasoning of answers, and its way through a client back into a conversation."""

from __future__ import annotations

from hypothesis import given

from proxy.dialects.translation.conversation import Blob, Reasoning, ToolCall
from proxy.dialects.translation.gathered import CallBlock, ReasoningBlock, gather
from proxy.dialects.translation.parts import AnswerPart, BlockEnd, ReasoningBlob, ReasoningDelta, Start, TextDelta
from tests.dialects.openai.chat.answers import answers, both, context, message, plain, streamed
from tests.dialects.openai.chat.requests import assistant

SIGNED = ReasoningBlob(Blob("AAAA"))


def test_a_text_has_its_signature_beside_it() -> None:
    assert message(ReasoningDelta("a"), ReasoningDelta("b"), SIGNED) == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "ab",
        "reasoning_details": [{"type": "reasoning.text", "text": "ab", "signature": "sl1.here.sAAAA", "index": 0}],
    }


def test_several_texts_are_apart_in_the_details() -> None:
    found = message(ReasoningDelta("a"), SIGNED, BlockEnd(), ReasoningDelta("b"), BlockEnd(), ReasoningDelta("c"))
    assert found["reasoning_content"] == "abc"
    assert [(each["text"], each.get("signature")) for each in found["reasoning_details"]] == [
        ("a", "sl1.here.sAAAA"),
        ("b", None),
        ("c", None),
    ]


def test_a_signature_without_a_text_has_an_empty_one() -> None:
    assert message(SIGNED)["reasoning_details"] == [
        {"type": "reasoning.text", "text": "", "signature": "sl1.here.sAAAA", "index": 0}
    ]


def test_a_blob_keeps_its_own_issuer() -> None:
    found = message(ReasoningBlob(Blob("AAAA", "redacted", "there")))
    assert found["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "sl1.there.rAAAA", "index": 0}]


def test_a_summary_has_its_blob_in_the_next_entry() -> None:
    found = message(ReasoningDelta("a", summary=True), ReasoningBlob(Blob("AAAA", "encrypted")))
    assert found["reasoning_content"] == "a"
    assert found["reasoning_details"] == [
        {"type": "reasoning.summary", "summary": "a", "index": 0},
        {"type": "reasoning.encrypted", "data": "sl1.here.eAAAA", "index": 1},
    ]


def test_hidden_reasoning_goes_into_its_blob() -> None:
    hidden = context(hide=True)
    parts: list[AnswerPart] = [
        ReasoningDelta("a"),
        ReasoningDelta("b"),
        SIGNED,
        BlockEnd(),
        ReasoningDelta("c"),
        BlockEnd(),
    ]
    found = message(*parts, ReasoningBlob(Blob("BBBB", "encrypted")), of=hidden)
    assert "reasoning_content" not in found
    assert [each.get("signature") or each["data"] for each in found["reasoning_details"]] == [
        "sl1.here.tYWI.sAAAA",
        "sl1.here.eBBBB",
    ]
    assert assistant(**found).content == [
        Reasoning("ab", Blob("AAAA", "signature", "here")),
        Reasoning("", Blob("BBBB", "encrypted", "here")),
    ]
    assert b"reasoning" not in streamed([Start(), ReasoningDelta("a"), TextDelta("b")], hidden)


@given(answers())
def test_reasoning_survives_the_client(parts: list[AnswerPart]) -> None:
    """What the SDK read, sent back as it is: streamed or whole, the same blobs with the same texts."""
    made = gather(parts).blocks
    expected = [
        (each.text, each.blob and each.blob.data)
        for each in made
        if isinstance(each, ReasoningBlock)
        if each.text or each.blob
    ]
    signatures = [each.blob and each.blob.data for each in made if isinstance(each, CallBlock)]
    for completion in both(*parts):
        content = assistant(**plain(completion)["message"]).content
        found = [each for each in content if isinstance(each, Reasoning)]
        assert [(each.text, each.blob and each.blob.data) for each in found] == expected
        assert [each.blob and each.blob.data for each in content if isinstance(each, ToolCall)] == signatures
        assert {each.blob.issuer for each in found if each.blob} <= {"here"}
