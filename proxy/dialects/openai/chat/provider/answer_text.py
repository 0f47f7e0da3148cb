"""Text and reasoning of one chat answer, in each form that servers send them in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from proxy.dialects.openai.chat.provider.reasoning_blobs import THINKING, blob_of, is_summary, text_of
from proxy.dialects.openai.chat.provider.think_tags import ThinkTags
from proxy.dialects.translation.answer_members import objects_at, text_at
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    Dropped,
    ReasoningBlob,
    ReasoningDelta,
    TextDelta,
)

_NONE: Final = object()


class AnswerText:
    """Reads ``content`` and the members with reasoning.

    ``plain``: a piece of text is one part as it stands. ``reasoned``: so is a piece of reasoning.
    """

    __slots__ = ("_detail", "_tags", "plain", "reasoned")

    def __init__(self) -> None:
        self.plain = False
        self.reasoned = False
        self._tags = ThinkTags()
        self._detail: Any = _NONE  # index of the entry of reasoning_details that is open

    def read(self, delta: JsonObject) -> Iterator[AnswerPart]:
        """The parts for a delta or a message."""
        yield from self._reasoning(delta)
        content = delta.get("content")
        if isinstance(content, str):
            yield from self._content(content)
        elif isinstance(content, list):
            yield from self._list(content)

    def end(self) -> Iterator[AnswerPart]:
        """What was kept back, when no more text follows, or something else."""
        if not self.plain:
            self.plain = True
            yield from self._tags.end()

    def _reasoning(self, delta: JsonObject) -> Iterator[AnswerPart]:
        details = objects_at(delta, "reasoning_details")
        if not any(map(text_of, details)):
            text = text_at(delta, "reasoning_content") or text_at(delta, "reasoning")
            if text:
                yield from self._reasoned()
                yield ReasoningDelta(text)
        for number, entry in enumerate(details):  # their text is the same once more
            yield from self._reasoned()
            yield from self._entry(entry, entry.get("index", number))

    def _entry(self, entry: JsonObject, index: Any) -> Iterator[AnswerPart]:
        """``index``: fragments of the same entry have the same one."""
        text = text_of(entry)
        if text:
            if self._detail not in (_NONE, index):
                yield BlockEnd()
            self._detail = index
            yield ReasoningDelta(text, summary=is_summary(entry))
        blob = blob_of(entry)
        if blob is not None:
            self._detail = _NONE
            yield ReasoningBlob(blob)
        elif not text and entry.get("type") == "reasoning.server_tool_call":
            yield Dropped("reasoning_details[reasoning.server_tool_call]")

    def _reasoned(self) -> Iterator[AnswerPart]:
        """The server tells reasoning from text, so that tags are text."""
        self.reasoned = True
        yield from self.end()

    def _content(self, text: str) -> Iterator[AnswerPart]:
        if self.plain:
            if text:
                yield TextDelta(text)
            return
        yield from self._tags.feed(text)
        self.plain = self._tags.done

    def _list(self, content: list[Any]) -> Iterator[AnswerPart]:
        for chunk in content:
            if isinstance(chunk, str):
                yield from self._content(chunk)
            elif isinstance(chunk, dict):
                yield from self._chunk(chunk)

    def _chunk(self, chunk: JsonObject) -> Iterator[AnswerPart]:
        """The parts of one object in a list of content: https://docs.mistral.ai/capabilities/reasoning/"""
        kind = text_at(chunk, "type")
        if kind in ("text", "output_text", ""):
            yield from self._content(text_at(chunk, "text"))
        elif kind == THINKING:
            yield from self._reasoned()
            thought = "".join(text_at(each, "text") for each in objects_at(chunk, THINKING))
            thought = thought or text_at(chunk, THINKING)
            if thought:
                yield ReasoningDelta(thought)
            blob = blob_of(chunk)
            if blob is not None:
                yield ReasoningBlob(blob)
        else:
            yield Dropped(f"content[{kind}]")
