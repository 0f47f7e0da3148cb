"""How calls for embeddings have their inputs, and answers their vectors: one form for each endpoint that takes many.

Sources: https://platform.openai.com/docs/api-reference/embeddings,
https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from msgspec import Raw, Struct

if TYPE_CHECKING:
    from proxy.dialects.call import Call

MOST_INPUTS: Final = 2048  # OpenAI takes no more, Google 100

_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


class EmbeddingForm(ABC):
    """``inputs``: the member of a call that has them. ``vectors``: that of an answer."""

    inputs: ClassVar[str]
    vectors: ClassVar[str]

    @abstractmethod
    def inputs_of(self, call: Call) -> Sequence[Raw] | None:
        """The inputs of a call. ``None`` for any other shape, and for too many."""

    @abstractmethod
    def read(self, body: bytes) -> list[bytes] | None:
        """The vectors of an answer in the order of the inputs, copied. ``None`` for any other shape."""

    @abstractmethod
    def item(self, place: int, vector: bytes) -> bytes:
        """A vector as an item of an answer."""

    @abstractmethod
    def answer(self, vectors: bytes, model: str) -> bytes:
        """An answer without a provider. ``vectors``: its items, as a JSON array."""


class _OpenAIVector(Struct):
    index: int
    embedding: Raw


class _OpenAIVectors(Struct):
    data: list[_OpenAIVector]


class _OpenAIForm(EmbeddingForm):
    """Inputs are texts, or arrays of tokens."""

    inputs = "input"
    vectors = "data"
    _read: ClassVar = staticmethod(msgspec.json.Decoder(_OpenAIVectors).decode)

    def inputs_of(self, call: Call) -> Sequence[Raw] | None:
        raw = call.members.values.get(self.inputs)
        if raw is None:
            return None
        first = bytes(memoryview(raw)[:1])
        if first == b'"':
            return [raw]
        if first != b"[":
            return None
        items = _items(raw)
        kinds = _kinds(items)
        if kinds <= {b'"', b"["}:
            return items if 0 < len(items) <= MOST_INPUTS else None
        return [raw] if kinds <= {b"%d" % digit for digit in range(10)} else None  # one input, in tokens

    def read(self, body: bytes) -> list[bytes] | None:
        try:
            found = self._read(body).data
        except msgspec.DecodeError:
            return None
        by_index = {vector.index: bytes(vector.embedding) for vector in found}
        places = range(len(found))
        return [by_index[place] for place in places] if by_index.keys() == set(places) else None

    def item(self, place: int, vector: bytes) -> bytes:
        return b'{"object":"embedding","index":%d,"embedding":%b}' % (place, vector)

    def answer(self, vectors: bytes, model: str) -> bytes:
        usage = b'"usage":{"prompt_tokens":0,"total_tokens":0}'
        return b'{"object":"list","data":%b,"model":%b,%b}' % (vectors, _encode(model), usage)


class _GeminiVectors(Struct):
    embeddings: list[Raw]


class _GeminiForm(EmbeddingForm):
    """Inputs are requests of ``embedContent``. A vector is an object, whose place says which input it is of."""

    inputs = "requests"
    vectors = "embeddings"
    _read: ClassVar = staticmethod(msgspec.json.Decoder(_GeminiVectors).decode)

    def inputs_of(self, call: Call) -> Sequence[Raw] | None:
        raw = call.members.values.get(self.inputs)
        if raw is None or bytes(memoryview(raw)[:1]) != b"[":
            return None
        items = _items(raw)
        return items if _kinds(items) == {b"{"} and len(items) <= MOST_INPUTS else None

    def read(self, body: bytes) -> list[bytes] | None:
        try:
            return [bytes(vector) for vector in self._read(body).embeddings]
        except msgspec.DecodeError:
            return None

    def item(self, place: int, vector: bytes) -> bytes:
        return vector

    def answer(self, vectors: bytes, model: str) -> bytes:
        return b'{"embeddings":%b}' % vectors


def _kinds(items: Sequence[Raw]) -> set[bytes]:
    return {bytes(memoryview(item)[:1]) for item in items}


FORMS: Final[Mapping[str, EmbeddingForm]] = {"embeddings": _OpenAIForm(), "batchEmbedContents": _GeminiForm()}
"""By the path of the endpoint."""
