"""The reasoning in assistant messages, decoded.

No API of OpenAI has it, but ``reasoning_content`` (DeepSeek, Kimi, GLM) and ``reasoning`` (vLLM, OpenRouter) are its
text. ``reasoning_details`` is OpenRouter's: https://openrouter.ai/docs/guides/best-practices/reasoning-tokens
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from proxy.dialects.translation import blobs, members
from proxy.dialects.translation.conversation import Blob, Reasoning
from proxy.dialects.translation.members import JsonObject

REASONING: Final = frozenset({"reasoning", "reasoning_content", "reasoning_details"})
_PATH: Final = "messages[].reasoning_details"
_DETAIL: Final = frozenset({"type", "text", "signature", "summary", "data", "id", "index", "format"})
_THINKING: Final = frozenset({"type", "thinking", "signature", "closed"})
_REDACTING: Final = "anthropic"  # formats of providers whose encrypted reasoning stands instead of a text


class ReasoningOfMessage:
    """The reasoning of one assistant message, and the signatures of its calls by their ids.

    ``calls``: ids of the message's tool calls.
    """

    __slots__ = ("_calls", "_dropped", "_index", "found", "signatures")

    def __init__(self, message: JsonObject, calls: Collection[str], dropped: list[str]) -> None:
        self.found: list[Reasoning] = []
        self.signatures: dict[str, Blob] = {}
        self._calls = calls
        self._dropped = dropped
        self._index: Any = None  # of the last detail
        members.each(message, "reasoning_details", self._add)
        text = members.text(message, "reasoning_content") or members.text(message, "reasoning")
        if text and not any(each.text for each in self.found):
            self._add_text(text)

    def _add(self, detail: JsonObject) -> None:
        self._dropped += members.unknown(detail, _DETAIL, _PATH + "[].")
        kind = members.text(detail, "type")
        if kind == "reasoning.text":
            unpacked = blobs.unpack(members.text(detail, "signature"))
            self._add_block(detail, members.text(detail, "text") or unpacked.text, unpacked.blob, summary=False)
        elif kind == "reasoning.summary":
            self._add_block(detail, members.text(detail, "summary"), None, summary=True)
        elif kind == "reasoning.encrypted":
            self._add_encrypted(detail)
        else:
            self._dropped.append(f"{_PATH}[{kind}]")
        self._index = detail.get("index")

    def _add_block(self, detail: JsonObject, text: str, blob: Blob | None, *, summary: bool) -> None:
        """Add a text to its block: clients may send the pieces of a stream as they came."""
        last = self.found[-1] if self.found else None
        if last is None or last.blob is not None or last.summary is not summary or detail.get("index") != self._index:
            self.found.append(Reasoning(text, blob, summary, members.text(detail, "id")))
            return
        last.text += text
        last.blob = blob

    def _add_encrypted(self, detail: JsonObject) -> None:
        """Add what only its issuer can read: of a call, of the summary or text before it, or instead of a text."""
        redacts = members.text(detail, "format").startswith(_REDACTING)
        unpacked = blobs.unpack(members.text(detail, "data"), "redacted" if redacts else "encrypted")
        blob, owner = unpacked.blob, members.text(detail, "id")
        if blob is None:
            return
        if owner in self._calls:
            self.signatures[owner] = Blob(blob.data, "signature", blob.issuer)
            return
        last = self.found[-1] if self.found else None
        if last is not None and last.blob is None and last.id == owner and blob.kind != "redacted":
            last.blob = blob
        else:
            self.found.append(Reasoning(unpacked.text, blob, False, owner))

    def _add_text(self, text: str) -> None:
        """Add a text that stands beside the details: that of the only signature, or a block of its own."""
        if len(self.found) == 1 and self.found[0].blob is not None and self.found[0].blob.kind == "signature":
            self.found[0].text = text
        else:
            self.found.insert(0, Reasoning(text))


def of_part(part: JsonObject, dropped: list[str]) -> Reasoning:
    """Mistral's content of type ``thinking``: ``thinking`` is a text or an array of texts."""
    dropped += members.unknown(part, _THINKING, "messages[].content[].")
    unpacked = blobs.unpack(members.text(part, "signature"))
    if isinstance(part.get("thinking"), list):
        text = "".join(members.each(part, "thinking", lambda piece: members.text(piece, "text")))
    else:
        text = members.text(part, "thinking")
    return Reasoning(text or unpacked.text, unpacked.blob)
