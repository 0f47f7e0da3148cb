"""Neutral parts as the chunks of ``streamGenerateContent``.

Google sends calls whole. Its streams have no terminal event: the last chunk has the finish reason and the usage.
Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from proxy.dialects.gemini.client.candidate_members import finish_members, logprobs_members, unsaid
from proxy.dialects.gemini.client.carried_reasoning import CarriedReasoning
from proxy.dialects.gemini.client.grounding import Grounding
from proxy.dialects.gemini.client.response_chunks import EMPTY, ResponseChunks, function_call, signed
from proxy.dialects.gemini.usage import usage_metadata
from proxy.dialects.gemini.writer import GeminiWriter
from proxy.dialects.translation.answer_losses import CitationMembers
from proxy.dialects.translation.base import AnswerContext, OneChoiceEncoder
from proxy.dialects.translation.call_arguments import object_of
from proxy.dialects.translation.calls import MOST_BUFFERED
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
from proxy.errors import BrokenAnswer, GatewayError
from proxy.wire import document

PING_EVERY: Final = 64  # parts without an event

_WRITER: Final = GeminiWriter()
_encode: Final = msgspec.json.Encoder().encode


class GeminiStreamEncoder(OneChoiceEncoder):
    """Makes a chunk for each piece of text, and for each call when its arguments are complete."""

    __slots__ = (
        *("_arguments", "_call", "_chunks", "_finish", "_kept", "_reasoning", "_refused", "_shows", "_size"),
        *("_sources", "_started", "_text_head", "_text_tail", "_thought_tail", "_usage"),
    )

    sequential: ClassVar[bool] = True
    cites: ClassVar[CitationMembers] = CitationMembers(page=frozenset({"title", "place"}))

    def __init__(self, context: AnswerContext) -> None:
        super().__init__(context)
        self._started = self._refused = False
        self._shows = context.request.thinking.shown == "summary"
        self._reasoning = CarriedReasoning(context)
        self._sources = Grounding()
        self._call: CallStart | None = None  # whose arguments are being written
        self._arguments: list[str] = []
        self._size = 0  # characters of the arguments
        self._kept = 0  # parts without an event
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._prepare(context.model)

    # Once per token.
    def encode(self, part: AnswerPart) -> bytes:
        if type(part) is TextDelta and part.text and not self._reasoning.waits:
            self._sources.wrote(part.text)
            try:
                return self._text_head + _encode(part.text) + self._text_tail
            except UnicodeEncodeError:  # half a surrogate pair
                return self._chunks.part({"text": part.text})
        return _ENCODERS[type(part)](self, part)

    def finish(self) -> bytes:
        last = self._text(TextDelta(unsaid(self._finish, refused=self._refused)))
        last += self._alone(self._reasoning.take())
        candidate = finish_members(self._finish, refused=self._refused) | self._sources.members()
        others = {} if self._usage is None else {"usageMetadata": usage_metadata(self._usage)}
        return last + self._chunks.chunk(candidate, others)

    def failed(self, fault: GatewayError) -> bytes:
        return _WRITER.error_event(fault, self.sequence)

    def _prepare(self, model: str) -> None:
        self._chunks = chunks = ResponseChunks(self.context, model)
        self._text_head = chunks.head + b'{"text":'
        self._text_tail = b"}" + chunks.tail
        self._thought_tail = b',"thought":true}' + chunks.tail

    # One method for each type of part (see _ENCODERS).

    def _start(self, part: Start) -> bytes:
        """Take the model's name, which all chunks have."""
        if not self._started and part.model and not self.context.model:
            self._prepare(part.model)
        self._started = True
        return b""

    def _text(self, part: TextDelta) -> bytes:
        text = part.text
        if not text:
            return b""
        self._sources.wrote(text)
        return self._chunks.part(signed({"text": text}, self._reasoning.take()))

    def _refusal(self, part: RefusalDelta) -> bytes:
        self._refused = True
        return self._text(TextDelta(part.text))

    def _thought(self, part: ReasoningDelta) -> bytes:
        if not part.text:
            return b""
        self._sources.end_block()
        before = self._alone(self._reasoning.add_text(part.text))
        if not self._shows:
            return before + self._silence()
        return before + self._text_head + document.encode(part.text) + self._thought_tail

    def _blob(self, part: ReasoningBlob) -> bytes:
        self._sources.end_block()
        return self._alone(self._reasoning.add_blob(part.blob))

    def _call_start(self, part: CallStart) -> bytes:
        self._sources.end_block()
        self._call, self._size = part, 0
        return b""

    def _call_delta(self, part: CallDelta) -> bytes:
        """Keep the arguments. Raises BrokenAnswer if they are too long."""
        self._size += len(part.text)
        if self._size > MOST_BUFFERED:
            raise BrokenAnswer("The arguments of the model's tool call are too long to be sent whole.")
        self._arguments.append(part.text)
        return self._silence()

    def _call_end(self, part: CallEnd) -> bytes:
        call, self._call = self._call, None
        arguments = "".join(self._arguments)
        self._arguments.clear()
        if call is None:
            return b""
        before, signature = self._reasoning.take_for_call(call.blob)
        made = function_call(call.id, call.name, object_of(arguments, call.kind))
        return self._alone(before) + self._chunks.part(signed(made, signature))

    def _end_block(self, part: BlockEnd) -> bytes:
        self._sources.end_block()
        return b""

    def _citation(self, part: CitationPart) -> bytes:
        self._sources.cite(part.citation)
        return b""

    def _logprobs(self, part: LogprobsPart) -> bytes:
        members = logprobs_members(part.tokens)
        return self._chunks.chunk(members, {}) if members else b""

    def _note(self, part: UsagePart | Finish | Dropped) -> bytes:
        """Note what the last chunk has."""
        if isinstance(part, UsagePart):
            self._usage = part.usage
        elif isinstance(part, Finish):
            self._finish = part
        return b""

    def _silence(self) -> bytes:
        """Nothing for a part that is kept, but for a ping from time to time, as clients give up on a long silence."""
        self._kept += 1
        return b"" if self._kept % PING_EVERY else _WRITER.ping

    def _alone(self, signature: str) -> bytes:
        """A chunk for a signature that no other part has, as Google ends texts; ``b""`` for none."""
        return self._chunks.part(signed(EMPTY, signature)) if signature else b""


_ENCODERS: Final[dict[type[AnswerPart], Callable[[GeminiStreamEncoder, Any], bytes]]] = {
    Start: GeminiStreamEncoder._start,
    TextDelta: GeminiStreamEncoder._text,
    RefusalDelta: GeminiStreamEncoder._refusal,
    ReasoningDelta: GeminiStreamEncoder._thought,
    ReasoningBlob: GeminiStreamEncoder._blob,
    CallStart: GeminiStreamEncoder._call_start,
    CallDelta: GeminiStreamEncoder._call_delta,
    CallEnd: GeminiStreamEncoder._call_end,
    BlockEnd: GeminiStreamEncoder._end_block,
    CitationPart: GeminiStreamEncoder._citation,
    LogprobsPart: GeminiStreamEncoder._logprobs,
    UsagePart: GeminiStreamEncoder._note,
    Finish: GeminiStreamEncoder._note,
    Dropped: GeminiStreamEncoder._note,
}
