"""The object ``response`` of answers and of lifecycle events.

Source: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from proxy.dialects.openai.responses.client.echo import echo_of
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.parts import FinishReason
from proxy.dialects.usage import Usage
from proxy.wire import document

ResponseStatus: TypeAlias = Literal["in_progress", "completed", "incomplete", "failed"]

# Reasons of an answer that is not complete. A refusal is: OpenAI's have a part of their own.
INCOMPLETE: Final[dict[FinishReason, str]] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "content_filter": "content_filter",
}


class ResponseObject:
    """Makes the object of one response. ``model``: as the answer names it. ``usage``: so far."""

    __slots__ = ("_echo", "_head", "_named", "model", "usage")

    def __init__(self, context: AnswerContext) -> None:
        self._head = b'{"id":%b,"object":"response","created_at":%d,"completed_at":null,"status":"' % (
            document.encode(f"resp_{context.id}"),
            context.created,
        )
        self._echo = context.request.echo or echo_of({}, [])
        self._named = bool(context.model)
        self.model = context.model
        self.usage: Usage | None = None

    def name_model(self, model: str) -> None:
        """The provider's name of the model, unless the answer must have another."""
        if not self._named:
            self.model = model

    def make(
        self,
        status: ResponseStatus,
        output: Iterable[bytes] = (),
        *,
        error: dict[str, str] | None = None,
        incomplete: str = "",
    ) -> bytes:
        """The object as JSON. ``output``: the items so far, each as JSON. ``incomplete``: the reason, if it is."""
        own = {
            "background": False,
            "error": error,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "max_tool_calls": None,
            "model": self.model,
            "previous_response_id": None,
            "store": False,
            "truncation": "disabled",
            "usage": None if self.usage is None else usage_object(self.usage),
        }
        members = document.encode(own)[1:-1]
        return b'%b%b",%b,%b,"output":[%b]}' % (self._head, status.encode(), members, self._echo, b",".join(output))


def usage_object(usage: Usage) -> dict[str, Any] | None:
    """``None`` where the provider reported nothing. Other missing counts are 0, as clients require all."""
    if usage.total_input is None and usage.total_output is None:
        return None
    read, written = usage.total_input or 0, usage.total_output or 0
    details = usage.details or None
    stored = 0 if details is None else (details.cache_write or 0) + (details.cache_write_1h or 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": stored},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": read + written,
    }
