"""The reasoning of earlier turns, as a chat provider wants it back in assistant messages.

DeepSeek and Kimi need the text beside tool calls, if only an empty one, and ignore it elsewhere:
https://api-docs.deepseek.com/guides/thinking_mode. Others take it everywhere, and some refuse it. OpenRouter wants its
``reasoning_details`` unchanged: https://openrouter.ai/docs/use-cases/reasoning-tokens
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.content_encoder import SEPARATOR
from proxy.dialects.openai.chat.provider.reasoning_blobs import (
    THINKING,
    details_of,
    entry_of,
    plain_detail,
    thinking_chunk,
)
from proxy.dialects.translation.conversation import Blob, Part, Reasoning
from proxy.dialects.translation.members import JsonObject


class ReturnedReasoning:
    """The reasoning among the parts of one assistant message. ``chunks``: what is content at Mistral."""

    __slots__ = ("_details", "_encoding", "_texts", "chunks")

    def __init__(self, encoding: ChatEncoding, parts: Iterable[Part]) -> None:
        self._encoding = encoding
        self._details: list[JsonObject] = []
        self._texts: list[Reasoning] = []
        self.chunks: list[JsonObject] = []
        for part in parts:
            if isinstance(part, Reasoning):
                self._add(part)

    def add_to(self, message: JsonObject) -> None:
        """Add the members that the provider wants."""
        wanted = self._encoding.facts.returned_reasoning
        if not self._texts and not self._details and wanted != "calls":
            return
        text = SEPARATOR.join(each.text for each in self._texts)
        called = "tool_calls" in message
        if self._details:
            message["reasoning_details"] = self._details
        elif (text and wanted == "yes") or (called and wanted == "calls"):
            message[self._encoding.facts.reasoning_name] = text
        elif text and wanted == "no":
            self._drop()

    def drop(self) -> None:
        """Tell that all is lost, as the message has nothing else."""
        if self._details or self._texts or self.chunks:
            self._drop()

    def _add(self, reasoning: Reasoning) -> None:
        blob = reasoning.blob
        entry = self._own(blob) if blob is not None else None
        if blob is not None and entry is None:
            client = self._encoding.client
            self._encoding.losses.drop(client.blob if blob.kind == "signature" else client.redacted)
        if entry is None:
            if not reasoning.text:
                return
            if self._details:
                self._details.append(plain_detail(reasoning))
            self._texts.append(reasoning)
        elif entry["type"] == THINKING:
            self.chunks.append(thinking_chunk(reasoning.text, entry))
        else:
            if not self._details:
                self._details += map(plain_detail, self._texts)
            self._details += details_of(reasoning, entry)

    def _own(self, blob: Blob) -> JsonObject | None:
        """The provider's object that the blob was made of; ``None``: another provider made it."""
        return entry_of(blob) if blob.issuer == self._encoding.issuer != "" else None

    def _drop(self) -> None:
        self._encoding.losses.drop(self._encoding.client.reasoning)
