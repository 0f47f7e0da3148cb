"""Embeddings: unit vectors computed from the text only.

Source: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import math
import random
import struct
from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.demo import words
from proxy.demo.answer import DemoAnswer, json_answer
from proxy.demo.models import DemoModel

DIMENSIONS = 256


class EmbeddingCall(Struct):
    model: str
    input: str | list[str | int | list[int]]  # int: a token; one list of them is one text
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=4096)] | None = None


def embeddings(call: EmbeddingCall, model: DemoModel) -> DemoAnswer:
    """One vector for each input, as numbers or as base64 of little-endian 32-bit floats."""
    texts = _texts(call.input)
    vectors = [vector(text, call.dimensions or DIMENSIONS) for text in texts]
    packed = call.encoding_format == "base64"
    spent = sum(words.count(text) for text in texts)
    return json_answer(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
                for index, vector in enumerate(vectors)
            ],
            "model": call.model,
            "usage": {"prompt_tokens": spent, "total_tokens": spent},
        }
    )


def _texts(given: str | list[str | int | list[int]]) -> list[str]:
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [" ".join(map(str, each)) if isinstance(each, list) else str(each) for each in given]


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on the text alone."""
    chance = random.Random(text)
    raw = [chance.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = math.hypot(*raw)
    return [value / length for value in raw]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
