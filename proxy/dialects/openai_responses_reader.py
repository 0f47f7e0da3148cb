"""``openai.responses`` on the wire: the stream's reader.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.dialects import openai_error, openai_usage
from proxy.dialects.base import Mark, opened
from proxy.dialects.openai_error import ProviderError
from proxy.dialects.openai_usage import Usage
from proxy.errors import GatewayError
from proxy.wire.document import is_utf8
from proxy.wire.sse import CR

TERMINAL = frozenset(("response.completed", "response.failed", "response.incomplete"))
# Sent before the model has said anything; a failure after them can still become an HTTP error.
QUIET = frozenset(("response.created", "response.queued", "response.in_progress"))


class _Typed(msgspec.Struct, gc=False):
    type: str = ""
    error: msgspec.Raw = msgspec.Raw(b"")
    sequence_number: int = -1


_typed = msgspec.json.Decoder(_Typed).decode


class ResponsesReader:
    """Listens to ``response.*`` events; the stream is whole after one of ``TERMINAL``."""

    __slots__ = ("_sequence", "complete", "error", "lenient", "response_model", "usage")

    open_ended = False

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.response_model = ""
        self.error: ProviderError | None = None
        self.lenient = 0
        self.complete = False
        self._sequence = -1

    @property
    def ended(self) -> bool:
        return self.complete

    def closing(self) -> bytes:
        return b""

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
            typed = _typed(block[start + 6 :])
        except (msgspec.DecodeError, RecursionError):
            return False
        if typed.error or typed.type in TERMINAL or typed.type in QUIET or not typed.type.startswith("response."):
            return False
        self._sequence = typed.sequence_number
        return True

    def read(self, block: bytes, *, first: bool = False) -> Mark:
        payload = opened(block, first=first)
        if payload.mark is not None:
            self.error = payload.error or self.error
            return payload.mark
        self.lenient += not payload.strict
        return self._understand(payload.document) if isinstance(payload.document, dict) else Mark.CONTENT

    def told(self, fault: GatewayError) -> bytes:
        """An ``error`` event: https://platform.openai.com/docs/api-reference/responses-streaming/error"""
        event = {
            "type": "error",
            "code": fault.code,
            "message": fault.message,
            "param": fault.param,
            "sequence_number": self._sequence + 1,
        }
        return b"event: error\ndata: %b\n\n" % msgspec.json.encode(event)

    def _understand(self, event: dict[str, Any]) -> Mark:
        kind = event.get("type")
        if not isinstance(kind, str):
            kind = ""
        number = event.get("sequence_number")
        if isinstance(number, int):
            self._sequence = number
        response = event.get("response")
        if isinstance(response, dict):
            model = response.get("model")
            if isinstance(model, str):
                self.response_model = model
            self.usage = openai_usage.find(response) or self.usage
        if kind in TERMINAL:
            self.complete = True
        if kind == "error" or kind == "response.failed":
            self.error = self.error or _error_of(event, response)
            return Mark.ERROR
        error = openai_error.find(event)
        if error is not None:
            self.error = error
            return Mark.ERROR
        return Mark.QUIET if kind in QUIET else Mark.CONTENT


def _error_of(event: dict[str, Any], response: object) -> ProviderError:
    """``error`` events carry their fields at the top or under ``error``; failed responses under ``response.error``."""
    nested = openai_error.find(event) or openai_error.find(response)
    if nested is not None:
        return nested
    return openai_error.find({"error": event}) or ProviderError("The provider reported an error.")
