"""The output of a response that is being written: one item after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.dialects.openai.responses.client.events import ResponseEvents
from proxy.dialects.openai.responses.client.items import ResponseItems
from proxy.dialects.openai.responses.client.open_call import OpenBuiltInCall, OpenCall
from proxy.dialects.openai.responses.client.open_item import OpenItem
from proxy.dialects.openai.responses.client.open_message import OpenMessage, OpenText
from proxy.dialects.openai.responses.client.open_reasoning import OpenReasoning, OpenSignature
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)


class OpenOutput:
    """Makes the events for parts of content. A message holds all text and refusals up to the next reasoning or call.

    ``text``, ``thoughts``, ``call``: what is being written, if it is that. ``done``: the complete items, as JSON.
    ``refused``: there was a refusal.
    """

    __slots__ = ("_events", "_item", "_items", "call", "done", "refused", "text", "thoughts")

    def __init__(self, events: ResponseEvents, items: ResponseItems) -> None:
        self._events = events
        self._items = items
        self._item: OpenItem | None = None
        self.text: OpenText | None = None
        self.thoughts: OpenReasoning | None = None
        self.call: OpenCall | OpenBuiltInCall | None = None
        self.done: list[bytes] = []
        self.refused = False

    @property
    def begun(self) -> bool:
        """Whether there is any content."""
        return self._item is not None or bool(self.done)

    def add(self, part: AnswerPart) -> bytes:
        """The events for a part; ``b""`` for one that is no content."""
        encode = _ENCODERS.get(type(part))
        return b"" if encode is None else encode(self, part)

    def close(self, *, cut: bool = False) -> bytes:
        """End the item that is being written, if there is one. ``cut``: the answer ended before its end."""
        item = self._item
        if item is None:
            return b""
        self._item = self.text = self.thoughts = self.call = None
        events = item.end(cut=cut)
        self.done.append(item.done)
        return events

    def _enter(self, item: OpenItem) -> bytes:
        self._item = item
        return item.begin()

    def _message(self) -> tuple[OpenMessage, bytes]:
        """The message that is being written, and the events to begin it."""
        if isinstance(self._item, OpenMessage):
            return self._item, b""
        events = self.close()
        message = OpenMessage(self._events, self._items, len(self.done))
        return message, events + self._enter(message)

    def _to_text(self) -> tuple[OpenText, bytes]:
        """The part of text that is being written, and the events to begin it."""
        message, events = self._message()
        self.text, begun = message.to_text()
        return self.text, events + begun

    def _add_text(self, part: TextDelta) -> bytes:
        if not part.text:
            return b""
        text, events = self._to_text()
        return events + text.add(part.text)

    def _refuse(self, part: RefusalDelta) -> bytes:
        if not part.text:
            return b""
        self.refused = True
        message, events = self._message()
        self.text = None
        return events + message.refuse(part.text)

    def _cite(self, part: CitationPart) -> bytes:
        text, events = self._to_text()
        text.cite(part.citation)
        return events

    def _weigh(self, part: LogprobsPart) -> bytes:
        return b"" if self.text is None or part.of_refusal else self.text.weigh(part.tokens)

    def _think(self, part: ReasoningDelta) -> bytes:
        if not part.text:
            return b""
        thoughts, events = self.thoughts, b""
        if thoughts is None or thoughts.summary is not part.summary:
            thoughts, events = self._reasoning(part.summary)
        return events + thoughts.add(part.text)

    def _seal(self, part: ReasoningBlob) -> bytes:
        thoughts, events = self.thoughts, b""
        if thoughts is None:
            thoughts, events = self._reasoning(False)
        thoughts.blob = part.blob
        return events + self.close()

    def _reasoning(self, summary: bool) -> tuple[OpenReasoning, bytes]:
        """New reasoning, and the events to begin it."""
        events = self.close()
        self.thoughts = thoughts = OpenReasoning(self._events, self._items, len(self.done), summary)
        return thoughts, events + self._enter(thoughts)

    def _start_call(self, part: CallStart) -> bytes:
        events = self.close()
        if part.blob is not None:
            events += self._enter(OpenSignature(self._events, self._items, len(self.done), part.blob))
            events += self.close()
        tool = None if part.kind == "custom" else self._items.built_in(part.name, part.namespace)
        index = len(self.done)
        if tool is None:
            self.call = OpenCall(self._events, self._items, index, part)
        else:
            self.call = OpenBuiltInCall(self._events, self._items, index, part, tool)
        return events + self._enter(self.call)

    def _add_arguments(self, part: CallDelta) -> bytes:
        return b"" if self.call is None or not part.text else self.call.add(part.text)

    def _end_call(self, part: CallEnd) -> bytes:
        return b"" if self.call is None else self.close()

    def _end_block(self, part: BlockEnd) -> bytes:
        if isinstance(self._item, OpenMessage):
            return self._item.end_block()
        return b"" if self.thoughts is None else self.close()


_ENCODERS: Final[dict[type, Callable[[OpenOutput, Any], bytes]]] = {
    TextDelta: OpenOutput._add_text,
    RefusalDelta: OpenOutput._refuse,
    CitationPart: OpenOutput._cite,
    LogprobsPart: OpenOutput._weigh,
    ReasoningDelta: OpenOutput._think,
    ReasoningBlob: OpenOutput._seal,
    CallStart: OpenOutput._start_call,
    CallDelta: OpenOutput._add_arguments,
    CallEnd: OpenOutput._end_call,
    BlockEnd: OpenOutput._end_block,
}
