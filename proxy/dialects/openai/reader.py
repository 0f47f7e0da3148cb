"""Whole JSON answers of the OpenAI API, which all its readers read alike."""

from __future__ import annotations

import msgspec

from proxy.dialects import json_answer
from proxy.dialects.base import AnswerInfo
from proxy.dialects.json_events import JsonEventReader
from proxy.dialects.openai import usage as openai_usage
from proxy.dialects.openai.schema import NULL, decode_answer
from proxy.wire.document import is_utf8


class OpenAIReader(JsonEventReader):
    """A subclass reads the events of one kind of stream."""

    __slots__ = ()

    @staticmethod
    def read_answer(body: bytes) -> AnswerInfo:
        """Read a 2xx answer. Raises BrokenAnswer (empty or not JSON) and ErrorInStream (an error instead)."""
        if not (body.isascii() or is_utf8(body)):
            return json_answer.read(body, openai_usage.find)
        try:
            answer = decode_answer(body)
        except (msgspec.DecodeError, RecursionError):
            return json_answer.read(body, openai_usage.find)
        if answer.error is not NULL and answer.error != NULL:
            return json_answer.read(body, openai_usage.find)
        usage = answer.usage
        return AnswerInfo(
            answer.model or "", None if usage is None else openai_usage.usage_of(usage, answer.service_tier)
        )
