"""Content blocks of answers, which events and whole messages share.

Source: https://docs.claude.com/en/api/messages, and the types of the package anthropic 2.14
"""

from __future__ import annotations

from typing import Any

from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


def thinking(text: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


def redacted(blob: Blob, context: AnswerContext) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": blobs.pack(blob, context.issuer)}


def call(call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def message(context: AnswerContext, model: str) -> dict[str, Any]:
    """A message without content, stop reason and usage. ``model`` is the provider's name."""
    return {
        "id": f"msg_{context.id}",
        "type": "message",
        "role": "assistant",
        "model": context.model or model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }
