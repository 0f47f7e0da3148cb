"""Conversations encoded as requests of the Responses API."""

from __future__ import annotations

from typing import Any

from proxy.dialects.openai.responses.provider.request_encoder import ResponsesRequestEncoder
from proxy.dialects.translation.base import EncodingTarget
from proxy.dialects.translation.conversation import Conversation, ConversationMessage
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from tests.support.chat_encoding import ISSUER, Encoded, asking

OPENAI = ModelFacts(openai=True, efforts=("none", "low", "high"))
OTHER = ModelFacts(efforts=())


def encode(conversation: Conversation, facts: ModelFacts = OPENAI, *, strict: bool = False) -> Encoded:
    losses = Losses(strict)
    target = EncodingTarget("up-model", facts, ISSUER)
    return Encoded(ResponsesRequestEncoder().encode(conversation, target, losses, ToolNames()), losses.names)


def items(*messages: ConversationMessage, facts: ModelFacts = OPENAI, source: str = "openai.chat") -> list[Any]:
    """The input for these messages, after one of the user."""
    body = encode(asking(ConversationMessage("user", []), *messages, source=source), facts).body
    found: list[Any] = body["input"]
    return found


def settings(facts: ModelFacts = OPENAI, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a request has beside its input, and what is lost."""
    found = encode(asking(source="openai.chat", **members), facts)
    return {name: value for name, value in found.body.items() if name not in ("model", "input")}, found.dropped
