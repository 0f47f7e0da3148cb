"""Texts to embed as a request of ``predict``, which Vertex AI has for models that are not of the Gemini family.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

MOST_INSTANCES: Final = 250  # in one request


def encode_instances(request: EmbeddingRequest, model: str) -> JsonObject:
    """The members of the body. Raises Untranslatable for more texts than one request may have.

    A text that is too long is an error, as for OpenAI's clients; Vertex AI would cut it otherwise, and not say so.
    """
    if len(request.texts) > MOST_INSTANCES:
        raise Untranslatable("input", f"The provider takes at most {MOST_INSTANCES} texts in one request.")
    parameters: JsonObject = {"autoTruncate": False}
    if request.dimensions is not None:
        parameters["outputDimensionality"] = request.dimensions
    return {"instances": [{"content": text} for text in request.texts], "parameters": parameters}
