"""Vectors as an answer of the OpenAI API.

Source: https://platform.openai.com/docs/api-reference/embeddings/object. The base64 form is what the openai package
reads (``lib/_parsing/_embeddings.py``): 32-bit floats, little-endian.
"""

from __future__ import annotations

import struct
from base64 import b64encode

from proxy.dialects.translation.embeddings import EmbeddingAnswer, EmbeddingRequest, Vector
from proxy.errors import BrokenAnswer
from proxy.wire import document


def encode_embeddings(request: EmbeddingRequest, answer: EmbeddingAnswer) -> bytes:
    """The body. An unknown usage is 0, as clients require integers. Raises BrokenAnswer, see ``packed``."""
    used = 0 if answer.usage is None else answer.usage.total_input or 0
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if request.packed else vector}
        for index, vector in enumerate(answer.vectors)
    ]
    usage = {"prompt_tokens": used, "total_tokens": used}
    return document.encode({"object": "list", "data": data, "model": answer.model, "usage": usage})


def packed(vector: Vector) -> str:
    """The vector in base64. Raises BrokenAnswer for a number that 32 bits cannot hold."""
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError:
        raise BrokenAnswer("The provider's answer has a number that does not fit into 32 bits.") from None
