"""Gathering a whole answer from its parts."""

from __future__ import annotations

from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.gathered import (
    CallBlock,
    GatheredAnswer,
    ReasoningBlock,
    TextBlock,
    gather,
    gather_choices,
    usage_of,
)
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallStart,
    ChoicePart,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage


def test_deltas_of_one_kind_make_one_block() -> None:
    answer = gather([TextDelta("a"), TextDelta("b"), ReasoningDelta("c"), TextDelta("d"), BlockEnd(), TextDelta("e")])
    assert answer.blocks == [TextBlock("ab"), ReasoningBlock("c"), TextBlock("d"), TextBlock("e")]
    assert answer.text == "abde"


def test_a_signature_ends_the_reasoning_that_it_belongs_to() -> None:
    answer = gather([ReasoningDelta("a"), ReasoningBlob(Blob("s")), ReasoningDelta("b"), ReasoningBlob(Blob("t"))])
    assert answer.blocks == [ReasoningBlock("a", blob=Blob("s")), ReasoningBlock("b", blob=Blob("t"))]


def test_log_probabilities_of_an_answer_that_is_only_a_call_are_kept() -> None:
    answer = gather([CallStart(0, "x", "f"), CallDelta(0, "{}"), LogprobsPart(["a"])])
    assert (answer.blocks, answer.logprobs) == ([CallBlock(0, "x", "f", "{}")], ["a"])


def test_calls_that_interleave_keep_their_arguments_apart() -> None:
    parts = [CallStart(0, "x", "f"), CallStart(1, "y", "g"), CallDelta(0, "1"), CallDelta(1, "2"), CallDelta(0, "3")]
    assert gather(parts).blocks == [CallBlock(0, "x", "f", "13"), CallBlock(1, "y", "g", "2")]


def test_a_refusal_is_no_text() -> None:
    assert gather([TextDelta("a"), RefusalDelta("b")]).text == "a"


def test_choices_are_gathered_each_by_itself() -> None:
    parts: list[AnswerPart] = [
        *(ChoicePart(1), Start("b"), TextDelta("1")),
        *(ChoicePart(0), Start("a"), TextDelta("2")),
        *(ChoicePart(1), TextDelta("3"), UsagePart(Usage(7))),
    ]
    found = gather_choices(parts)
    assert [(index, answer.start.id, answer.text) for index, answer in found.items()] == [(0, "a", "2"), (1, "b", "13")]
    assert usage_of(found.values()) == Usage(7)


def test_without_any_choice_there_is_one_empty_answer() -> None:
    assert gather_choices([]) == {0: GatheredAnswer(Start())}
    assert usage_of(gather_choices([]).values()) is None
