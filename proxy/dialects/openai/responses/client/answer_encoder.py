"""A whole answer of the Responses API, encoded from its parts.

Source: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.dialects.openai.responses.client.items import (
    REFUSED,
    Item,
    ResponseItems,
    annotations_of,
    refusal_part,
    text_part,
)
from proxy.dialects.openai.responses.client.response_object import INCOMPLETE, ResponseObject
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.gathered import (
    CallBlock,
    GatheredAnswer,
    GatheredBlock,
    ReasoningBlock,
    TextBlock,
    gather,
)
from proxy.dialects.translation.parts import AnswerPart, Finish
from proxy.wire import document


def encode_response(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    """The answer as JSON, as a stream's last event has it."""
    answer = gather(parts)
    for block in answer.blocks:
        _mend(block)
    finish = answer.finish or Finish("stop")
    if finish.reason == "refusal" and not any(isinstance(each, TextBlock) and each.refusal for each in answer.blocks):
        answer.blocks.append(TextBlock(finish.detail or REFUSED, refusal=True))
    incomplete = INCOMPLETE.get(finish.reason, "")
    response = ResponseObject(context)
    response.name_model(answer.start.model)
    response.usage = answer.usage
    output = _Output(context, answer, cut=bool(incomplete)).items
    return response.make(
        "incomplete" if incomplete else "completed", map(document.encode, output), incomplete=incomplete
    )


def _mend(block: GatheredBlock) -> None:
    """Replace halves of surrogate pairs, as the stream does."""
    if isinstance(block, CallBlock):
        block.arguments = document.without_halves(block.arguments)
    else:
        block.text = document.without_halves(block.text)


class _Output:
    """The items of an answer. ``cut``: it ended before its end."""

    def __init__(self, context: AnswerContext, answer: GatheredAnswer, *, cut: bool) -> None:
        self._make = ResponseItems(context)
        self._content: list[Item] = []  # of the message that is being made
        self.items: list[Item] = []
        for block in answer.blocks:
            match block:
                case TextBlock():
                    self._add_text(block)
                case ReasoningBlock():
                    self._add_reasoning(block)
                case CallBlock():
                    self._add_call(block)
        self._end_message(cut=cut)

    def _add_text(self, block: TextBlock) -> None:
        """Blocks of text that follow each other are one part."""
        if block.refusal:
            if block.text:
                self._content.append(refusal_part(block.text))
            return
        if not block.text and not block.citations:
            return
        last = self._content[-1] if self._content else None
        if last is None or last["type"] != "output_text":
            last = text_part("", [], [])
            self._content.append(last)
        start = len(last["text"])
        last["text"] += block.text
        last["annotations"] += annotations_of(block.citations, start, len(last["text"]))
        last["logprobs"] += block.logprobs

    def _add_reasoning(self, block: ReasoningBlock) -> None:
        if block.text or block.blob is not None:
            self._end_message()
            self.items.append(self._make.reasoning(len(self.items), block.text, block.summary, block.blob))

    def _add_call(self, block: CallBlock) -> None:
        self._end_message()
        if block.blob is not None:
            self.items.append(self._make.signature(len(self.items), block.blob))
        index = len(self.items)
        tool = None if block.kind == "custom" else self._make.built_in(block.name, block.namespace)
        if tool is not None:
            self.items.append(self._make.built_in_call(index, block.id, tool, block.arguments))
            return
        call = self._make.call(index, block.id, block.name, block.kind, block.namespace, block.arguments)
        self.items.append(call)

    def _end_message(self, *, cut: bool = False) -> None:
        if self._content:
            self.items.append(self._make.message(len(self.items), self._content, cut=cut))
            self._content = []
