"""Ids of tool calls in the shape that a provider takes."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

MOST: Final = 64  # characters at OpenAI and AWS; Anthropic documents no limit
is_safe: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch  # whether every provider takes an id


def safe_id(call_id: str) -> str:
    """The id itself if every provider takes it, else one made of its hash: a call and its results keep the same one."""
    if is_safe(call_id):
        return call_id
    return "call_" + sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]
