"""Moderations: two categories, decided by words.

Source: https://platform.openai.com/docs/api-reference/moderations
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from msgspec import Struct

from proxy.demo.answer import DemoAnswer, json_answer
from proxy.demo.models import DemoModel

_CATEGORIES = {"violence": {"attack", "kill", "violence"}, "harassment": {"idiot", "stupid"}}


class ModerationCall(Struct):
    input: str | list[str | dict[str, Any]]
    model: str = "demo-moderation"


def moderations(call: ModerationCall, model: DemoModel) -> DemoAnswer:
    """One result for each text; a list of parts is one text."""
    results = [_result(text) for text in _texts(call.input)]
    return json_answer({"id": f"modr-{secrets.token_hex(8)}", "model": call.model, "results": results})


def _texts(given: str | list[str | dict[str, Any]]) -> list[str]:
    if isinstance(given, str):
        return [given]
    parts = [str(part.get("text", "")) for part in given if isinstance(part, dict)]
    return [" ".join(parts)] if parts else [text for text in given if isinstance(text, str)]


def _result(text: str) -> dict[str, Any]:
    spoken = set(re.findall(r"\w+", text.lower()))
    found = {name: bool(spoken & sign) for name, sign in _CATEGORIES.items()}
    scores = {name: 0.99 if flagged else 0.01 for name, flagged in found.items()}
    return {"flagged": any(found.values()), "categories": found, "category_scores": scores}
