"""Chat requests for tests of their decoders."""

from __future__ import annotations

import json
from typing import Any

from proxy.dialects.openai.chat.client.request_decoder import ChatRequestDecoder
from proxy.dialects.translation.conversation import Conversation, ConversationMessage
from proxy.errors import Untranslatable, WrongMember

HI: dict[str, Any] = {"role": "user", "content": "Hi"}


def decoded(**request: Any) -> Conversation:
    """The conversation of a request with these members."""
    return ChatRequestDecoder().decode(json.dumps({"model": "m", "messages": [HI]} | request).encode())


def messages(*given: dict[str, Any]) -> list[ConversationMessage]:
    return decoded(messages=list(given)).messages


def dropped(**request: Any) -> list[str]:
    return decoded(**request).dropped


def assistant(**members: Any) -> ConversationMessage:
    """An assistant message with these members, decoded."""
    return messages({"role": "assistant", **members})[0]


def refused(**request: Any) -> str | None:
    """The member that the error for a request names; ``None`` for a request that is taken."""
    try:
        decoded(**request)
    except (Untranslatable, WrongMember) as fault:
        return fault.param
    return None
