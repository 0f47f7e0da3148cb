"""Answers of Chat Completions, from OpenAI and from servers that are compatible with it, as neutral parts.

https://platform.openai.com/docs/api-reference/chat-streaming. What other servers add: reasoning in
``reasoning_content``, ``reasoning``, ``reasoning_details``, in lists of content or between ``<think>`` tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec

from proxy.dialects.json_events import read_payload
from proxy.dialects.openai.chat.provider.answer_calls import AnswerCalls
from proxy.dialects.openai.chat.provider.answer_citations import read_annotations, read_sources
from proxy.dialects.openai.chat.provider.answer_finish import AnswerFinish
from proxy.dialects.openai.chat.provider.answer_text import AnswerText
from proxy.dialects.openai.chat.provider.chunk_schema import PlainDelta, decode_plain
from proxy.dialects.openai.schema import WireUsage
from proxy.dialects.openai.usage import find_wire, usage_of
from proxy.dialects.translation.answer_members import list_at, object_at, objects_at, text_at
from proxy.dialects.translation.base import OneChoiceDecoder
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    Dropped,
    LogprobsPart,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.wire import document
from proxy.wire.sse import CR, LF

_UNSAYABLE: Final = ("audio", "images", "extra_content")  # no other dialect has them in its answers


class ChatAnswerDecoder(OneChoiceDecoder):
    """Reads the first choice of an answer.

    Citations beside the text, usage and finish reason are parts of ``end``: providers repeat them, and send the usage
    before, with or after the finish reason.
    """

    __slots__ = ("_calls", "_finish", "_results", "_sources", "_started", "_text", "_usage")

    choices: ClassVar[str] = "choices"

    def __init__(self) -> None:
        self._started = False
        self._text = AnswerText()
        self._calls = AnswerCalls()
        self._finish = AnswerFinish()
        self._usage: WireUsage | None = None
        self._results: list[object] = []
        self._sources: list[object] = []

    # Once per token: comparisons as in ChatReader.plain. Only decoded text goes on, so its UTF-8 needs no check.
    def plain(self, block: bytes) -> AnswerPart | None:
        data = block[6:-2]
        if block[:6] != b"data: " or block[-2:] != b"\n\n" or LF in data or CR in data or not self._started:
            return None
        try:
            chunk = decode_plain(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if len(chunk.choices) != 1:
            return None
        choice = chunk.choices[0]
        if choice.finish_reason or choice.index:
            return None
        part = self._plain_part(choice.delta)
        if part is not None and chunk.usage is not None:  # some providers send a running total with every chunk
            if chunk.usage.prompt_tokens is None:
                return None
            self._usage = chunk.usage
        return part

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        payload = read_payload(block, first=not self._started)
        if payload.kind is not None or not isinstance(payload.document, dict):
            return ()
        return list(self.read(payload.document))

    def end(self) -> Sequence[AnswerPart]:
        if not self._started:
            return ()
        found: list[AnswerPart] = [*self._text.end(), *read_sources(self._results, self._sources)]
        usage = usage_of(self._usage) if self._usage is not None else None
        if usage is not None:
            found.append(UsagePart(usage))
        finish = self._finish.part(called=self._calls.any)
        if finish is not None:
            found.append(finish)
        return found

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        try:
            answer, _ = document.read(body)
        except ValueError:
            return ()
        return [*self.read(answer), *self.end()] if isinstance(answer, dict) else ()

    def read(self, event: JsonObject) -> Iterator[AnswerPart]:
        usage = find_wire(event) or find_wire(event.get("x_groq"))  # Groq's streams have it in a member of their own
        if usage is not None:
            self._usage = usage
        self._results = list_at(event, "search_results") or self._results
        self._sources = list_at(event, "citations") or self._sources
        choices = objects_at(event, "choices")
        if not choices:
            return
        if not self._started:
            self._started = True
            yield Start(text_at(event, "id"), text_at(event, "model"))
        if event.get("moderation"):
            yield Dropped("moderation")
        for choice in choices:
            if choice.get("index"):
                yield Dropped("choices")
            else:
                yield from self._read_choice(choice)

    def _plain_part(self, delta: PlainDelta) -> AnswerPart | None:
        reasoning = delta.reasoning_content or delta.reasoning
        text = delta.content
        fragments = delta.tool_calls
        if text:
            return TextDelta(text) if self._text.plain and not reasoning and not fragments else None
        if fragments:
            fragment = fragments[0]
            called = fragment.function
            if len(fragments) > 1 or reasoning or called.name or not called.arguments:
                return None
            index = self._calls.continued(fragment.index, fragment.id)
            return CallDelta(index, called.arguments) if index >= 0 else None
        return ReasoningDelta(reasoning) if reasoning and self._text.reasoned else None

    def _read_choice(self, choice: JsonObject) -> Iterator[AnswerPart]:
        # Perplexity's chunks have both, and the message is all text so far.
        delta = object_at(choice, "delta" if "delta" in choice else "message")
        yield from self._text.read(delta)
        refusal = text_at(delta, "refusal")
        if refusal:
            self._finish.refused = True
            yield RefusalDelta(refusal)
        called = delta.get("tool_calls") or delta.get("function_call")
        if called:
            yield from self._text.end()
        yield from read_annotations(delta)  # before the calls, as they belong to the text
        yield from _read_logprobs(choice)
        if called:
            yield from self._calls.read(delta)
        yield from (Dropped(name) for name in _UNSAYABLE if delta.get(name))
        self._finish.read(choice)


def _read_logprobs(choice: JsonObject) -> Iterator[LogprobsPart | Dropped]:
    logprobs = object_at(choice, "logprobs")
    for name in ("content", "refusal"):
        tokens = list_at(logprobs, name)
        if tokens:
            yield LogprobsPart(tokens, of_refusal=name == "refusal")
    if logprobs.get("tokens"):  # as of completions; Together sends them
        yield Dropped("logprobs")
