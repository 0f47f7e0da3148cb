"""Request bodies of the Messages API: the few members that the gateway reads.

Everything else in the body passes through byte for byte. No unknown member is refused: clients add some every month.
Source: https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.anthropic import estimate
from proxy.dialects.call import Call
from proxy.dialects.json_call import JsonRequestReader

READ: Final = frozenset({"model", "stream", "messages"} | {"system", "tools", "max_tokens"})  # the last for estimate.py

# The other usual members: a call with no others needs no further checks.
_USUAL: Final = READ | {
    *("metadata", "thinking", "tool_choice", "stop_sequences", "temperature", "top_p", "top_k", "service_tier"),
    *("output_config", "output_format", "context_management", "cache_control", "container", "mcp_servers"),
    *("inference_geo", "speed", "diagnostics", "betas", "anthropic_version", "anthropic_beta"),
}


class MessagesRequests(JsonRequestReader):
    """Reads calls of ``messages``."""

    __slots__ = ()

    media_marks = (b'"image"', b'"document"')
    media = estimate.MEDIA
    prompt_tokens = staticmethod(estimate.prompt_tokens)
    output_tokens = staticmethod(estimate.output_tokens)


class CountRequests(JsonRequestReader):
    """Reads calls of ``messages/count_tokens``. They cost no tokens."""

    __slots__ = ()

    media = estimate.MEDIA

    def prompt_tokens(self, call: Call, per_image: int, per_audio: int) -> int:
        return 0

    def output_tokens(self, call: Call, model_max: int, default: int) -> int:
        return 0


REQUESTS: Final = MessagesRequests(READ, _USUAL)
COUNTS: Final = CountRequests(READ, _USUAL)
