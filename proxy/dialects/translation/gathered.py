"""A whole answer, gathered from its parts: for plain answers, and for events that repeat the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from msgspec import Struct

from proxy.dialects.translation.conversation import Blob, Citation, ToolKind
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    ChoicePart,
    CitationPart,
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


class TextBlock(Struct):
    text: str = ""
    citations: list[Citation] = []
    logprobs: list[Any] = []
    refusal: bool = False


class ReasoningBlock(Struct):
    text: str = ""
    summary: bool = False
    blob: Blob | None = None


class CallBlock(Struct):
    index: int
    id: str
    name: str
    arguments: str = ""
    kind: ToolKind = "function"
    namespace: str = ""
    blob: Blob | None = None


GatheredBlock: TypeAlias = TextBlock | ReasoningBlock | CallBlock


class GatheredAnswer(Struct):
    """``blocks`` in the order in which they began. ``finish`` is ``None`` for an answer that was cut.

    ``logprobs``: those of no text, as of an answer that is only a call.
    """

    start: Start
    blocks: list[GatheredBlock] = []
    usage: Usage | None = None
    finish: Finish | None = None
    logprobs: list[Any] = []

    @property
    def text(self) -> str:
        """All text but refusals."""
        return "".join(each.text for each in self.blocks if isinstance(each, TextBlock) and not each.refusal)


class Gathering:
    """Gathers the parts of one answer."""

    __slots__ = ("_calls", "_open", "_pieces", "answer")

    def __init__(self) -> None:
        self.answer = GatheredAnswer(Start())
        self._open: TextBlock | ReasoningBlock | None = None
        self._calls: dict[int, tuple[CallBlock, list[str]]] = {}
        self._pieces: list[str] = []  # of the open block; joined once, as adding to a text copies it

    def add(self, part: AnswerPart) -> None:
        match part:
            case TextDelta(text):
                self._text(text, refusal=False)
            case RefusalDelta(text):
                self._text(text, refusal=True)
            case ReasoningDelta(text, summary):
                block = self._open
                if not isinstance(block, ReasoningBlock) or block.summary != summary or block.blob is not None:
                    self._begin(ReasoningBlock(summary=summary))
                self._pieces.append(text)
            case ReasoningBlob(blob):
                block = self._open
                if not isinstance(block, ReasoningBlock) or block.blob is not None:
                    block = ReasoningBlock()
                    self._begin(block)
                block.blob = blob
                self._close()
            case CallStart():
                self._close()
                call = CallBlock(part.index, part.id, part.name, "", part.kind, part.namespace, part.blob)
                self._calls[part.index] = call, []
                self.answer.blocks.append(call)
            case CallDelta(index, text):
                if index in self._calls:
                    self._calls[index][1].append(text)
            case BlockEnd():
                self._close()
            case CitationPart(citation):
                if not isinstance(self._open, TextBlock):
                    self._begin(TextBlock())
                if isinstance(self._open, TextBlock):
                    self._open.citations.append(citation)
            case LogprobsPart(tokens):
                holder = self._open if isinstance(self._open, TextBlock) else self.answer
                holder.logprobs += tokens
            case UsagePart(usage):
                self.answer.usage = usage
            case Finish():
                self.answer.finish = part
            case Start():
                self.answer.start = part
            case CallEnd(index):
                self._end_call(index)

    def end(self) -> GatheredAnswer:
        """The answer, when no part will follow."""
        self._close()
        for index in tuple(self._calls):
            self._end_call(index)
        return self.answer

    def _text(self, text: str, *, refusal: bool) -> None:
        block = self._open
        if not isinstance(block, TextBlock) or block.refusal is not refusal:
            self._begin(TextBlock(refusal=refusal))
        self._pieces.append(text)

    def _begin(self, block: TextBlock | ReasoningBlock) -> None:
        self._close()
        self._open = block
        self.answer.blocks.append(block)

    def _close(self) -> None:
        if self._open is not None:
            self._open.text = "".join(self._pieces)
            self._pieces.clear()
            self._open = None

    def _end_call(self, index: int) -> None:
        found = self._calls.pop(index, None)
        if found is not None:
            call, pieces = found
            call.arguments = "".join(pieces)


def gather(parts: Iterable[AnswerPart]) -> GatheredAnswer:
    """The answer that these parts make."""
    gathering = Gathering()
    for part in parts:
        gathering.add(part)
    return gathering.end()


def gather_choices(parts: Iterable[AnswerPart]) -> dict[int, GatheredAnswer]:
    """The answers that these parts make, by the index of their choice, in order; at least one."""
    found: dict[int, Gathering] = {}
    index = 0
    for part in parts:
        if isinstance(part, ChoicePart):
            index = part.index
            continue
        if index not in found:
            found[index] = Gathering()
        found[index].add(part)
    return {index: found[index].end() for index in sorted(found)} or {0: GatheredAnswer(Start())}


def usage_of(answers: Iterable[GatheredAnswer]) -> Usage | None:
    """The usage of all choices together, which stands in one of them; ``None``: it is not known."""
    return next((each.usage for each in answers if each.usage is not None), None)
