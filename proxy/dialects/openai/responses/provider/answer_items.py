"""The items of an answer's output: messages, reasoning and calls of tools.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from proxy.dialects.openai.responses.provider.answer_pieces import Piece, Pieces
from proxy.dialects.openai.responses.provider.event_schema import ARGUMENTS, INPUT, REFUSAL, SUMMARY
from proxy.dialects.openai.responses.provider.sealed_reasoning import blob_of
from proxy.dialects.translation.answer_members import list_at, number_at, object_at, objects_at, text_at
from proxy.dialects.translation.conversation import ToolKind
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import AnswerPart, CallDelta, CallEnd, CallStart, Dropped, ReasoningBlob

_CALLS: Final[dict[str, tuple[ToolKind, str]]] = {
    "function_call": ("function", "arguments"),
    "custom_tool_call": ("custom", "input"),
}


class OpenItemCall(Struct, gc=False):
    """A call that has begun. ``index``: among the calls; ``length``: characters that were passed on."""

    index: int
    length: int = 0


class AnswerItems:
    """Reads the items of one answer.

    ``refused``: whether the answer has a refusal. ``piece``: the text that grows.
    """

    __slots__ = ("_calls", "_count", "_done", "_pieces", "piece", "refused")

    def __init__(self) -> None:
        self.refused = False
        self.piece: Piece | None = None
        self._pieces: dict[int, Pieces] = {}  # of items that are not complete, by their index in the output
        self._calls: dict[int, OpenItemCall] = {}  # the same
        self._done: list[tuple[int, str]] = []  # index and id of complete items
        self._count = 0

    @property
    def called(self) -> bool:
        """Whether a call has begun."""
        return self._count > 0

    def call(self, output_index: int) -> OpenItemCall | None:
        """The call at this place if it has begun."""
        return self._calls.get(output_index)

    def begin(self, event: JsonObject) -> Iterator[AnswerPart]:
        """The parts for ``response.output_item.added``."""
        item, output_index = object_at(event, "item"), _index(event, "output_index")
        if text_at(item, "type") in _CALLS and text_at(item, "name") and output_index not in self._calls:
            yield self._begin_call(output_index, item)

    def more(self, kind: str, event: JsonObject) -> Iterator[AnswerPart]:
        """The parts for a delta. ``kind``: the type of the event."""
        output_index, text = _index(event, "output_index"), text_at(event, "delta")
        if kind in (ARGUMENTS, INPUT):
            call = self._calls.get(output_index)
            if call is not None and text:
                call.length += len(text)
                yield CallDelta(call.index, text)
            return
        self.refused |= kind == REFUSAL
        index = _index(event, "summary_index" if kind == SUMMARY else "content_index")
        pieces = self._of(output_index)
        yield from pieces.more(kind, index, text, list_at(event, "logprobs"))
        self.piece = pieces.open

    def cite(self, event: JsonObject) -> Iterator[AnswerPart]:
        """The parts for ``response.output_text.annotation.added``."""
        annotation = object_at(event, "annotation")
        if annotation:
            yield self._of(_index(event, "output_index")).cite(_index(event, "content_index"), annotation)

    def complete_part(self, event: JsonObject) -> Iterator[AnswerPart]:
        """The parts for ``response.content_part.done`` and ``response.reasoning_summary_part.done``."""
        name = "summary_index" if "summary_index" in event else "content_index"
        pieces = self._of(_index(event, "output_index"))
        yield from pieces.complete(_index(event, name), object_at(event, "part"))
        self.piece = pieces.open

    def complete(self, output_index: int, item: JsonObject) -> Iterator[AnswerPart]:
        """What was not passed on of an item that is complete."""
        done = (output_index, text_at(item, "id"))
        if done in self._done:
            return
        self._done.append(done)
        match text_at(item, "type"):
            case "message":
                yield from self._complete_message(output_index, item)
            case "reasoning":
                yield from self._complete_reasoning(output_index, item)
            case kind if kind in _CALLS:
                yield from self._complete_call(output_index, item)
            case kind:
                yield Dropped(kind)

    def complete_rest(self, output: list[JsonObject]) -> Iterator[AnswerPart]:
        """What was not passed on of the whole output: some servers do not say when an item is complete."""
        for output_index, item in enumerate(output):
            item_id = text_at(item, "id")
            if not any(index == output_index or (item_id and known == item_id) for index, known in self._done):
                yield from self.complete(output_index, item)

    def _of(self, output_index: int) -> Pieces:
        pieces = self._pieces.get(output_index)
        if pieces is None:
            pieces = self._pieces[output_index] = Pieces(output_index)
        return pieces

    def _begin_call(self, output_index: int, item: JsonObject) -> CallStart:
        kind, _ = _CALLS[text_at(item, "type")]
        self._calls[output_index] = OpenItemCall(self._count)
        self._count += 1
        call_id = text_at(item, "call_id") or text_at(item, "id")
        return CallStart(self._count - 1, call_id, text_at(item, "name"), kind, text_at(item, "namespace"))

    def _complete_call(self, output_index: int, item: JsonObject) -> Iterator[AnswerPart]:
        if output_index not in self._calls:
            if not text_at(item, "name"):
                return
            yield self._begin_call(output_index, item)
        call = self._calls.pop(output_index)
        text = text_at(item, _CALLS[text_at(item, "type")][1])
        if len(text) > call.length:
            yield CallDelta(call.index, text[call.length :])
        yield CallEnd(call.index)

    def _complete_message(self, output_index: int, item: JsonObject) -> Iterator[AnswerPart]:
        pieces = self._of(output_index)
        for index, part in enumerate(objects_at(item, "content")):
            self.refused |= text_at(part, "type") == "refusal"
            yield from pieces.complete(index, part)
        yield from self._end(output_index)
        if item.get("phase"):
            yield Dropped("phase")

    def _complete_reasoning(self, output_index: int, item: JsonObject) -> Iterator[AnswerPart]:
        pieces = self._of(output_index)
        for name in ("summary", "content"):
            for index, part in enumerate(objects_at(item, name)):
                yield from pieces.complete(index, part)
        encrypted = text_at(item, "encrypted_content")  # that of an item that is not complete may be cut
        if encrypted:
            yield ReasoningBlob(blob_of(text_at(item, "id"), encrypted))
        yield from self._end(output_index)

    def _end(self, output_index: int) -> Iterator[AnswerPart]:
        yield from self._pieces.pop(output_index).end()
        self.piece = None


def _index(event: JsonObject, name: str) -> int:
    """0 where it is absent: the item is the only one."""
    return number_at(event, name) or 0
