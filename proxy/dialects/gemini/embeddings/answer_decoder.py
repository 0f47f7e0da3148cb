"""Answers of ``embedContent`` and ``batchEmbedContents``, decoded.

Source: https://ai.google.dev/api/embeddings. Older models report no usage.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from proxy.dialects.gemini.schema import UsageMetadata
from proxy.dialects.gemini.usage import usage_of
from proxy.dialects.translation.embeddings import EmbeddingAnswer, Vector
from proxy.errors import BrokenAnswer


class ContentEmbedding(Struct, gc=False):
    values: Vector


class ContentEmbeddings(Struct, gc=False, rename={"usage_metadata": "usageMetadata"}):
    """``embedding`` is the only one, of ``embedContent``."""

    embeddings: list[ContentEmbedding] = []
    embedding: ContentEmbedding | None = None
    usage_metadata: UsageMetadata | None = None


_decode: Final = msgspec.json.Decoder(ContentEmbeddings).decode


def decode_vectors(body: bytes) -> EmbeddingAnswer:
    """Raises BrokenAnswer for anything but vectors."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokenAnswer("The provider's answer has no embeddings.") from None
    embeddings = found.embeddings if found.embedding is None else [found.embedding]
    usage = None if found.usage_metadata is None else usage_of(found.usage_metadata)
    return EmbeddingAnswer([each.values for each in embeddings], usage)
