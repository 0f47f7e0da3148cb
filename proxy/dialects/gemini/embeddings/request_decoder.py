"""Requests of ``embedContent`` and ``batchEmbedContents``, decoded.

Source: https://ai.google.dev/api/embeddings. ``embedContentConfig`` is Vertex AI's place for the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from proxy.dialects.gemini.client.spelling import known_members
from proxy.dialects.translation import members
from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

# ``model`` is that of the path.
_BATCH: Final = frozenset({"model", "requests"})
_TEXT: Final = frozenset({"model", "content", "outputDimensionality", "embedContentConfig"})
_CONFIG: Final = frozenset({"outputDimensionality"})
_CONTENT: Final = frozenset({"parts", "role"})
_PART: Final = frozenset({"text"})
_BETWEEN: Final = "\n"  # parts of a content, which has one vector


class TextToEmbed(Struct):
    """``dimensions``: numbers of its vector, ``None``: as many as the model gives."""

    text: str
    dimensions: int | None = None


def decode_content(body: bytes) -> EmbeddingRequest:
    """The only text of ``embedContent``. Raises ClientFault, Untranslatable for content that is no text."""
    losses = Losses()
    return _request([_text(members.of_body(body), "", losses)], losses)


def decode_contents(body: bytes) -> EmbeddingRequest:
    """The texts of ``batchEmbedContents``. Raises ClientFault, Untranslatable for content that is no text."""
    losses = Losses()
    batch = known_members(members.of_body(body), _BATCH, "", losses)
    found = members.each(batch, "requests", lambda each: _text(each, "requests[].", losses))
    if not found:
        raise WrongMember("requests", "an array of at least one request")
    return _request(found, losses)


def _request(found: Sequence[TextToEmbed], losses: Losses) -> EmbeddingRequest:
    dimensions = found[0].dimensions
    if any(each.dimensions != dimensions for each in found):
        raise Untranslatable("requests[].outputDimensionality", "It must be the same for all texts of a request.")
    return EmbeddingRequest([each.text for each in found], dimensions, dropped=losses.names)


def _text(request: JsonObject, path: str, losses: Losses) -> TextToEmbed:
    """One text with its settings. ``path``: of the request, for what is lost."""
    request = known_members(request, _TEXT, path, losses)
    config = members.mapping(request, "embedContentConfig") or {}
    config = known_members(config, _CONFIG, f"{path}embedContentConfig.", losses)
    dimensions = members.integer(request, "outputDimensionality")
    if dimensions is None:
        with Within("embedContentConfig"):
            dimensions = members.integer(config, "outputDimensionality")
    content = members.required_mapping(request, "content")
    with Within("content"):
        content = known_members(content, _CONTENT, f"{path}content.", losses)
        parts = members.each(content, "parts", lambda part: _of_part(part, f"{path}content.parts[].", losses))
        if not parts:
            raise WrongMember("parts", "an array of at least one part")
    return TextToEmbed(_BETWEEN.join(parts), dimensions)


def _of_part(part: JsonObject, path: str, losses: Losses) -> str:
    if part.get("text") is None:
        for name in members.unknown(part, _PART):
            raise Untranslatable(name, "Only texts can be translated.")
    losses.drop(*members.unknown(part, _PART, path))
    return members.required_text(part, "text")
