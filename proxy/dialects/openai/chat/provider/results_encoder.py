"""Results of tools, as chat has them: messages of the role ``tool``, which can have text only.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.dialects.openai.chat import cache_breakpoints
from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.assistant_encoder import call_id
from proxy.dialects.openai.chat.provider.content_encoder import ChatContentEncoder, compact, only_text
from proxy.dialects.translation.conversation import Text, ToolResult
from proxy.dialects.translation.members import JsonObject

_EMPTY: Final = "(no output)"
_FOLLOWS: Final = "(The output follows in a message of the user.)"
_FAILED: Final = "Error: "


class EncodedResult(Struct):
    """``moved``: content that is no text, for a message of the user after the last result."""

    message: JsonObject
    moved: list[JsonObject] = []


class ResultsEncoder:
    """Encodes the tool results of one request."""

    __slots__ = ("_content", "_encoding")

    def __init__(self, encoding: ChatEncoding) -> None:
        self._encoding = encoding
        self._content = ChatContentEncoder(encoding, encoding.client.result)

    def result(self, result: ToolResult) -> EncodedResult:
        """Raises Untranslatable for content that chat lacks."""
        own_id, text = call_id(result.call_id), only_text(result.content)
        if text and not result.is_error and result.cache is None:  # the usual case, in a third of the time
            return EncodedResult({"role": "tool", "tool_call_id": own_id, "content": text})
        texts: list[JsonObject] = []
        moved: list[JsonObject] = []
        for part in result.content:
            if isinstance(part, Text):
                texts += self._content.text(part)
            else:
                for encoded in self._content.parts([part]):
                    (texts if encoded["type"] == "text" else moved).append(encoded)
        if not texts:
            texts.append({"type": "text", "text": _FOLLOWS if moved else _EMPTY})
        if result.is_error:
            texts[0]["text"] = _FAILED + texts[0]["text"]
        cache_breakpoints.mark(texts[-1], result.cache, self._encoding, self._encoding.client.cache_result)
        if moved:
            moved.insert(0, {"type": "text", "text": f"Output of the tool call {own_id}:"})
        return EncodedResult({"role": "tool", "tool_call_id": own_id, "content": compact(texts)}, moved)
