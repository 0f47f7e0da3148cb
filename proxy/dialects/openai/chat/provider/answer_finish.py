"""Why a chat answer ended, in neutral terms."""

from __future__ import annotations

from typing import Final

from proxy.dialects.translation.answer_members import text_at
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import Finish, FinishReason

# OpenAI's, and those of Mistral, SGLang, Z.ai, DeepSeek and of gateways that pass on what their provider says.
# All others count as ``stop``.
_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "context",  # Mistral
    "sensitive": "content_filter",  # Z.ai
    "safety": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "insufficient_system_resource": "length",  # DeepSeek: the answer was cut
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
}


class AnswerFinish:
    """Notes the finish reason of one answer. ``refused``: the answer has a refusal."""

    __slots__ = ("_reason", "_sequence", "refused")

    def __init__(self) -> None:
        self.refused = False
        self._reason = ""
        self._sequence = ""

    def read(self, choice: JsonObject) -> None:
        """Note the reason of a choice if it has one. The first counts: OpenRouter repeats it, not always the same."""
        reason = text_at(choice, "finish_reason")
        if not reason or self._reason:
            return
        self._reason = reason
        # The stop sequence, at vLLM and at SGLang; others have another word for the reason there.
        sequence = text_at(choice, "stop_reason") or text_at(choice, "matched_stop")
        self._sequence = "" if sequence.lower() in _REASONS else sequence

    def part(self, *, called: bool) -> Finish | None:
        """``None``: no reason came. ``called``: the answer has tool calls."""
        if not self._reason:
            return None
        # Google's API adds its own word, as in "content_filter: SAFETY".
        reason = _REASONS.get(self._reason.partition(":")[0].strip().lower(), "stop")
        if reason == "stop" and called:  # OpenAI itself says so after a forced call
            return Finish("tool_calls")
        if reason == "stop" and self.refused:
            return Finish("refusal")
        if reason == "stop" and self._sequence:
            return Finish("stop_sequence", self._sequence)
        return Finish(reason)
