"""``reasoning-with-calls``: the member that DeepSeek and Moonshot want beside tool calls while a model thinks.

https://api-docs.deepseek.com/guides/thinking_mode, https://github.com/anomalyco/opencode/issues/25758
Most clients do not keep the reasoning of an answer. An empty one is taken: https://github.com/vercel/ai/issues/13203
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.patches.base import BodyChange, Steps, moved, objects_with
from proxy.wire.patch import Edit, Members

_NAME: Final = "reasoning_content"
_ADDED: Final = b'"reasoning_content":"",'


def with_reasoning(members: Members) -> Steps:
    """``Patch.find`` for the messages of Chat Completions."""
    edits: list[Edit] = []
    for message, at in (yield from objects_with(members, "messages", b'"tool_calls"')):
        if message.raw("role") != b'"assistant"' or message.first_byte("tool_calls") != b"[":
            continue
        if _NAME not in message:
            edits.append((at + 1, at + 1, _ADDED))  # it has other members, so a comma follows
        elif message.raw(_NAME) == b"null":
            edits.append((*moved(message.span(_NAME), at), b'""'))
    return BodyChange(edits=edits) if edits else None
