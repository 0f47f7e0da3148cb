"""Names of one model as providers write them, reduced to the name in the tables.

OpenRouter writes ``anthropic/claude-opus-4.8:beta``, Bedrock ``us.anthropic.claude-opus-4-5-20251101-v1:0``, Vertex
``claude-opus-4-5@20251101``. A version is never cut: ``claude-opus-4-8`` is not ``claude-opus-4``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

_Found = TypeVar("_Found")

# Bedrock's regions and vendors, whose names also have dots within the version: ``openai.gpt-5.5``.
_BEDROCK: Final = re.compile(
    r"^(?:[a-z]+(?:-[a-z]+)?\.)?"
    r"(?:amazon|anthropic|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|openai|qwen|zai)\."
)
_BEDROCK_VERSION: Final = re.compile(r"-v\d+(?::\d+)?$")
_AFTER: Final = re.compile(r"(?:[@:].*|\[\w+\])$")  # Vertex's date; OpenRouter's variant, Ollama's tag; ``[1m]``
_DATE: Final = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d)$")
# Google's: ``-001``, ``-preview``, ``-preview-05-20``, ``-preview-09-2025``.
_GOOGLE: Final = re.compile(r"-00\d$|-(?:preview|exp)(?:-\d\d-(?:\d\d|20\d\d))?$")
_VERSION_DOT: Final = re.compile(r"(?<=\d)\.(?=\d)")


def looked_up(name: str, table: Mapping[str, _Found]) -> _Found | None:
    """The entry of a table for a model by any of its names; ``None``: there is none.

    A dated name wins over the model's own: OpenAI's dated versions may differ.
    """
    return next((found for each in _names(name) if (found := table.get(each)) is not None), None)


def short_name(name: str) -> str:
    """The name without vendor, variant and date."""
    *_, last = _names(name)
    return last


def _names(name: str) -> Iterator[str]:
    """The name in the ways in which a table may have it, the most exact first."""
    found = name.lower()
    if found.startswith("ft:"):  # OpenAI's fine-tuned models: ft:gpt-4o-mini-2024-07-18:organization::id
        found = found.split(":")[1]
    found = found.rpartition("/")[2]
    found = _BEDROCK.sub("", found)
    found = _BEDROCK_VERSION.sub("", found)
    found = _AFTER.sub("", found)
    found = _BEDROCK_VERSION.sub("", found)  # Vertex: claude-3-5-sonnet-v2@20241022
    if found.startswith("claude-"):
        found = _VERSION_DOT.sub("-", found)
    yield found
    found = _DATE.sub("", found).removesuffix("-latest")
    if found.startswith("gemini-"):
        found = _GOOGLE.sub("", found)
    yield found
