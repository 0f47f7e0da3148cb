"""Answers of the Messages API in neutral parts: streams and whole messages.

Source: https://docs.claude.com/en/docs/build-with-claude/streaming, and the types of the package anthropic 2.14
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from proxy.dialects.anthropic.citation import PLACES, citation_of
from proxy.dialects.anthropic.provider.fragment import InputFragment, TextFragment, ThinkingFragment, decode_fragment
from proxy.dialects.anthropic.schema import MessageUsage
from proxy.dialects.anthropic.usage import find_wire, merged, totals_of
from proxy.dialects.json_events import read_payload
from proxy.dialects.translation.base import AnswerDecoder
from proxy.dialects.translation.conversation import Blob, Citation
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Dropped,
    Finish,
    FinishReason,
    ReasoningBlob,
    ReasoningDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.wire import document
from proxy.wire.sse import CR, LF

JsonObject: TypeAlias = dict[str, Any]
BlockKind: TypeAlias = Literal["text", "thinking", "call", "dropped"]

_PLAIN: Final = b"event: content_block_delta\ndata: "
_BEGIN: Final = len(_PLAIN)
_is_name: Final = re.compile(r"[a-z0-9_.]{1,64}").fullmatch

_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
}
_KINDS: Final[dict[type[Struct], BlockKind]] = {
    TextFragment: "text",
    ThinkingFragment: "thinking",
    InputFragment: "call",
}
_SILENT: Final = frozenset({"ping", "error", ""})


class _OpenBlock(Struct):
    """A content block that has begun.

    ``length``: characters so far. ``call``: number of the tool call. ``input``: its arguments, if the block began with
    them. ``citations``: sources of the whole text; they come before it.
    """

    kind: BlockKind
    length: int = 0
    call: int = 0
    input: Any = None
    citations: list[Citation] = []


class MessagesAnswerDecoder(AnswerDecoder):
    """Blocks of tools that ran at the provider, and their results, are dropped: the text has what came of them.

    The signature of a thinking block follows its text. Reasons that Anthropic may add later count as a normal end.
    """

    __slots__ = ("_begun", "_blocks", "_calls", "_counts", "_finished", "_id", "_reason")

    def __init__(self) -> None:
        self._begun = False
        self._blocks: dict[int, _OpenBlock] = {}
        self._calls = 0
        self._counts: MessageUsage | None = None
        self._finished = False
        self._id = ""
        self._reason = ""  # that the start has, where an answer was whole before it began

    # Once per token: as in ``MessagesReader.plain``.
    def plain(self, block: bytes) -> AnswerPart | None:
        data = block[_BEGIN:-2]
        if block[:_BEGIN] != _PLAIN or block[-2:] != b"\n\n" or LF in data or CR in data:
            return None
        try:
            event = decode_fragment(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        fragment, open_block = event.delta, self._blocks.get(event.index)
        text = fragment.text
        if open_block is None or not text or open_block.kind != _KINDS[type(fragment)]:
            return None
        open_block.length += len(text)
        if type(fragment) is TextFragment:
            return TextDelta(text)
        return ReasoningDelta(text) if type(fragment) is ThinkingFragment else CallDelta(open_block.call, text)

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        payload = read_payload(block, first=not self._begun)
        event = payload.document
        if payload.kind is not None or not isinstance(event, dict):
            return ()
        kind = event.get("type")
        if not isinstance(kind, str):
            kind = (payload.name or b"").decode("utf-8", "replace")
        return list(self._parts(kind, event))

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        try:
            message, _ = document.read(body)
        except ValueError:
            return ()
        if not isinstance(message, dict):
            return ()
        word = _text(message, "stop_reason") or "end_turn"
        return [*self._start(message), *self._finish(word, message)]

    def _parts(self, kind: str, event: JsonObject) -> Iterator[AnswerPart]:
        match kind:
            case "message_start":
                yield from self._start(_object(event, "message"))
            case "content_block_start":
                yield from self._open(_index(event), _object(event, "content_block"))
            case "content_block_delta":
                yield from self._extend(_index(event), _object(event, "delta"))
            case "content_block_stop":
                yield from self._close(_index(event))
            case "message_delta":
                delta = _object(event, "delta")
                yield from self._count(event)
                yield from self._finish(_text(delta, "stop_reason"), delta)
            case "message_stop":
                yield from self._finish(self._reason, {})
            case _ if kind not in _SILENT:
                yield _dropped(kind)

    def _start(self, message: JsonObject) -> Iterator[AnswerPart]:
        """Begin the answer, which may have content already. Some servers begin a second time after a retry, or send
        the same start twice.
        """
        own = _text(message, "id")
        if own and own == self._id:
            return
        yield from self._close_all()
        if not self._begun:
            self._begun = True
            yield Start(own, _text(message, "model"))
        self._id = own
        self._reason = _text(message, "stop_reason")
        yield from self._count(message)
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict):
                yield from self._open(index, block)
                yield from self._close(index)

    def _open(self, index: int, block: JsonObject) -> Iterator[AnswerPart]:
        yield from self._close(index)
        match block.get("type"):
            case "text":
                self._blocks[index] = _OpenBlock("text")
                for location in _list(block, "citations"):
                    yield from self._cite(index, location)
                yield from self._add(index, "text", _text(block, "text"))
            case "thinking":
                self._blocks[index] = _OpenBlock("thinking")
                yield from self._add(index, "thinking", _text(block, "thinking"))
                yield from _signature(block)
            case "redacted_thinking":
                if data := _text(block, "data"):
                    yield ReasoningBlob(Blob(data, "redacted"))
            case "tool_use":
                self._blocks[index] = _OpenBlock("call", call=self._calls, input=block.get("input"))
                yield CallStart(self._calls, _text(block, "id"), _text(block, "name"))
                self._calls += 1
            case kind:
                self._blocks[index] = _OpenBlock("dropped")
                yield _dropped(kind)

    def _extend(self, index: int, delta: JsonObject) -> Iterator[AnswerPart]:
        block = self._blocks.get(index)
        if block is not None and block.kind == "dropped":
            return
        match delta.get("type"):
            case "text_delta":
                yield from self._add(index, "text", _text(delta, "text"))
            case "thinking_delta":
                yield from self._add(index, "thinking", _text(delta, "thinking"))
            case "input_json_delta":
                yield from self._add(index, "call", _text(delta, "partial_json"))
            case "signature_delta":
                yield from _signature(delta)
            case "citations_delta":
                yield from self._cite(index, delta.get("citation"))
            case kind:
                yield _dropped(kind)

    def _cite(self, index: int, location: Any) -> Iterator[AnswerPart]:
        """Note a source of a block, and yield what nobody else can say of it."""
        block, citation = self._blocks.get(index), citation_of(location)
        if citation is not None and block is not None:
            block.citations.append(citation)
        if isinstance(location, dict):
            kind = location.get("type")
            if citation is None:
                yield Dropped(f"citations[{_dropped(kind).name}]")
            elif place := PLACES.get(kind if isinstance(kind, str) else ""):
                yield Dropped(f"citations.{place}")

    def _add(self, index: int, kind: BlockKind, text: str) -> Iterator[AnswerPart]:
        """A piece of a block. A text may lack its start, as some servers leave that out."""
        block = self._blocks.get(index)
        if block is None and kind != "call":
            block = self._blocks[index] = _OpenBlock(kind)
        if block is None or block.kind != kind or not text:
            return
        block.length += len(text)
        match kind:
            case "text":
                yield TextDelta(text)
            case "thinking":
                yield ReasoningDelta(text)
            case "call":
                yield CallDelta(block.call, text)

    def _close(self, index: int) -> Iterator[AnswerPart]:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        match block.kind:
            case "text":
                for citation in block.citations:
                    yield CitationPart(msgspec.structs.replace(citation, start=0, end=block.length))
                if block.length:
                    yield BlockEnd()
            case "thinking" if block.length:
                yield BlockEnd()
            case "call":
                if not block.length:
                    yield CallDelta(block.call, _arguments(block.input))
                yield CallEnd(block.call)

    def _close_all(self) -> Iterator[AnswerPart]:
        for index in tuple(self._blocks):
            yield from self._close(index)

    def _count(self, holder: JsonObject) -> Iterator[AnswerPart]:
        wire = find_wire(holder)
        if wire is None:
            return
        self._counts = merged(self._counts, wire)
        usage = totals_of(self._counts)
        if usage is not None:
            yield UsagePart(usage)

    def _finish(self, word: str, holder: JsonObject) -> Iterator[AnswerPart]:
        """The end of the answer, if there is a reason for it. ``holder`` has the details."""
        if not word or self._finished:
            return
        self._finished = True
        yield from self._close_all()
        reason = _REASONS.get(word, "stop")
        if reason == "stop" and self._calls:  # the client must run them, whatever the server says
            reason = "tool_calls"
        if reason == "pause":
            yield _dropped(word)  # no other API can say that the turn is not at its end
        details = _object(holder, "stop_details")
        detail = _text(details, "explanation") or _text(details, "category")
        yield Finish(reason, _text(holder, "stop_sequence"), detail)


def _signature(holder: JsonObject) -> Iterator[AnswerPart]:
    if signature := _text(holder, "signature"):
        yield ReasoningBlob(Blob(signature))


def _list(holder: JsonObject, name: str) -> list[Any]:
    found = holder.get(name)
    return found if isinstance(found, list) else []


def _arguments(found: Any) -> str:
    """Arguments that came as a whole; ``{}`` for none, and for those that are nested too deeply."""
    try:
        return document.encode(found).decode() if isinstance(found, dict) else "{}"
    except RecursionError:
        return "{}"


def _dropped(kind: Any) -> Dropped:
    return Dropped(kind if isinstance(kind, str) and _is_name(kind) else "content_block")


def _object(holder: JsonObject, name: str) -> JsonObject:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _text(holder: JsonObject, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _index(event: JsonObject) -> int:
    value = event.get("index")
    return value if isinstance(value, int) else -1
