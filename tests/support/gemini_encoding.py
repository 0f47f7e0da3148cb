"""Conversations encoded as requests of the Gemini API."""

from __future__ import annotations

from typing import Any, NamedTuple

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.gemini.provider.request_encoder import GeminiRequestEncoder
from proxy.dialects.translation.base import EncodingTarget
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import Conversation, ConversationMessage, Part, Role, Text
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from proxy.providers.models.gemini import GEMINI
from tests.support.conversations import OWN

NEW = GEMINI["gemini-3.8-flash"]
OLD = GEMINI["gemini-2.5-flash"]
OLDEST = GEMINI["gemini-2.0-flash"]


class EncodedForGemini(NamedTuple):
    body: dict[str, Any]
    dropped: tuple[str, ...]

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body.get("generationConfig", {})
        return found


def encoding(facts: ModelFacts = NEW, source: str = "openai.chat") -> GeminiEncoding:
    return GeminiEncoding(facts, OWN, Losses(), ToolNames(letter_first=True), member_names(source))


def encode(conversation: Conversation, facts: ModelFacts = NEW, *, strict: bool = False) -> EncodedForGemini:
    losses = Losses(strict)
    target = EncodingTarget("gemini-up", facts, OWN)
    body = GeminiRequestEncoder().encode(conversation, target, losses, ToolNames(letter_first=True))
    return EncodedForGemini(body, losses.names)


def message(role: Role, *parts: Part | str, **members: Any) -> ConversationMessage:
    return ConversationMessage(role, [Text(part) if isinstance(part, str) else part for part in parts], **members)


def asking(*messages: ConversationMessage, source: str = "openai.chat", **members: Any) -> Conversation:
    """A conversation; without messages, one of a single word."""
    return Conversation(source, list(messages) or [message("user", "Hi")], **members)
