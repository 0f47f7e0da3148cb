"""Vectors as answers of ``embedContent`` and ``batchEmbedContents``.

Source: https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

from proxy.dialects.translation.embeddings import EmbeddingAnswer, EmbeddingRequest
from proxy.dialects.translation.members import JsonObject
from proxy.wire import document


def encode_vector(request: EmbeddingRequest, answer: EmbeddingAnswer) -> bytes:
    """The answer of ``embedContent``."""
    return _body({"embedding": {"values": answer.vectors[0]}}, answer)


def encode_vectors(request: EmbeddingRequest, answer: EmbeddingAnswer) -> bytes:
    """The answer of ``batchEmbedContents``."""
    return _body({"embeddings": [{"values": vector} for vector in answer.vectors]}, answer)


def _body(found: JsonObject, answer: EmbeddingAnswer) -> bytes:
    """With the usage, if it is known."""
    used = None if answer.usage is None else answer.usage.total_input
    if used is not None:
        found["usageMetadata"] = {"promptTokenCount": used, "totalTokenCount": used}
    return document.encode(found)
