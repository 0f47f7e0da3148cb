"""Requests of the Gemini API for tests of their decoders."""

from __future__ import annotations

import json
from typing import Any

from proxy.dialects.gemini.client.request_decoder import GeminiRequestDecoder
from proxy.dialects.translation.conversation import Conversation, ConversationMessage, Part
from proxy.errors import Untranslatable, WrongMember

Json = dict[str, Any]


def user(*parts: Any) -> Json:
    """A turn of the user. A text stands for its part."""
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def model(*parts: Any) -> Json:
    """A turn of the model."""
    return user(*parts) | {"role": "model"}


def call(name: str, call_id: str = "", signature: str = "", **arguments: Any) -> Json:
    """A part with a call."""
    found: Json = {"functionCall": {"name": name, "args": arguments} | ({"id": call_id} if call_id else {})}
    return found | ({"thoughtSignature": signature} if signature else {})


def result(name: str, call_id: str = "", **response: Any) -> Json:
    """A part with a result."""
    return {"functionResponse": {"name": name, "response": response} | ({"id": call_id} if call_id else {})}


def decoded(*contents: Json, **members: Any) -> Conversation:
    """The conversation of a request with these contents, by default a greeting, and other members."""
    body = {"contents": list(contents) or [user("Hi")]} | members
    return GeminiRequestDecoder().decode(json.dumps(body).encode())


def messages(*contents: Json) -> list[ConversationMessage]:
    return decoded(*contents).messages


def parts(*given: Any) -> list[Part]:
    """The parts of one turn of the model."""
    (message,) = messages(model(*given))
    return message.content


def dropped(*contents: Json, **members: Any) -> list[str]:
    return decoded(*contents, **members).dropped


def refused(*contents: Json, **members: Any) -> str | None:
    """The member that the error for a request names; ``None`` for a request that is taken."""
    try:
        decoded(*contents, **members)
    except (Untranslatable, WrongMember) as fault:
        return fault.param
    return None
