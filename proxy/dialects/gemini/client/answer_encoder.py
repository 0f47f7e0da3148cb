"""Neutral parts as a whole response of ``generateContent``.

Source: https://ai.google.dev/api/generate-content#GenerateContentResponse
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.dialects.gemini.client.candidate_members import finish_members, logprobs_members, unsaid
from proxy.dialects.gemini.client.carried_reasoning import CarriedReasoning
from proxy.dialects.gemini.client.grounding import Grounding
from proxy.dialects.gemini.client.response_chunks import EMPTY, candidate_of, function_call, signed, whole
from proxy.dialects.gemini.usage import usage_metadata
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.call_arguments import object_of
from proxy.dialects.translation.gathered import (
    CallBlock,
    GatheredAnswer,
    GatheredBlock,
    ReasoningBlock,
    TextBlock,
    gather,
    gather_choices,
    usage_of,
)
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import AnswerPart


def encode_generation(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    """The response as JSON, with a candidate for each choice."""
    answers = gather_choices(parts) if context.request.choices > 1 else {0: gather(parts)}
    candidates = [_candidate(context, index, answer) for index, answer in answers.items()]
    usage = usage_of(answers.values())
    others = {} if usage is None else {"usageMetadata": usage_metadata(usage)}
    return whole(context, next(iter(answers.values())).start.model, candidates, others)


def _candidate(context: AnswerContext, index: int, answer: GatheredAnswer) -> JsonObject:
    content = _Content(context)
    for block in answer.blocks:
        content.add(block)
    texts = [block for block in answer.blocks if isinstance(block, TextBlock)]
    refused = any(text.refusal for text in texts)
    content.add(TextBlock(unsaid(answer.finish, refused=refused)))
    content.end()
    candidate = {
        **finish_members(answer.finish, refused=refused),
        **content.sources.members(),
        **logprobs_members([*(token for text in texts for token in text.logprobs), *answer.logprobs]),
    }
    return candidate_of(index, content.parts, candidate)


class _Content:
    """Makes the parts of an answer, a block at a time. ``sources``: those of its texts."""

    __slots__ = ("_reasoning", "_shows", "parts", "sources")

    def __init__(self, context: AnswerContext) -> None:
        self._reasoning = CarriedReasoning(context)
        self._shows = context.request.thinking.shown == "summary"
        self.parts: list[JsonObject] = []
        self.sources = Grounding()

    def add(self, block: GatheredBlock) -> None:
        match block:
            case TextBlock():
                self._add_text(block)
            case ReasoningBlock():
                self._add_reasoning(block)
            case CallBlock():
                before, signature = self._reasoning.take_for_call(block.blob)
                self._add_alone(before)
                made = function_call(block.id, block.name, object_of(block.arguments, block.kind))
                self.parts.append(signed(made, signature))

    def end(self) -> None:
        """Add what waits for a part that does not come."""
        self._add_alone(self._reasoning.take())

    def _add_text(self, block: TextBlock) -> None:
        if block.text:
            self.sources.begin_part(len(self.parts))
            self.sources.wrote(block.text)
            self.parts.append(signed({"text": block.text}, self._reasoning.take()))
        for citation in block.citations:
            self.sources.cite(citation)
        self.sources.end_block()

    def _add_reasoning(self, block: ReasoningBlock) -> None:
        if block.text:
            self._add_alone(self._reasoning.add_text(block.text))
            if self._shows:
                self.parts.append({"text": block.text, "thought": True})
        if block.blob is not None:
            self._add_alone(self._reasoning.add_blob(block.blob))

    def _add_alone(self, signature: str) -> None:
        """A part for a signature that no other part has."""
        if signature:
            self.parts.append(signed(EMPTY, signature))
