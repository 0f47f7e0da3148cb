"""The events of a chat stream, encoded from the parts of an answer.

Source: https://platform.openai.com/docs/api-reference/chat-streaming. The SDKs add up lists by the ``index`` of their
entries, so those of all lists have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from msgspec import Struct

from proxy.dialects.openai.chat.client.chunks import ChatChunks
from proxy.dialects.openai.chat.client.completion_members import (
    annotation,
    call_members,
    finish_members,
    is_function_call,
)
from proxy.dialects.openai.chat.client.reasoning_encoder import ChatReasoningEncoder
from proxy.dialects.openai.writer import OpenAIWriter
from proxy.dialects.translation.base import AnswerContext, OneChoiceEncoder
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Dropped,
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
from proxy.errors import GatewayError
from proxy.wire.document import encode

_writer: Final = OpenAIWriter()


class _StreamedCall(Struct):
    """What stands around each piece of a call's arguments. ``empty``: no piece has come."""

    head: bytes
    tail: bytes
    empty: bool = True


class ChatStreamEncoder(OneChoiceEncoder):
    """Makes a chunk for each part of content, then the usage if the client requested it, and ``[DONE]``."""

    __slots__ = (
        "_block",
        "_calls",
        "_chunks",
        "_citations",
        "_cited",
        "_finished",
        "_listed",
        "_reasoning",
        "_refused",
        "_started",
        "_text_head",
        "_text_tail",
        "_usage",
        "_written",
    )

    sequential: ClassVar[bool] = False

    def __init__(self, context: AnswerContext) -> None:
        super().__init__(context)
        self._started = self._refused = self._finished = False
        self._usage: Usage | None = None
        self._written = 0  # characters of the answer's text
        self._block = 0  # where the block of text begins that is being written
        self._citations: list[Citation] = []  # of that block
        self._cited = 0  # annotations sent
        self._calls: dict[int, _StreamedCall] = {}
        self._listed = 0  # those in ``tool_calls``
        self._prepare(context.model)

    def encode(self, part: AnswerPart) -> bytes:
        return _ENCODERS[type(part)](self, part)

    def finish(self) -> bytes:
        events = self.finish_choice()
        if self.context.request.wants_usage and self._usage is not None:
            events += self._chunks.usage(self._usage)
        return events + _writer.terminal

    def finish_choice(self) -> bytes:
        return b"" if self._finished else self._finish(Finish("tool_calls" if self._calls else "stop"))

    def failed(self, fault: GatewayError) -> bytes:
        return _writer.error_event(fault, self.sequence)

    def _prepare(self, model: str) -> None:
        self._chunks = chunks = ChatChunks(self.context, model)
        self._reasoning = ChatReasoningEncoder(self.context, chunks)
        self._text_head = chunks.head + b'{"content":'
        self._text_tail = b"}" + chunks.tail

    # One method for each type of part (see _ENCODERS).

    def _start(self, part: Start) -> bytes:
        if self._started:
            return b""
        self._started = True
        if part.model and not self.context.model:
            self._prepare(part.model)
        return self._chunks.delta({"role": "assistant", "content": ""})

    def _text(self, part: TextDelta) -> bytes:
        text = part.text
        self._written += len(text)
        return self._text_head + encode(text) + self._text_tail

    def _reasoning_delta(self, part: ReasoningDelta) -> bytes:
        return self._reasoning.delta(part)

    def _reasoning_blob(self, part: ReasoningBlob) -> bytes:
        return self._reasoning.blob(part)

    def _refusal(self, part: RefusalDelta) -> bytes:
        self._refused = True
        return self._chunks.delta({"refusal": part.text})

    def _call(self, part: CallStart) -> bytes:
        chunks, index = self._chunks, self._listed
        call = call_members(self.context, part, "")
        if is_function_call(self.context, len(self._calls), part):
            delta: JsonObject = {"function_call": call["function"]}
            head, tail = b'{"function_call":{"arguments":', b"}}"
        else:
            self._listed += 1
            delta = {"tool_calls": [{"index": index, **call}]}
            own = b'"custom":{"input":' if part.kind == "custom" else b'"function":{"arguments":'
            head, tail = b'{"tool_calls":[{"index":%d,%b' % (index, own), b"}}]}"
        if part.blob is not None:
            delta["reasoning_details"] = [self._reasoning.of_call(part.id, part.blob)]
        self._calls[part.index] = _StreamedCall(chunks.head + head, tail + chunks.tail, part.kind == "function")
        return self._end_block() + chunks.delta(delta)

    def _arguments(self, part: CallDelta) -> bytes:
        call = self._calls.get(part.index)
        if call is None:
            return b""
        call.empty = False
        return call.head + encode(part.text) + call.tail

    def _end_call(self, part: CallEnd) -> bytes:
        """Clients parse the arguments, so those of a function are never empty."""
        call = self._calls.get(part.index)
        return self._arguments(CallDelta(part.index, "{}")) if call is not None and call.empty else b""

    def _end_block(self, part: AnswerPart | None = None) -> bytes:
        """The annotations of the block of text that ends here: its end was not known before."""
        self._reasoning.end()
        begin, self._block = self._block, self._written
        if not self._citations:
            return b""
        annotations = [
            {"index": index, **annotation(each, begin, self._written)}
            for index, each in enumerate(self._citations, self._cited)
        ]
        self._cited += len(annotations)
        self._citations.clear()
        return self._chunks.delta({"annotations": annotations})

    def _citation(self, part: CitationPart) -> bytes:
        self._citations.append(part.citation)
        return b""

    def _logprobs(self, part: LogprobsPart) -> bytes:
        own, other = ("refusal", "content") if part.of_refusal else ("content", "refusal")
        return self._chunks.choice({}, {"logprobs": {own: part.tokens, other: None}})

    def _count(self, part: UsagePart) -> bytes:
        self._usage = part.usage
        return b""

    def _finish(self, part: Finish) -> bytes:
        if self._finished:
            return b""
        self._finished = True
        delta = {"refusal": part.detail} if part.detail and not self._refused else {}
        return self._end_block() + self._chunks.choice(delta, finish_members(self.context, part, refused=self._refused))

    def _nothing(self, part: Dropped) -> bytes:
        return b""


_ENCODERS: Final[dict[type[AnswerPart], Callable[[ChatStreamEncoder, Any], bytes]]] = {
    Start: ChatStreamEncoder._start,
    TextDelta: ChatStreamEncoder._text,
    ReasoningDelta: ChatStreamEncoder._reasoning_delta,
    ReasoningBlob: ChatStreamEncoder._reasoning_blob,
    RefusalDelta: ChatStreamEncoder._refusal,
    CallStart: ChatStreamEncoder._call,
    CallDelta: ChatStreamEncoder._arguments,
    CallEnd: ChatStreamEncoder._end_call,
    BlockEnd: ChatStreamEncoder._end_block,
    CitationPart: ChatStreamEncoder._citation,
    LogprobsPart: ChatStreamEncoder._logprobs,
    UsagePart: ChatStreamEncoder._count,
    Finish: ChatStreamEncoder._finish,
    Dropped: ChatStreamEncoder._nothing,
}
