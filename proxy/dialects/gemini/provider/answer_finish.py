"""Why an answer of the Gemini API ended, in neutral terms.

Source: https://ai.google.dev/api/generate-content#FinishReason, and google-genai 3.6 (``FinishReason``)
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.translation.answer_members import object_at, text_at
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import AnswerFailed, Finish, FinishReason

_UNSPECIFIED: Final = frozenset({"", "FINISH_REASON_UNSPECIFIED"})
_UNBLOCKED: Final = frozenset({"", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})

# All others count as ``stop``, but for those of _FAILURES.
_REASONS: Final[dict[str, FinishReason]] = {
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # the limit of one request, after which Google's SDK sends another
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
# Ends without an answer. No other dialect has a finish reason for them: a client would take them for a whole answer.
_FAILURES: Final = {
    "MALFORMED_FUNCTION_CALL": "The model made a tool call that is not valid.",
    "UNEXPECTED_TOOL_CALL": "The model called a tool that it may not call.",
    "TOO_MANY_TOOL_CALLS": "The model made too many tool calls.",
    "MISSING_THOUGHT_SIGNATURE": "The provider misses a thought signature in the request.",
    "MALFORMED_RESPONSE": "The model's answer is malformed.",
    "NO_IMAGE": "The model made no image.",
    "IMAGE_OTHER": "The model failed to make an image.",
    "OTHER": "The model stopped for a reason that the provider does not name.",
}


class GeminiFinish:
    """Notes the finish reason of one answer.

    ``noted``: there is one, though it is not the last where content follows. Some gateways send one with every chunk.
    """

    __slots__ = ("_detail", "_reason")

    def __init__(self) -> None:
        self._reason = ""
        self._detail = ""

    @property
    def noted(self) -> bool:
        return bool(self._reason)

    def read(self, candidate: JsonObject) -> AnswerFailed | None:
        """Note the reason of a candidate if it has one. Returns the failure where it is one."""
        reason = text_at(candidate, "finishReason")
        if reason in _UNSPECIFIED:
            return None
        message = text_at(candidate, "finishMessage")
        if reason in _FAILURES:
            return AnswerFailed(f"{_FAILURES[reason]} ({reason}{': ' + message if message else ''})")
        self._reason, self._detail = reason, message
        return None

    def read_feedback(self, chunk: JsonObject) -> bool:
        """Note that the prompt was blocked; whether it was."""
        feedback = object_at(chunk, "promptFeedback")
        reason = text_at(feedback, "blockReason")
        if reason in _UNBLOCKED:
            return False
        self._reason, self._detail = "SAFETY", text_at(feedback, "blockReasonMessage") or _blocked(reason)
        return True

    def part(self, *, called: bool) -> Finish | None:
        """``None``: no reason came. ``called``: the answer has tool calls, which end with ``STOP`` as well."""
        if not self._reason:
            return None
        reason = _REASONS.get(self._reason, "stop")
        if reason == "stop" and called:
            return Finish("tool_calls")
        return Finish(reason, detail=self._detail if reason == "content_filter" else "")


def _blocked(reason: str) -> str:
    return f"The provider blocked the request ({reason})."
