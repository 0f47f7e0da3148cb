"""A message that is being written: one part for its text, others for refusals."""

from __future__ import annotations

from typing import Any

from proxy.dialects.openai.responses.client.events import GrowingText, ResponseEvents
from proxy.dialects.openai.responses.client.items import Item, ResponseItems, annotations_of, refusal_part, text_part
from proxy.dialects.openai.responses.client.open_item import OpenItem
from proxy.dialects.translation.conversation import Citation


class OpenText:
    """A part of type ``output_text``. It holds all blocks of text that follow each other: clients read the first part.

    Citations are of a block, so they are sent at its end.
    """

    __slots__ = (
        "_annotations",
        "_block",
        "_citations",
        "_events",
        "_in_block",
        "_logprobs",
        "_place",
        "_text",
    )

    def __init__(self, events: ResponseEvents, place: dict[str, Any]) -> None:
        self._events = events
        self._place = place
        self._text = GrowingText(events, "response.output_text.delta", place, {"logprobs": []})
        self._annotations: list[Item] = []
        self._logprobs: list[Any] = []
        self._citations: list[Citation] = []  # of the block
        self._block = 0  # where it begins
        self._in_block = False

    def begin(self) -> bytes:
        return self._events.make("response.content_part.added", {**self._place, "part": text_part("", [], [])})

    def add(self, text: str) -> bytes:
        """Called once per token."""
        self._in_block = True
        return self._text.add(text)

    def cite(self, citation: Citation) -> None:
        self._citations.append(citation)
        self._in_block = True

    def weigh(self, tokens: list[Any]) -> bytes:
        """Log probabilities of the text before them. Their event adds no text."""
        if not self._in_block:
            return b""
        self._logprobs += tokens
        return self._events.make("response.output_text.delta", {**self._place, "delta": "", "logprobs": tokens})

    def end_block(self) -> bytes:
        """The annotations of a block that is complete."""
        events = self._text.flush()
        end = len(self._text)
        for annotation in annotations_of(self._citations, self._block, end):
            members = {**self._place, "annotation_index": len(self._annotations), "annotation": annotation}
            events += self._events.make("response.output_text.annotation.added", members)
            self._annotations.append(annotation)
        self._citations.clear()
        self._block = end
        self._in_block = False
        return events

    def end(self) -> tuple[Item, bytes]:
        """The part and its last events."""
        text, events = self._text.end()
        events += self.end_block()
        part = text_part(text, self._annotations, self._logprobs)
        done = {**self._place, "text": text, "logprobs": self._logprobs}
        events += self._events.make("response.output_text.done", done)
        return part, events + self._events.make("response.content_part.done", {**self._place, "part": part})


class OpenRefusal:
    """A part of type ``refusal``."""

    __slots__ = ("_events", "_place", "_text")

    def __init__(self, events: ResponseEvents, place: dict[str, Any]) -> None:
        self._events = events
        self._place = place
        self._text = GrowingText(events, "response.refusal.delta", place)

    def begin(self) -> bytes:
        return self._events.make("response.content_part.added", {**self._place, "part": refusal_part("")})

    def add(self, text: str) -> bytes:
        return self._text.add(text)

    def end(self) -> tuple[Item, bytes]:
        text, events = self._text.end()
        part = refusal_part(text)
        events += self._events.make("response.refusal.done", {**self._place, "refusal": text})
        return part, events + self._events.make("response.content_part.done", {**self._place, "part": part})


class OpenMessage(OpenItem):
    __slots__ = ("_content", "_id", "_part")

    def __init__(self, events: ResponseEvents, items: ResponseItems, index: int) -> None:
        super().__init__(events, items, index)
        self._id = items.id("msg_", index)
        self._content: list[Item] = []
        self._part: OpenText | OpenRefusal | None = None

    def begin(self) -> bytes:
        return self._added(self._items.message(self.index, []) | {"status": "in_progress"})

    def to_text(self) -> tuple[OpenText, bytes]:
        """The part of text that is being written, and the events to begin it."""
        if isinstance(self._part, OpenText):
            return self._part, b""
        events = self._end_part()
        self._part = text = OpenText(self._events, self._place(self._id, content_index=len(self._content)))
        return text, events + text.begin()

    def refuse(self, text: str) -> bytes:
        """Add to a refusal."""
        events = b""
        if not isinstance(self._part, OpenRefusal):
            events = self._end_part()
            self._part = OpenRefusal(self._events, self._place(self._id, content_index=len(self._content)))
            events += self._part.begin()
        return events + self._part.add(text)

    def end_block(self) -> bytes:
        """The end of a block of text, after which more may follow in the same part, or of a refusal."""
        return self._part.end_block() if isinstance(self._part, OpenText) else self._end_part()

    def end(self, *, cut: bool = False) -> bytes:
        events = self._end_part()
        return events + self._complete(self._items.message(self.index, self._content, cut=cut))

    def _end_part(self) -> bytes:
        if self._part is None:
            return b""
        part, events = self._part.end()
        self._content.append(part)
        self._part = None
        return events
