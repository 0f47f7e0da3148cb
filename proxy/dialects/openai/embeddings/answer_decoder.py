"""An answer with embeddings, decoded.

Source: https://platform.openai.com/docs/api-reference/embeddings/object
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from proxy.dialects.openai.schema import WireUsage
from proxy.dialects.openai.usage import usage_of
from proxy.dialects.translation.embeddings import EmbeddingAnswer, Vector
from proxy.errors import BrokenAnswer


class EmbeddingItem(Struct, gc=False):
    """One vector. Some servers leave the ``index`` out."""

    embedding: Vector
    index: int | None = None


class EmbeddingList(Struct, gc=False):
    data: list[EmbeddingItem]
    model: str | None = None
    usage: WireUsage | None = None


_decode: Final = msgspec.json.Decoder(EmbeddingList).decode


def decode_embeddings(body: bytes) -> EmbeddingAnswer:
    """Raises BrokenAnswer for anything but vectors in one order."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokenAnswer("The provider's answer is no list of embeddings.") from None
    usage = None if found.usage is None else usage_of(found.usage)
    return EmbeddingAnswer([item.embedding for item in _in_order(found.data)], usage, found.model or "")


def _in_order(items: list[EmbeddingItem]) -> list[EmbeddingItem]:
    """The items by ``index``. Where none has one, they are in order already; encoders of protobuf leave out 0."""
    if all(item.index is None for item in items):
        return items
    placed = {item.index or 0: item for item in items}
    if placed.keys() != set(range(len(items))):
        raise BrokenAnswer("The provider's answer does not say which embedding belongs to which text.")
    return [placed[place] for place in range(len(items))]
