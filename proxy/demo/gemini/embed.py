"""``embedContent`` and ``batchEmbedContents``.

Source: https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from proxy.demo import words
from proxy.demo.answer import BROKEN_MESSAGE, DemoAnswer, json_answer
from proxy.demo.embeddings import DIMENSIONS, vector
from proxy.demo.gemini.api import error_document
from proxy.demo.gemini.call import Turn
from proxy.demo.models import DemoModel


class EmbedCall(Struct, rename="camel"):
    content: Turn
    model: str = ""
    output_dimensionality: Annotated[int, Meta(ge=1, le=4096)] | None = None

    @property
    def embedding(self) -> dict[str, Any]:
        return {"values": vector(self.content.text, self.output_dimensionality or DIMENSIONS)}


class EmbedBatchCall(Struct):
    requests: Annotated[list[EmbedCall], Meta(min_length=1, max_length=100)]
    model: str = ""


def embed(call: EmbedCall, model: DemoModel) -> DemoAnswer:
    """One vector."""
    return _answer({"embedding": call.embedding}, [call])


def embed_batch(call: EmbedBatchCall, model: DemoModel) -> DemoAnswer:
    """One vector for each request."""
    return _answer({"embeddings": [each.embedding for each in call.requests]}, call.requests)


def _answer(found: dict[str, Any], calls: list[EmbedCall]) -> DemoAnswer:
    spent = sum(words.count(call.content.text) for call in calls)
    counts = {"promptTokenCount": spent, "totalTokenCount": spent}
    return json_answer(found | {"usageMetadata": counts}, broken=error_document(BROKEN_MESSAGE))
