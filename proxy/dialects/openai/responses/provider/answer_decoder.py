"""Answers of OpenAI's Responses API, and of servers that are compatible with it, as neutral parts.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from proxy.dialects.json_events import read_payload
from proxy.dialects.openai import usage as openai_usage
from proxy.dialects.openai.responses.provider.answer_items import AnswerItems
from proxy.dialects.openai.responses.provider.event_schema import (
    ARGUMENTS,
    INPUT,
    REFUSAL,
    SUMMARY,
    TEXT,
    THOUGHT,
    decode_plain,
)
from proxy.dialects.translation.answer_members import number_at, object_at, objects_at, text_at
from proxy.dialects.translation.base import AnswerDecoder
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    Finish,
    FinishReason,
    ReasoningDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.wire import document

_CALL_DELTAS: Final = frozenset((ARGUMENTS, INPUT))
_DELTAS: Final = _CALL_DELTAS | {TEXT, REFUSAL, SUMMARY, THOUGHT}
_ENDS: Final = frozenset(("response.completed", "response.incomplete"))
_COMPLETE_PARTS: Final = frozenset(("response.content_part.done", "response.reasoning_summary_part.done"))

# Why an answer is incomplete. All other reasons count as ``length``, as the answer was cut.
_REASONS: Final[dict[str, FinishReason]] = {"content_filter": "content_filter"}


class ResponsesAnswerDecoder(AnswerDecoder):
    __slots__ = ("_items", "_started")

    def __init__(self) -> None:
        self._items = AnswerItems()
        self._started = False

    # ResponsesReader.plain has read the block before: it is UTF-8 with one line of data.
    def plain(self, block: bytes) -> AnswerPart | None:
        if block[:16] != b"event: response." or block[-2:] != b"\n\n":
            return None
        try:
            event = decode_plain(block[block.find(b"\n") + 7 : -2])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        kind, delta = event.type, event.delta
        if not delta:
            return None
        piece = self._items.piece
        if kind in _CALL_DELTAS:
            call = self._items.call(event.output_index)
            if call is None:
                return None
            call.length += len(delta)
            return CallDelta(call.index, delta)
        if (
            piece is None
            or kind != piece.event
            or event.output_index != piece.output_index
            or event.content_index + event.summary_index != piece.index  # it has one of them
        ):
            return None
        piece.length += len(delta)
        if kind == TEXT:
            return TextDelta(delta)
        return None if kind == REFUSAL else ReasoningDelta(delta, kind == SUMMARY)

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        payload = read_payload(block, first=not self._started)
        if payload.kind is not None or not isinstance(payload.document, dict):
            return ()
        return list(self._read(payload.document))

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        try:
            answer, _ = document.read(body)
        except ValueError:
            return ()
        if not isinstance(answer, dict) or not isinstance(answer.get("output"), list):
            return ()
        return [*self._start(answer), *self._end(answer)]

    def _read(self, event: JsonObject) -> Iterator[AnswerPart]:
        kind = text_at(event, "type")
        if not kind.startswith("response."):
            return
        yield from self._start(object_at(event, "response"))
        if kind in _DELTAS:
            yield from self._items.more(kind, event)
        elif kind in _ENDS:
            yield from self._end(object_at(event, "response"))
        elif kind == "response.output_item.added":
            yield from self._items.begin(event)
        elif kind == "response.output_item.done":
            yield from self._items.complete(number_at(event, "output_index") or 0, object_at(event, "item"))
        elif kind == "response.output_text.annotation.added":
            yield from self._items.cite(event)
        elif kind in _COMPLETE_PARTS:
            yield from self._items.complete_part(event)

    def _start(self, response: JsonObject) -> Iterator[AnswerPart]:
        if not self._started:
            self._started = True
            yield Start(text_at(response, "id"), text_at(response, "model"))

    def _end(self, response: JsonObject) -> Iterator[AnswerPart]:
        """The parts for a whole response, without those that were passed on."""
        yield from self._items.complete_rest(objects_at(response, "output"))
        usage = openai_usage.find(response)
        if usage is not None:
            yield UsagePart(usage)
        yield Finish(self._reason(response))

    def _reason(self, response: JsonObject) -> FinishReason:
        if text_at(response, "status") == "incomplete":
            return _REASONS.get(text_at(object_at(response, "incomplete_details"), "reason"), "length")
        if self._items.called:
            return "tool_calls"
        return "refusal" if self._items.refused else "stop"
