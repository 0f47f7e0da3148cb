"""Texts to embed as a request of ``batchEmbedContents``.

Source: https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.gemini.call import resource_name
from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

MOST_TEXTS: Final = 100  # in one request, by Google's own error for more


def encode_contents(request: EmbeddingRequest, model: str) -> JsonObject:
    """The members of the body. Raises Untranslatable for more texts than one request may have."""
    if len(request.texts) > MOST_TEXTS:
        raise Untranslatable("input", f"The provider takes at most {MOST_TEXTS} texts in one request.")
    same: JsonObject = {"model": resource_name(model)}
    if request.dimensions is not None:
        same["outputDimensionality"] = request.dimensions
    return {"requests": [same | {"content": {"parts": [{"text": text}]}} for text in request.texts]}
