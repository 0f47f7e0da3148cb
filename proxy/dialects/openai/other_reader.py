"""Reader of OpenAI's other streams: images, speech and transcripts, whose events are not told apart."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from proxy.dialects import provider_error
from proxy.dialects.base import AnswerInfo, EventKind
from proxy.dialects.openai import usage as openai_usage
from proxy.dialects.openai.reader import OpenAIReader
from proxy.dialects.openai.schema import NULL, decode_media
from proxy.dialects.usage import Usage, UsageDetails
from proxy.wire.document import is_utf8

# https://platform.openai.com/docs/api-reference/images-streaming
_COMPLETED_IMAGE: Final = ("image_generation.completed", "image_edit.completed")


class OtherReader(OpenAIReader):
    """HTTP framing alone says whether the stream is whole."""

    __slots__ = ("_images",)

    open_ended = True

    def __init__(self, choices: int = 1, hide_usage: bool = False, wants_usage: bool = False) -> None:
        super().__init__(choices, hide_usage, wants_usage)
        self._images = 0

    @staticmethod
    def read_answer(body: bytes) -> AnswerInfo:
        """As of all readers of the API, with the number of images."""
        try:
            answer = decode_media(body)
        except (msgspec.DecodeError, RecursionError):
            return OpenAIReader.read_answer(body)
        if not answer.data or (answer.error is not NULL and answer.error != NULL):
            return OpenAIReader.read_answer(body)
        if not (body.isascii() or is_utf8(body)):
            return OpenAIReader.read_answer(body)
        usage = None if answer.usage is None else openai_usage.usage_of(answer.usage)
        return AnswerInfo(answer.model or "", _with_images(usage, len(answer.data)))

    def _understand(self, event: Any, name: bytes | None) -> EventKind:
        error = provider_error.find(event)
        if error is not None:
            self.error = error
            return EventKind.ERROR
        self._usage = openai_usage.find(event) or self._usage
        if isinstance(event, dict) and event.get("type") in _COMPLETED_IMAGE:
            self._images += 1
            self._usage = _with_images(self._usage, self._images)
        return EventKind.CONTENT


def _with_images(usage: Usage | None, number: int) -> Usage:
    """Usage of an answer with images. Output tokens that the provider does not split are theirs."""
    found = usage or Usage()
    details = UsageDetails() if found.details is UNSET else found.details
    if details.image_output is None and found.output:
        found, details = replace(found, output=0), replace(details, image_output=found.output)
    return replace(found, details=replace(details, images=number))
