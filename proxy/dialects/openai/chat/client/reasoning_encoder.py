"""The reasoning of an answer, encoded: its text as ``reasoning_content``, and with its blobs as ``reasoning_details``.

Source: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens. A signature stands beside its text. Any other
blob, and that of a summary, has an entry of its own. The SDKs add up the entries of a stream by ``index``.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.dialects.openai.chat.client.chunks import ChatChunks
from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.gathered import CallBlock, GatheredBlock, ReasoningBlock
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import ReasoningBlob, ReasoningDelta
from proxy.wire.document import encode


class ChatReasoningEncoder:
    """Encodes the reasoning of one stream.

    A text that must not be shown is kept until its blob comes, and is packed into that.
    """

    __slots__ = ("_chunks", "_context", "_count", "_head", "_hidden", "_kind", "_middle", "_tail")

    def __init__(self, context: AnswerContext, chunks: ChatChunks) -> None:
        self._context = context
        self._chunks = chunks
        self._count = 0  # entries that have begun
        self._kind = ""  # ``text`` or ``summary``: of the entry to which the next text is added
        self._head = self._middle = self._tail = b""  # around the two copies of a text
        self._hidden: list[str] | None = [] if hides_reasoning(context) else None

    def delta(self, part: ReasoningDelta) -> bytes:
        """Called once per token."""
        if self._hidden is not None:
            self._hidden.append(part.text)
            return b""
        kind = "summary" if part.summary else "text"
        if kind != self._kind:
            self._begin(kind)
        text = encode(part.text)
        return self._head + text + self._middle + text + self._tail

    def blob(self, part: ReasoningBlob) -> bytes:
        value = blobs.pack(part.blob, self._context.issuer, "".join(self._hidden or ()))
        if part.blob.kind != "signature" or self._kind == "summary":
            entry = _encrypted(self._next(), value)
        else:
            entry = _signed(self._count - 1 if self._kind else self._next(), "", value)
        self.end()
        return self._chunks.delta({"reasoning_details": [entry]})

    def of_call(self, call_id: str, signature: Blob) -> JsonObject:
        """The entry for the signature of a call."""
        return _encrypted(self._next(), blobs.pack(signature, self._context.issuer), call_id)

    def end(self) -> None:
        """The reasoning so far is complete."""
        self._kind = ""
        if self._hidden:
            self._hidden.clear()

    def _begin(self, kind: str) -> None:
        self._kind = kind
        name = kind.encode()
        self._head = self._chunks.head + b'{"reasoning_content":'
        self._middle = b',"reasoning_details":[{"index":%d,"type":"reasoning.%b","%b":' % (self._next(), name, name)
        self._tail = b"}]}" + self._chunks.tail

    def _next(self) -> int:
        self._count += 1
        return self._count - 1


def hides_reasoning(context: AnswerContext) -> bool:
    """Whether the text of the reasoning must not be shown."""
    return context.request.thinking.shown == "omitted"


def reasoning_members(context: AnswerContext, blocks: Iterable[GatheredBlock]) -> JsonObject:
    """The members of a whole message for all of its reasoning."""
    hide = hides_reasoning(context)
    details: list[JsonObject] = []
    texts = []
    for block in blocks:
        if isinstance(block, ReasoningBlock):
            _add(details, block, context.issuer, hide)
            texts.append(block.text)
        elif isinstance(block, CallBlock) and block.blob is not None:
            details.append(_encrypted(len(details), blobs.pack(block.blob, context.issuer), block.id))
    text = "" if hide else "".join(texts)
    return ({"reasoning_content": text} if text else {}) | ({"reasoning_details": details} if details else {})


def _add(details: list[JsonObject], block: ReasoningBlock, issuer: str, hide: bool) -> None:
    blob, text = block.blob, "" if hide else block.text
    value = blobs.pack(blob, issuer, block.text if hide else "") if blob is not None else ""
    if blob is not None and blob.kind == "signature" and not (text and block.summary):
        details.append(_signed(len(details), text, value))
        return
    if text:
        kind = "summary" if block.summary else "text"
        details.append({"type": f"reasoning.{kind}", kind: text, "index": len(details)})
    if value:
        details.append(_encrypted(len(details), value))


def _signed(index: int, text: str, signature: str) -> JsonObject:
    return {"type": "reasoning.text", "text": text, "signature": signature, "index": index}


def _encrypted(index: int, data: str, owner: str = "") -> JsonObject:
    """``owner``: id of a call. That is for clients that lose ``extra_content``."""
    return {"type": "reasoning.encrypted", "data": data, "index": index} | ({"id": owner} if owner else {})
