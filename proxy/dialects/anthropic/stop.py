"""Why a message ended, as clients of the Messages API read it.

Source: https://docs.claude.com/en/api/handling-stop-reasons
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.translation.parts import Finish

_REASONS: Final = {
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "refusal": "refusal",
    "content_filter": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
}


def members_of(finish: Finish | None, *, called: bool, refused: bool) -> dict[str, Any]:
    """``stop_reason``, ``stop_sequence`` and ``stop_details``.

    ``called``: the answer has tool calls, whatever the provider says: several end them with a plain ``stop``.
    ``refused``: it has a refusal. ``None``: the provider gave no reason.
    """
    reason = _REASONS.get(finish.reason) if finish is not None else None
    if reason is None:
        reason = "tool_use" if called else "refusal" if refused else "end_turn"
    sequence = finish.sequence if finish is not None and reason == "stop_sequence" else ""
    detail = finish.detail if finish is not None else ""
    details = {"type": "refusal", "category": None, "explanation": detail or None} if reason == "refusal" else None
    return {"stop_reason": reason, "stop_sequence": sequence or None, "stop_details": details}
