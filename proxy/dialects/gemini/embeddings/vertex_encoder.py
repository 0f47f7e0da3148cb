"""Texts to embed as requests of Vertex AI, for models of the Gemini family.

What differs from the Gemini API: the settings have a place of their own, and the path alone names the model. A text
that is too long is an error, as for OpenAI's clients; Vertex AI would cut it otherwise, and not say so.
Sources: https://docs.cloud.google.com/gemini-enterprise-agent-platform/reference/rest (models.embedContent), and
``embed_content`` of google-genai 3.6, which calls ``embedContent`` for one text and ``batchEmbedContents`` for more.
"""

from __future__ import annotations

from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.dialects.translation.members import JsonObject


def encode_only(request: EmbeddingRequest, model: str) -> JsonObject:
    """The members of the body of ``embedContent``, for one text."""
    return _encode(request, request.texts[0])


def encode_batch(request: EmbeddingRequest, model: str) -> JsonObject:
    """The members of the body of ``batchEmbedContents``."""
    return {"requests": [_encode(request, text) for text in request.texts]}


def _encode(request: EmbeddingRequest, text: str) -> JsonObject:
    config: JsonObject = {"autoTruncate": False}
    if request.dimensions is not None:
        config["outputDimensionality"] = request.dimensions
    return {"content": {"role": "user", "parts": [{"text": text}]}, "embedContentConfig": config}
