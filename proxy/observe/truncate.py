"""Truncation of text from clients and providers, for logs, traces and the list of requests."""

from __future__ import annotations

from typing import Final

NAME: Final = 256  # characters of a name


def truncate(text: str, most: int = NAME) -> str:
    """``text``, or its first ``most`` characters and an ellipsis."""
    return text if len(text) <= most else text[:most] + "…"
