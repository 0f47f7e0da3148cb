"""Texts of environment variables as booleans and lists, and placeholders."""

from __future__ import annotations

import re
from typing import Final

TRUTH: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)

# What .env.example files have in place of a value: your_openai_api_key_here, sk-your-key-here, <your-key>.
_PLACEHOLDER = re.compile(r"(sk-)?your[-_].*here|<[^<>]*>", re.IGNORECASE)


def flag(text: str) -> bool:
    """A boolean. Raises ``ValueError`` for any other text."""
    try:
        return TRUTH[text.strip().lower()]
    except KeyError:
        raise ValueError("expected true or false") from None


def listed(text: str) -> list[str]:
    """Items of a JSON list of texts, or of a list separated by commas, without empty items.

    Raises ``ValueError`` for invalid JSON.
    """
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    import json

    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is no valid JSON list") from None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError("expected a JSON list of texts")
    return items


def is_placeholder(text: str) -> bool:
    """Whether a text is a placeholder for a value."""
    return _PLACEHOLDER.fullmatch(text.strip()) is not None
