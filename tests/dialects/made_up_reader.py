"""A provider dialect that does not exist: all that the gateway needs to know of it.

Events: ``{"say": "text"}``, then ``{"over": true, "by": "model", "tokens": {"read", "cached", "said"}}``.
Errors, within a stream too: ``{"trouble": "text", "status": 503}``. Whole answers have ``text`` in place of ``over``.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError, json

from proxy.dialects.base import AnswerInfo, EventKind
from proxy.dialects.json_events import JsonEventReader
from proxy.dialects.provider_error import ProviderError, fault_of
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer


class MadeUpReader(JsonEventReader):
    __slots__ = ()

    def plain(self, block: bytes) -> bool:
        return block.startswith(b'data: {"say":"') and block.endswith(b'"}\n\n') and block.count(b'"') == 4

    def _understand(self, event: Any, name: bytes | None) -> EventKind:
        self.error = error_in(event) or self.error
        if error_in(event) is not None:
            return EventKind.ERROR
        if event.get("over"):
            self.complete = self.ended = True
            self.response_model, self._usage = event["by"], usage_in(event)
        return EventKind.CONTENT

    @staticmethod
    def read_answer(body: bytes) -> AnswerInfo:
        try:
            answer = json.decode(body)
        except DecodeError:
            raise BrokenAnswer("The provider's answer is not JSON.") from None
        if error_in(answer) is not None:
            raise fault_of(error_in(answer))
        return AnswerInfo(answer["by"], usage_in(answer))

    @staticmethod
    def read_error(body: bytes) -> ProviderError | None:
        return error_in(json.decode(body))


def usage_in(document: dict[str, Any]) -> Usage:
    tokens = document["tokens"]
    return Usage(tokens["read"], tokens["cached"], tokens["said"])


def error_in(document: dict[str, Any]) -> ProviderError | None:
    if "trouble" not in document:
        return None
    return ProviderError(document["trouble"], status=document["status"])
