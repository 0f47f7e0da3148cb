"""Texts to embed as a request of the OpenAI API.

Source: https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.dialects.translation.members import JsonObject


def encode_texts(request: EmbeddingRequest, model: str) -> JsonObject:
    """The members of the body. One text stands alone, as older servers require."""
    texts = request.texts
    found: JsonObject = {"model": model, "input": texts[0] if len(texts) == 1 else texts}
    if request.dimensions is not None:
        found["dimensions"] = request.dimensions
    return found
