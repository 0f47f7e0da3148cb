"""Reader of OpenAI's other streams: images, speech and transcripts, whose events are not told apart."""

from __future__ import annotations

from typing import Any

from proxy.dialects import provider_error
from proxy.dialects.base import EventKind
from proxy.dialects.openai import usage as openai_usage
from proxy.dialects.openai.reader import OpenAIReader


class OtherReader(OpenAIReader):
    """HTTP framing alone says whether the stream is whole."""

    __slots__ = ()

    open_ended = True

    def _understand(self, event: Any, name: bytes | None) -> EventKind:
        error = provider_error.find(event)
        if error is not None:
            self.error = error
            return EventKind.ERROR
        self._usage = openai_usage.find(event) or self._usage
        return EventKind.CONTENT
