"""Reasoning that clients send back."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import Blob, Part, Reasoning
from proxy.errors import WrongMember
from tests.dialects.openai.chat.requests import assistant, decoded


def reasoning(*details: dict[str, Any], **members: Any) -> list[Part]:
    return assistant(reasoning_details=list(details), **members).content


def text(text: str, signature: str | None = None, **others: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "signature": signature} | others


def encrypted(data: str, **others: Any) -> dict[str, Any]:
    return {"type": "reasoning.encrypted", "data": data} | others


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_a_text_alone_is_reasoning(name: str) -> None:
    assert assistant(**{name: "a"}).content == [Reasoning("a")]


def test_empty_reasoning_is_none() -> None:
    assert assistant(reasoning_content="", reasoning=None, reasoning_details=[]).content == []


def test_a_signature_belongs_to_its_text() -> None:
    assert reasoning(text("a", "sl1.i.sAAAA"), text("b", "BBBB"), reasoning_content="ab") == [
        Reasoning("a", Blob("AAAA", "signature", "i")),
        Reasoning("b", Blob("BBBB")),
    ]


def test_pieces_of_a_stream_are_put_together() -> None:
    pieces = [text("a", index=0), text("b", index=0), text("", "sl1.i.sAAAA", index=0), text("c", index=1)]
    assert reasoning(*pieces) == [Reasoning("ab", Blob("AAAA", "signature", "i")), Reasoning("c")]


def test_a_text_beside_a_lone_signature_is_its_own() -> None:
    assert reasoning(text("", "sl1.i.sAAAA"), reasoning="a") == [Reasoning("a", Blob("AAAA", "signature", "i"))]


def test_a_text_beside_anything_else_comes_first() -> None:
    assert reasoning(encrypted("sl1.i.rAAAA"), reasoning="a") == [
        Reasoning("a"),
        Reasoning(blob=Blob("AAAA", "redacted", "i")),
    ]


def test_a_hidden_text_comes_out_of_its_blob() -> None:
    assert reasoning(text("", "sl1.i.tYQ.sAAAA")) == [Reasoning("a", Blob("AAAA", "signature", "i"))]


def test_encrypted_reasoning_belongs_to_the_summary_before_it() -> None:
    summary = {"type": "reasoning.summary", "summary": "a", "id": "rs_1"}
    assert reasoning(summary, encrypted("sl1.i.eAAAA", id="rs_1")) == [
        Reasoning("a", Blob("AAAA", "encrypted", "i"), summary=True, id="rs_1")
    ]
    assert reasoning(summary, encrypted("sl1.i.eAAAA", id="rs_2")) == [
        Reasoning("a", summary=True, id="rs_1"),
        Reasoning(blob=Blob("AAAA", "encrypted", "i"), id="rs_2"),
    ]


def test_redacted_reasoning_stands_for_itself() -> None:
    assert reasoning(text("a"), encrypted("AAAA", format="anthropic-claude-v1")) == [
        Reasoning("a"),
        Reasoning(blob=Blob("AAAA", "redacted")),
    ]
    assert reasoning(encrypted("AAAA")) == [Reasoning(blob=Blob("AAAA", "encrypted"))]
    assert reasoning(encrypted("")) == []


def test_a_thinking_part_may_have_a_signature() -> None:
    content = [{"type": "thinking", "thinking": "a", "signature": "AAAA"}]
    assert assistant(content=content).content == [Reasoning("a", Blob("AAAA"))]


def test_unknown_details_are_told() -> None:
    message = {"role": "assistant", "reasoning_details": [text("a", x=1), {"type": "reasoning.other"}]}
    assert decoded(messages=[message]).dropped == [
        "messages[].reasoning_details[].x",
        "messages[].reasoning_details[reasoning.other]",
    ]


def test_a_wrong_detail_is_named() -> None:
    with pytest.raises(WrongMember) as caught:
        reasoning(text("a"), {"type": "reasoning.text", "text": 1})
    assert caught.value.param == "messages[0].reasoning_details[1].text"
