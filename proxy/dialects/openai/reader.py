"""Whole JSON answers of the OpenAI API, which all its readers read alike."""

from __future__ import annotations

import msgspec

from proxy.dialects import provider_error
from proxy.dialects.base import AnswerInfo
from proxy.dialects.json_events import JsonEventReader
from proxy.dialects.openai import usage as openai_usage
from proxy.dialects.openai.schema import NULL, decode_answer
from proxy.errors import BrokenAnswer
from proxy.wire import document
from proxy.wire.document import is_utf8


class OpenAIReader(JsonEventReader):
    """A subclass reads the events of one kind of stream."""

    __slots__ = ()

    @staticmethod
    def read_answer(body: bytes) -> AnswerInfo:
        """Read a 2xx answer. Raises BrokenAnswer (empty or not JSON) and ErrorInStream (an error instead)."""
        if not (body.isascii() or is_utf8(body)):
            return _unusual(body)
        try:
            answer = decode_answer(body)
        except (msgspec.DecodeError, RecursionError):
            return _unusual(body)
        if answer.error is not NULL and answer.error != NULL:
            return _unusual(body)
        usage = answer.usage
        return AnswerInfo(answer.model or "", None if usage is None else openai_usage.usage_of(usage))


def _unusual(body: bytes) -> AnswerInfo:
    """Read an answer that is empty, an error, lenient JSON, or of an unknown shape; the client may understand it."""
    if not body.strip():
        raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
    try:
        answer, strict = document.read(body)
    except ValueError:
        raise BrokenAnswer("The provider's answer is not JSON.") from None
    error = provider_error.find(answer)
    if error is not None:
        raise provider_error.fault_of(error)
    model = answer.get("model") if isinstance(answer, dict) else None
    return AnswerInfo(model if isinstance(model, str) else "", openai_usage.find(answer), strict)
