"""Neutral parts as the events of the Messages API.

Source: https://docs.claude.com/en/docs/build-with-claude/streaming, and how the package anthropic 2.14 adds events up
"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any, Final

import msgspec

from proxy.dialects.anthropic import stop, usage
from proxy.dialects.anthropic.citation import location_of, markdown_of
from proxy.dialects.anthropic.client import answer_blocks
from proxy.dialects.anthropic.client.block_events import AFTER, BlockEvents, DeltaMember, event
from proxy.dialects.anthropic.client.call_input import CallInput
from proxy.dialects.anthropic.writer import AnthropicWriter
from proxy.dialects.translation import blobs
from proxy.dialects.translation.answer_losses import CitationMembers
from proxy.dialects.translation.base import AnswerContext, StreamEncoder
from proxy.dialects.translation.conversation import Citation
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

MOST_HIDDEN: Final = 256 * 1024  # characters of thoughts in one signature
PING_EVERY: Final = 64  # parts of hidden thoughts, as clients give up on a long silence

_WRITER: Final = AnthropicWriter()
_encode: Final = msgspec.json.Encoder().encode


class MessagesStreamEncoder(StreamEncoder):
    """Makes ``message_start`` to ``message_stop``.

    The stop reason and the usage are left to ``finish``, as providers send the usage last.
    """

    __slots__ = (
        *("_before", "_blocks", "_called", "_continues", "_finish", "_hidden", "_hides", "_input", "_pieces"),
        *("_refused", "_sources", "_started", "_thinks", "_usage"),
    )

    sequential = True
    cites = CitationMembers(page=frozenset({"title", "quote"}), document=frozenset({"title", "quote", "file_id"}))

    def __init__(self, context: AnswerContext) -> None:
        super().__init__(context)
        self._started = False
        self._blocks = BlockEvents()
        self._continues: type[AnswerPart] | None = None  # parts that only add their text to the open block
        self._before = b""  # ``before`` of the open block
        self._input = CallInput()  # of the open call
        self._thinks = context.request.thinking.mode != "off"
        self._hides = context.request.thinking.shown == "omitted"
        self._hidden = StringIO()  # thoughts of the open block that the client does not want to see
        self._pieces = 0  # of such thoughts
        self._sources: list[Citation] = []  # of a text that has not begun
        self._called = False
        self._refused = False
        self._finish: Finish | None = None
        self._usage: Usage | None = None

    # Once per token.
    def encode(self, part: AnswerPart) -> bytes:
        if type(part) is self._continues:
            try:
                return self._before + _encode(part.text) + AFTER  # type: ignore[union-attr]  # these have a text
            except UnicodeEncodeError:  # half a surrogate pair
                return self._blocks.delta(part.text)  # type: ignore[union-attr]
        return _ENCODERS[type(part)](self, part)

    def finish(self) -> bytes:
        ending = stop.members_of(self._finish, called=self._called, refused=self._refused)
        last = event("message_delta", delta=ending, usage=usage.event_counts(self._usage))
        sources, self._sources = self._sources, []
        alone = self._text(TextDelta("".join(map(markdown_of, sources))))
        return self._start(Start()) + alone + self._close() + last + _WRITER.terminal

    def failed(self, fault: GatewayError) -> bytes:
        return _WRITER.error_event(fault, self.sequence)

    def _start(self, part: Start) -> bytes:
        """``message_start``, once. Its usage is an estimate, which the last event corrects."""
        if self._started:
            return b""
        self._started = True
        message = answer_blocks.message(self.context, part.model)
        message["usage"] = usage.message_counts(None, self.context.input_tokens)
        return event("message_start", message=message)

    def _text(self, part: TextDelta | RefusalDelta) -> bytes:
        if not part.text:
            return b""
        self._refused = self._refused or type(part) is RefusalDelta
        begin = self._begin(answer_blocks.text(""), "text", type(part)) + self._blocks.delta(part.text)
        sources, self._sources = self._sources, []
        return begin + b"".join(map(self._cite, sources))

    def _reasoning(self, part: ReasoningDelta) -> bytes:
        if not part.text or not self._thinks:
            return b""
        if self._hides:
            begin = b"" if self._blocks.open == "thinking" else self._begin_thinking()
            return begin + self._hide(part.text)
        return self._begin_thinking(ReasoningDelta) + self._blocks.delta(part.text)

    def _hide(self, text: str) -> bytes:
        """Keep thoughts for the signature of their block."""
        self._pieces += 1
        self._hidden.write(text)
        if self._hidden.tell() >= MOST_HIDDEN:
            return self._close()  # the rest goes into another block
        return b"" if self._pieces % PING_EVERY else _WRITER.ping

    def _reasoning_blob(self, part: ReasoningBlob) -> bytes:
        if not self._thinks:
            return b""
        if part.blob.kind == "redacted":
            return self._begin(answer_blocks.redacted(part.blob, self.context)) + self._blocks.stop()
        begin = b"" if self._blocks.open == "thinking" else self._begin_thinking()
        return begin + self._signed(blobs.pack(part.blob, self.context.issuer, self._thoughts()))

    def _call_start(self, part: CallStart) -> bytes:
        """A call; before it a block for its signature, for which ``tool_use`` has no place."""
        before = b""
        if part.blob is not None:
            before = self._begin_thinking() + self._signed(blobs.pack_call(part.blob, self.context.issuer))
        self._called = True
        self._input = CallInput(part.kind)
        return before + self._begin(answer_blocks.call(part.id, part.name, {}), "partial_json")

    def _call_delta(self, part: CallDelta) -> bytes:
        if self._blocks.open != "partial_json":
            return b""
        text = self._input.add(part.text)
        if self._input.plain:
            self._continues = CallDelta
        return self._blocks.delta(text) if text else b""

    def _citation(self, part: CitationPart) -> bytes:
        """A source of the open text, or of the one that follows: some providers name their sources first."""
        if self._blocks.open == "text":
            return self._cite(part.citation)
        self._sources.append(part.citation)
        return b""

    def _cite(self, citation: Citation) -> bytes:
        return self._blocks.other_delta("citations_delta", citation=location_of(citation))

    def _end(self, part: BlockEnd | CallEnd) -> bytes:
        return self._close()

    def _note(self, part: UsagePart | Finish | LogprobsPart | Dropped) -> bytes:
        """Note what ``finish`` needs. Clients of this API cannot ask for log probabilities."""
        if isinstance(part, UsagePart):
            self._usage = part.usage
        elif isinstance(part, Finish):
            self._finish = part
        return b""

    def _begin_thinking(self, continues: type[AnswerPart] | None = None) -> bytes:
        return self._begin(answer_blocks.thinking("", ""), "thinking", continues)

    def _begin(
        self, block: dict[str, Any], deltas: DeltaMember = "", continues: type[AnswerPart] | None = None
    ) -> bytes:
        """Open a block. ``continues``: parts that need nothing but their text added."""
        begin = self._start(Start()) + self._close() + self._blocks.begin(block, deltas)
        self._continues, self._before = continues, self._blocks.before
        return begin

    def _close(self) -> bytes:
        """End the open block, if there is one."""
        self._continues = None
        match self._blocks.open:
            case "text":
                return self._blocks.stop()
            case "thinking":
                return self._signed(blobs.pack(None, self.context.issuer, self._thoughts()))
            case "partial_json":
                rest = self._input.end()
                return (self._blocks.delta(rest) if rest else b"") + self._blocks.stop()
        return b""

    def _signed(self, signature: str) -> bytes:
        """End open thinking. It always gets a signature, as clients may not send it back without one."""
        self._continues = None
        return self._blocks.other_delta("signature_delta", signature=signature) + self._blocks.stop()

    def _thoughts(self) -> str:
        """Take the hidden thoughts of the open block."""
        text = self._hidden.getvalue()
        self._hidden = StringIO()
        return text


_ENCODERS: Final[dict[type[AnswerPart], Callable[[MessagesStreamEncoder, Any], bytes]]] = {
    Start: MessagesStreamEncoder._start,
    TextDelta: MessagesStreamEncoder._text,
    RefusalDelta: MessagesStreamEncoder._text,
    ReasoningDelta: MessagesStreamEncoder._reasoning,
    ReasoningBlob: MessagesStreamEncoder._reasoning_blob,
    CallStart: MessagesStreamEncoder._call_start,
    CallDelta: MessagesStreamEncoder._call_delta,
    CallEnd: MessagesStreamEncoder._end,
    BlockEnd: MessagesStreamEncoder._end,
    CitationPart: MessagesStreamEncoder._citation,
    UsagePart: MessagesStreamEncoder._note,
    Finish: MessagesStreamEncoder._note,
    LogprobsPart: MessagesStreamEncoder._note,
    Dropped: MessagesStreamEncoder._note,
}
