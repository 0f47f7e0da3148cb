"""Members of a candidate beside its content: why it ended, and log probabilities.

Source: https://ai.google.dev/api/generate-content#candidate
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from proxy.dialects.translation.answer_members import objects_at
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import Finish

_REASONS: Final = {
    "length": "MAX_TOKENS",
    "context": "MAX_TOKENS",
    "refusal": "SAFETY",
    "content_filter": "SAFETY",
}
# What the reason alone does not say.
_MESSAGES: Final = {
    "context": "The context of the model is full.",
    "pause": "The provider paused the answer. It goes on if it is sent back.",
}


def finish_members(finish: Finish | None, *, refused: bool) -> JsonObject:
    """``finishReason``, and ``finishMessage`` if there is more to say.

    ``refused``: the answer has a refusal. ``None``: the provider gave no reason.
    """
    finish = finish or Finish("stop")
    reason = "SAFETY" if refused and finish.reason == "stop" else _REASONS.get(finish.reason, "STOP")
    message = (finish.detail if refused else "") or _MESSAGES.get(finish.reason, "")
    if finish.sequence and not message:
        message = f"The answer ended before the stop sequence {finish.sequence!r}."
    return {"finishReason": reason} | ({"finishMessage": message} if message else {})


def unsaid(finish: Finish | None, *, refused: bool) -> str:
    """The provider's words for a refusal of which the model says nothing. They become text.

    Google has ``finishMessage`` for them, but its SDK for Python does not read it.
    """
    return finish.detail if finish is not None and not refused else ""


def logprobs_members(tokens: Iterable[Any]) -> JsonObject:
    """``logprobsResult`` for tokens as OpenAI has them; empty if there are none."""
    read = [token for token in tokens if isinstance(token, dict)]
    if not read:
        return {}
    found: JsonObject = {"chosenCandidates": [_token(token) for token in read]}
    alternatives = [objects_at(token, "top_logprobs") for token in read]
    if any(alternatives):
        found["topCandidates"] = [{"candidates": [*map(_token, each)]} for each in alternatives]
    return {"logprobsResult": found}


def _token(token: JsonObject) -> JsonObject:
    found: JsonObject = {"token": str(token.get("token", ""))}
    if isinstance(token.get("logprob"), int | float):
        found["logProbability"] = token["logprob"]
    return found
