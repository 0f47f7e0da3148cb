"""The texts of one item of an answer: the parts of a message, or of reasoning.

Each comes as deltas, and whole when it is complete. What is complete is the truth, so that lost deltas are made up for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from proxy.dialects.openai.responses.provider.answer_annotations import read_annotation
from proxy.dialects.openai.responses.provider.event_schema import REFUSAL, SUMMARY, TEXT, THOUGHT
from proxy.dialects.translation.answer_members import list_at, objects_at, text_at
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    Dropped,
    LogprobsPart,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)

# By the type of a part: the event of its deltas, and the member with its text.
_KINDS: Final = {
    "output_text": (TEXT, "text"),
    "text": (TEXT, "text"),
    "refusal": (REFUSAL, "refusal"),
    "summary_text": (SUMMARY, "text"),
    "reasoning_text": (THOUGHT, "text"),
}
_PARAGRAPH: Final = "\n\n"  # between the parts of one summary


class Piece(Struct, gc=False):
    """``event``: that of its deltas. The numbers are of what was passed on: characters, and entries of lists."""

    event: str
    output_index: int
    index: int
    length: int = 0
    citations: int = 0
    logprobs: int = 0

    def delta(self, text: str) -> AnswerPart:
        """The part for more of the text."""
        self.length += len(text)
        if self.event == TEXT:
            return TextDelta(text)
        if self.event == REFUSAL:
            return RefusalDelta(text)
        return ReasoningDelta(text, summary=self.event == SUMMARY)


class Pieces:
    """The texts of one item. ``open``: the one that grows."""

    __slots__ = ("_known", "_output_index", "open")

    def __init__(self, output_index: int) -> None:
        self._output_index = output_index
        self._known: dict[tuple[str, int], Piece] = {}
        self.open: Piece | None = None

    def more(self, event: str, index: int, text: str, logprobs: list[Any]) -> Iterator[AnswerPart]:
        """The parts for a delta."""
        piece = self._piece(event, index)
        if text:
            yield from self._switch(piece)
            yield piece.delta(text)
        yield from self._more_logprobs(piece, logprobs)

    def cite(self, index: int, annotation: JsonObject) -> AnswerPart:
        """The part for an annotation."""
        self._piece(TEXT, index).citations += 1
        return read_annotation(annotation)

    def complete(self, index: int, part: JsonObject) -> Iterator[AnswerPart]:
        """What was not passed on of a part that is complete."""
        kind = text_at(part, "type")
        if kind not in _KINDS:
            yield Dropped(f"content[{kind}]")
            return
        event, member = _KINDS[kind]
        piece, text = self._piece(event, index), text_at(part, member)
        if len(text) > piece.length:
            yield from self._switch(piece)
            yield piece.delta(text[piece.length :])
        for annotation in objects_at(part, "annotations")[piece.citations :]:
            piece.citations += 1
            yield read_annotation(annotation)
        yield from self._more_logprobs(piece, list_at(part, "logprobs")[piece.logprobs :])

    def end(self) -> Iterator[AnswerPart]:
        """No more follows."""
        if self.open is not None:
            self.open = None
            yield BlockEnd()

    def _piece(self, event: str, index: int) -> Piece:
        piece = self._known.get((event, index))
        if piece is None:
            piece = self._known[event, index] = Piece(event, self._output_index, index)
        return piece

    def _switch(self, piece: Piece) -> Iterator[AnswerPart]:
        """Let another piece grow. The parts of a summary are one text, as they have one signature."""
        before, self.open = self.open, piece
        if before is None or before is piece:
            return
        if before.event == piece.event and piece.event in (SUMMARY, THOUGHT):
            yield ReasoningDelta(_PARAGRAPH, summary=piece.event == SUMMARY)
        else:
            yield BlockEnd()

    def _more_logprobs(self, piece: Piece, tokens: list[Any]) -> Iterator[AnswerPart]:
        if tokens:
            piece.logprobs += len(tokens)
            yield LogprobsPart(tokens, of_refusal=piece.event == REFUSAL)
