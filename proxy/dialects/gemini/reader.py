"""``generateContent`` and its neighbors on the wire: the reader of streams and answers.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from proxy.dialects import json_answer
from proxy.dialects.base import AnswerInfo, EventKind
from proxy.dialects.gemini import status
from proxy.dialects.gemini import usage as gemini_usage
from proxy.dialects.gemini.schema import NULL, UsageMetadata, decode_answer, decode_chunk, decode_usage
from proxy.dialects.gemini.usage import find_wire, usage_of
from proxy.dialects.json_events import JsonEventReader
from proxy.dialects.provider_error import ProviderError
from proxy.dialects.usage import Usage
from proxy.wire.document import is_utf8
from proxy.wire.sse import CR, LF

_UNFINISHED: Final = (None, "", "FINISH_REASON_UNSPECIFIED")
_UNBLOCKED: Final = (None, "", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED")
_WITHOUT_CONTENT: Final = frozenset(
    ("candidates", "usageMetadata", "modelVersion", "responseId", "createTime", "promptFeedback", "modelStatus")
)
_EMPTY_PART: Final = frozenset(("text", "thought"))  # a part with other members has content


class GeminiReader(JsonEventReader):
    """Reads chunks of ``streamGenerateContent?alt=sse``, whole answers and errors.

    There is no terminal event. Complete after a finish reason for every candidate, or a blocked prompt. A candidate
    that goes on after its finish reason is not finished: gateways have been seen to send ``STOP`` with every chunk.
    """

    __slots__ = ("_finished", "_metadata", "_raw", "_seen", "_slow")

    ends_with_done = False

    def __init__(self, choices: int = 1, hide_usage: bool = False, wants_usage: bool = False) -> None:
        super().__init__(choices, hide_usage, wants_usage)
        self._finished: set[int] = set()
        self._seen: set[int] = set()
        self._metadata: UsageMetadata | None = None
        self._raw: msgspec.Raw | None = None  # of the last plain chunk, not decoded yet
        self._slow = choices > 1  # no event is plain: candidates have to be told apart, or all have finished

    @property
    def open_ended(self) -> bool:
        """Whether all candidates that came have finished, which may be fewer than were requested."""
        return bool(self._seen) and self._finished >= self._seen

    @property
    def usage(self) -> Usage | None:
        raw, self._raw = self._raw, None
        if raw is not None:
            self._note_usage(raw)
        return usage_of(self._metadata) if self._metadata else None

    # Once per token: five comparisons and one typed decode. The usage that stands in every chunk is kept undecoded:
    # decoding it would double the cost.
    def plain(self, block: bytes) -> bool:
        if block[-4:] == b"\r\n\r\n":
            data = block[6:-4]
        elif block[-2:] == b"\n\n":
            data = block[6:-2]
        else:
            return False
        if block[:6] != b"data: " or self._slow or LF in data or CR in data or not (data.isascii() or is_utf8(data)):
            return False
        try:
            chunk = decode_chunk(data)
        except (msgspec.DecodeError, RecursionError):
            return False
        candidates = chunk.candidates
        if len(candidates) != 1 or candidates[0].finish_reason or chunk.error:
            return False
        if chunk.usage_metadata:
            self._raw = chunk.usage_metadata
        return True

    def read(self, block: bytes, *, first: bool = False) -> EventKind:
        """Read an event that is not ``plain``.

        Comments and ``[DONE]`` count as events without data, so that they are dropped: Google's SDKs raise on them.
        A blank line is harmless.
        """
        kind = super().read(block, first=first)
        if kind is EventKind.DONE or (kind is EventKind.COMMENT and block.strip(b"\r\n")):
            return EventKind.NO_DATA
        return kind

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
        found = answer.usage_metadata
        return AnswerInfo(answer.model_version or "", None if found is None else usage_of(found))

    @staticmethod
    def read_error(body: bytes) -> ProviderError | None:
        return status.refused(body)

    def _understand(self, event: Any, name: bytes | None) -> EventKind:
        if isinstance(event, dict):
            self._note(event)
        error = status.find(event)
        if error is not None or name == b"error":
            self.error = error or ProviderError("The provider reported an error.")
            return EventKind.ERROR
        if not isinstance(event, dict):
            return EventKind.CONTENT
        candidates = event.get("candidates")
        if isinstance(candidates, list) and candidates:
            return EventKind.CONTENT if self._note_candidates(candidates) else EventKind.PRELIMINARY
        feedback = event.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason") not in _UNBLOCKED:
            self.complete = True
            return EventKind.CONTENT
        return EventKind.PRELIMINARY if _WITHOUT_CONTENT.issuperset(event) else EventKind.CONTENT

    def _note(self, chunk: dict[str, Any]) -> None:
        """Note model and usage. Errors have it, too, and what was used is billed."""
        model = chunk.get("modelVersion")
        if isinstance(model, str) and not self.response_model:
            self.response_model = model
        wire = find_wire(chunk)
        if wire is not None:
            self._metadata, self._raw = wire, None

    def _note_usage(self, raw: msgspec.Raw) -> None:
        """Decode the usage of a plain chunk. Vertex sends ones without counts until the last."""
        try:
            wire = decode_usage(raw)
        except msgspec.DecodeError:
            return
        if usage_of(wire) is not None:
            self._metadata = wire

    def _note_candidates(self, candidates: list[Any]) -> bool:
        """Note finish reasons; whether the candidates have any content."""
        meaningful = False
        for candidate in candidates:
            if not isinstance(candidate, dict):
                return True
            found = candidate.get("index")
            index = found if isinstance(found, int) else 0
            has_content = _has_content(candidate.get("content"))
            self._seen.add(index)
            if candidate.get("finishReason") not in _UNFINISHED:
                self._finished.add(index)
                meaningful = True
            elif has_content:
                self._finished.discard(index)
            meaningful |= has_content
        self.complete = len(self._finished) >= self._choices and self.open_ended
        self._slow = self.complete or self._choices > 1
        return meaningful


def _has_content(content: object) -> bool:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return False
    return any(not isinstance(part, dict) or part.get("text") or part.keys() - _EMPTY_PART for part in parts)


def _unusual(body: bytes) -> AnswerInfo:
    return json_answer.read(body, gemini_usage.find, status.find, named="modelVersion")
