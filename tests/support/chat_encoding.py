"""Conversations encoded as requests of Chat Completions."""

from __future__ import annotations

from typing import Any, NamedTuple

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.request_encoder import ChatRequestEncoder
from proxy.dialects.translation.base import EncodingTarget
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import Conversation, ConversationMessage, Part, Role, Text
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames

ISSUER = "me"
FACTS = ModelFacts()
OPENAI = ModelFacts(openai=True, limit_name="max_completion_tokens")


class Encoded(NamedTuple):
    body: dict[str, Any]
    dropped: tuple[str, ...]


def encoding(facts: ModelFacts = FACTS, source: str = "anthropic.messages") -> ChatEncoding:
    return ChatEncoding(facts, ISSUER, Losses(), ToolNames(), member_names(source))


def encode(conversation: Conversation, facts: ModelFacts = FACTS, *, strict: bool = False) -> Encoded:
    losses = Losses(strict)
    body = ChatRequestEncoder().encode(conversation, EncodingTarget("up-model", facts, ISSUER), losses, ToolNames())
    return Encoded(body, losses.names)


def message(role: Role, *parts: Part | str, **members: Any) -> ConversationMessage:
    return ConversationMessage(role, [Text(part) if isinstance(part, str) else part for part in parts], **members)


def asking(*messages: ConversationMessage, source: str = "anthropic.messages", **members: Any) -> Conversation:
    """A conversation; without messages, one of a single word."""
    return Conversation(source, list(messages) or [message("user", "Hi")], **members)
