"""What an answer of the Responses API repeats of the request.

Source: https://platform.openai.com/docs/api-reference/responses/object. Open Responses requires all these members.
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.translation.members import JsonObject
from proxy.wire import document

_DEFAULTS: Final = {
    "frequency_penalty": 0,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "auto",
    "temperature": 1,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1,
    "user": None,
}
_TEXT: Final = {"format": {"type": "text"}}


def echo_of(body: JsonObject, tools: list[JsonObject]) -> bytes:
    """The members as JSON, without braces; for an absent one OpenAI's default. ``tools``: those that were passed on."""
    given = {name: default if body.get(name) is None else body[name] for name, default in _DEFAULTS.items()}
    given["text"] = _TEXT | (body.get("text") or {})
    given["tools"] = tools
    return document.encode(given)[1:-1]
