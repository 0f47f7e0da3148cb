"""Reasoning that is being written: one text, which is a summary or the thoughts themselves."""

from __future__ import annotations

from proxy.dialects.openai.responses.client.events import GrowingText, ResponseEvents
from proxy.dialects.openai.responses.client.items import ResponseItems
from proxy.dialects.openai.responses.client.open_item import OpenItem
from proxy.dialects.translation.conversation import Blob

# Names of the events of a part and of its text, the member with the part's index, and the part's type.
_SUMMARY = ("response.reasoning_summary_part", "response.reasoning_summary_text", "summary_index", "summary_text")
_THOUGHTS = ("response.content_part", "response.reasoning_text", "content_index", "reasoning_text")


class OpenReasoning(OpenItem):
    """``summary``: as the provider says. ``blob``: belongs to the text, or stands instead of it."""

    __slots__ = ("_kind", "_part", "_place_of_text", "_text", "_type", "blob", "summary")

    def __init__(self, events: ResponseEvents, items: ResponseItems, index: int, summary: bool) -> None:
        super().__init__(events, items, index)
        self.summary = summary
        self.blob: Blob | None = None
        self._part, self._kind, member, self._type = _SUMMARY if items.is_summary(summary) else _THOUGHTS
        self._place_of_text = self._place(items.id("rs_", index), **{member: 0})
        self._text: GrowingText | None = None

    def begin(self) -> bytes:
        return self._added({"id": self._items.id("rs_", self.index), "type": "reasoning", "summary": []})

    def add(self, text: str) -> bytes:
        """Called once per token."""
        if self._text is not None:
            return self._text.add(text)
        self._text = GrowingText(self._events, f"{self._kind}.delta", self._place_of_text)
        part = {"type": self._type, "text": ""}
        return self._events.make(f"{self._part}.added", {**self._place_of_text, "part": part}) + self.add(text)

    def end(self, *, cut: bool = False) -> bytes:
        text, events = "", b""
        if self._text is not None:
            text, events = self._text.end()
            part = {"type": self._type, "text": text}
            events += self._events.make(f"{self._kind}.done", {**self._place_of_text, "text": text})
            events += self._events.make(f"{self._part}.done", {**self._place_of_text, "part": part})
        return events + self._complete(self._items.reasoning(self.index, text, self.summary, self.blob))


class OpenSignature(OpenItem):
    """Reasoning that carries the signature of the call after it."""

    __slots__ = ("_blob",)

    def __init__(self, events: ResponseEvents, items: ResponseItems, index: int, blob: Blob) -> None:
        super().__init__(events, items, index)
        self._blob = blob

    def begin(self) -> bytes:
        return self._added({"id": self._items.id("rs_", self.index), "type": "reasoning", "summary": []})

    def end(self, *, cut: bool = False) -> bytes:
        return self._complete(self._items.signature(self.index, self._blob))
