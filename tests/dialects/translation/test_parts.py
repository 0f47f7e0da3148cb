"""The neutral parts: an answer of all of them."""

from __future__ import annotations

from typing import get_args

from proxy.dialects.translation.conversation import Blob, Citation
from proxy.dialects.translation.gathered import gather
from proxy.dialects.translation.parts import (
    AnswerFailed,
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    ChoicePart,
    CitationPart,
    Dropped,
    Finish,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage

ALL: list[AnswerPart] = [
    Start("id", "model"),
    ReasoningDelta("why"),
    ReasoningBlob(Blob("sig")),
    TextDelta("text"),
    CitationPart(Citation("https://example.com")),
    LogprobsPart([{"token": "text"}]),
    BlockEnd(),
    RefusalDelta("no"),
    CallStart(0, "call", "name"),
    CallDelta(0, "{}"),
    CallEnd(0),
    UsagePart(Usage(1)),
    Dropped("rare"),
    Finish("stop"),
]


def test_every_part_is_gathered_or_left_out() -> None:
    # An answer that failed never gets so far: CallParts raises an error. Choices are gathered each by itself.
    assert {type(part) for part in ALL} | {AnswerFailed, ChoicePart} == set(get_args(AnswerPart))
    answer = gather(ALL)
    assert (answer.start, answer.usage, answer.finish) == (Start("id", "model"), Usage(1), Finish("stop"))
    assert len(answer.blocks) == 4
