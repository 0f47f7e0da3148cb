"""``openai.responses`` on the wire: the stream's reader.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from proxy.dialects import provider_error
from proxy.dialects.base import AnswerInfo, EventKind
from proxy.dialects.openai import usage as openai_usage
from proxy.dialects.openai.reader import OpenAIReader
from proxy.dialects.openai.schema import decode_event
from proxy.dialects.provider_error import ProviderError
from proxy.dialects.usage import Usage, UsageDetails
from proxy.wire.document import is_utf8
from proxy.wire.sse import CR

TERMINAL: Final = frozenset(("response.completed", "response.failed", "response.incomplete"))
# Sent before any content; a failure after them can still become an HTTP error.
PRELIMINARY: Final = frozenset(("response.created", "response.queued", "response.in_progress"))


class ResponsesReader(OpenAIReader):
    """Reads ``response.*`` events; the stream is whole after one of ``TERMINAL``."""

    __slots__ = ()

    ends_with_done = False

    @staticmethod
    def read_answer(body: bytes) -> AnswerInfo:
        """As of all readers of the API, with the number of searches."""
        info = OpenAIReader.read_answer(body)
        if info.usage is None or b'"web_search_call"' not in body:
            return info
        return replace(info, usage=_with_searches(info.usage, msgspec.json.decode(body))) if info.strict else info

    def plain(self, block: bytes) -> bool:
        """``event: response.<something>.delta`` with one line of data."""
        start = block.find(b"\n") + 1
        if (
            block.find(b"\n", start) != len(block) - 2
            or not block.startswith(b"event: response.")
            or not block.startswith(b"data: {", start)
            or not block.endswith(b"}\n\n")
            or not (block.isascii() or is_utf8(block))
            or CR in block
        ):
            return False
        try:
            typed = decode_event(block[start + 6 :])
        except (msgspec.DecodeError, RecursionError):
            return False
        if typed.error or typed.type in TERMINAL or typed.type in PRELIMINARY or not typed.type.startswith("response."):
            return False
        self.sequence = typed.sequence_number
        return True

    def _understand(self, event: Any, name: bytes | None) -> EventKind:
        if not isinstance(event, dict):
            return EventKind.CONTENT
        kind = event.get("type")
        if not isinstance(kind, str):
            kind = ""
        number = event.get("sequence_number")
        if isinstance(number, int):
            self.sequence = number
        response = event.get("response")
        if isinstance(response, dict):
            model, answer_id = response.get("model"), response.get("id")
            if isinstance(model, str):
                self.response_model = model
            if isinstance(answer_id, str):
                self.answer_id = answer_id
            usage = openai_usage.find(response)
            if usage is not None:
                self._usage = _with_searches(usage, response)
        if kind in TERMINAL:
            self.complete = self.ended = True
        if kind == "error" or kind == "response.failed":
            self.error = self.error or _error_of(event, response)
            return EventKind.ERROR
        error = provider_error.find(event)
        if error is not None:
            self.error = error
            return EventKind.ERROR
        return EventKind.PRELIMINARY if kind in PRELIMINARY else EventKind.CONTENT


def _with_searches(usage: Usage, response: object) -> Usage:
    """OpenAI bills each search, and not the pages that are opened: https://platform.openai.com/docs/pricing"""
    output = response.get("output") if isinstance(response, dict) else None
    found = sum(map(_is_search, output)) if isinstance(output, list) else 0
    if not found:
        return usage
    details = UsageDetails() if usage.details is UNSET else usage.details
    return replace(usage, details=replace(details, web_searches=found))


def _is_search(item: object) -> bool:
    if not isinstance(item, dict) or item.get("type") != "web_search_call":
        return False
    action = item.get("action")
    return not isinstance(action, dict) or action.get("type") == "search"


def _error_of(event: dict[str, Any], response: object) -> ProviderError:
    """``error`` events carry their fields at the top or under ``error``; failed responses under ``response.error``."""
    nested = provider_error.find(event) or provider_error.find(response)
    if nested is not None:
        return nested
    return provider_error.find({"error": event}) or ProviderError("The provider reported an error.")
