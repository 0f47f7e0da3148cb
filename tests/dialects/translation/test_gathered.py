"""Gathering a whole answer from its parts."""

from __future__ import annotations

from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.gathered import CallBlock, ReasoningBlock, TextBlock, gather
from proxy.dialects.translation.parts import (
    BlockEnd,
    CallDelta,
    CallStart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)


def test_deltas_of_one_kind_make_one_block() -> None:
    answer = gather([TextDelta("a"), TextDelta("b"), ReasoningDelta("c"), TextDelta("d"), BlockEnd(), TextDelta("e")])
    assert answer.blocks == [TextBlock("ab"), ReasoningBlock("c"), TextBlock("d"), TextBlock("e")]
    assert answer.text == "abde"


def test_a_signature_ends_the_reasoning_that_it_belongs_to() -> None:
    answer = gather([ReasoningDelta("a"), ReasoningBlob(Blob("s")), ReasoningDelta("b"), ReasoningBlob(Blob("t"))])
    assert answer.blocks == [ReasoningBlock("a", blob=Blob("s")), ReasoningBlock("b", blob=Blob("t"))]


def test_calls_that_interleave_keep_their_arguments_apart() -> None:
    parts = [CallStart(0, "x", "f"), CallStart(1, "y", "g"), CallDelta(0, "1"), CallDelta(1, "2"), CallDelta(0, "3")]
    assert gather(parts).blocks == [CallBlock(0, "x", "f", "13"), CallBlock(1, "y", "g", "2")]


def test_a_refusal_is_no_text() -> None:
    assert gather([TextDelta("a"), RefusalDelta("b")]).text == "a"
