"""Calls for embeddings in OpenAI's API, input by input: a batch asks a provider only for what is missing.

Each input has a key of its own, and each vector is an answer of its own, as the bytes that the provider sent. ``usage``
is the provider's, of what it was asked; 0 if it was asked nothing.
Source: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

from proxy.cache.base import CachedAnswer
from proxy.cache.recorder import WHITE_SPACE
from proxy.errors import BrokenAnswer, GatewayError
from proxy.server.outlet import Outlet, OutletWrapper
from proxy.wire.patch import parse

if TYPE_CHECKING:
    from proxy.dialects.call import Call

PATH: Final = "embeddings"
MEMBER: Final = "input"
MOST_INPUTS: Final = 2048  # OpenAI takes no more
CONTENT_TYPE: Final = b"application/json"

_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Vector(Struct):
    index: int
    embedding: Raw


class _Vectors(Struct):
    data: list[_Vector]


_vectors = msgspec.json.Decoder(_Vectors).decode


def inputs_of(call: Call) -> list[Raw] | None:
    """The inputs of a call: texts, or arrays of tokens. ``None`` for any other shape, and for too many."""
    raw = call.members.values.get(MEMBER)
    if raw is None:
        return None
    first = bytes(memoryview(raw)[:1])
    if first == b'"':
        return [raw]
    if first != b"[":
        return None
    items = _items(raw)
    if not 0 < len(items) <= MOST_INPUTS:
        return None
    kinds = {bytes(memoryview(item)[:1]) for item in items}
    if kinds <= {b'"', b"["}:
        return items
    return [raw] if kinds <= {b"%d" % digit for digit in range(10)} else None  # one input, in tokens


class EmbeddingBatch(Struct, eq=False):
    """One call. ``vectors`` has what is known, in the order of ``keys``; ``missing`` are places of keys that are not.

    ``whole``: all inputs are missing, each once, so that the request goes to the provider as it came.
    """

    inputs: Sequence[Raw]
    keys: Sequence[bytes]
    vectors: list[CachedAnswer | None]
    missing: list[int]
    whole: bool

    @property
    def cached(self) -> int:
        """How many inputs need no provider."""
        return len(self.inputs) - len(self.missing)

    def request(self) -> bytes:
        """The inputs that are missing, as JSON."""
        return b"[%b]" % b",".join([bytes(self.inputs[place]) for place in self.missing])

    def data(self, fetched: Sequence[bytes]) -> bytes:
        """All vectors, as the member ``data``. ``fetched``: those that were missing."""
        new = {self.keys[place]: vector for place, vector in zip(self.missing, fetched, strict=True)}
        parts = [
            b'{"object":"embedding","index":%d,"embedding":%b}' % (place, new[key] if known is None else known.body)
            for place, (key, known) in enumerate(zip(self.keys, self.vectors, strict=True))
        ]
        return b"[%b]" % b",".join(parts)

    def answer(self, model: str) -> bytes:
        """The whole answer, if nothing is missing."""
        usage = b'"usage":{"prompt_tokens":0,"total_tokens":0}'
        return b'{"object":"list","data":%b,"model":%b,%b}' % (self.data(()), _encode(model), usage)


def batch_of(inputs: Sequence[Raw], keys: Sequence[bytes], found: Sequence[CachedAnswer | None]) -> EmbeddingBatch:
    """What is to be asked for. An input that comes twice is asked for once."""
    places: dict[bytes, int] = {}
    for place, (key, known) in enumerate(zip(keys, found, strict=True)):
        if known is None:
            places.setdefault(key, place)
    missing = list(places.values())
    return EmbeddingBatch(inputs, keys, list(found), missing, len(missing) == len(inputs))


class BatchOutlet(OutletWrapper):
    """Completes the answer to a call for what is missing. ``fetched``: the vectors that came, ``()`` if none did."""

    __slots__ = ("_batch", "fetched")

    def __init__(self, outlet: Outlet, batch: EmbeddingBatch) -> None:
        super().__init__(outlet)
        self._batch = batch
        self.fetched: Sequence[bytes] = ()

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        """Raises BrokenAnswer if a part of the vectors was asked for, and others came."""
        if status == 200:
            body = self._completed(body)
        self.outlet.send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        """An answer that is too large to be collected. Raises as ``send``."""
        if status == 200 and not self._batch.whole:
            raise _unusable()
        self.outlet.begin(status, header_lines, first, length=length)

    def _completed(self, body: bytes) -> bytes:
        batch = self._batch
        vectors = _read(body, len(batch.missing))
        if vectors is None:
            if not batch.whole:
                raise _unusable()
            return body
        self.fetched = vectors
        if not batch.whole:
            body = b"".join(parse(body).splice({"data": batch.data(vectors)}))
        body = body.rstrip(WHITE_SPACE)
        if not body.endswith(b"}}") or b'"_router":' not in body:
            return body
        document = b'{"status":"miss","inputs":%d,"cached":%d}' % (len(batch.inputs), batch.cached)
        return b'%b,"cache":%b}}' % (body[:-2], document)


def _read(body: bytes, number: int) -> list[bytes] | None:
    """The vectors in their order; ``None``: there are others than were asked for. They are copied, without the body."""
    try:
        found = _vectors(body).data
    except msgspec.DecodeError:
        return None
    by_index = {vector.index: bytes(vector.embedding) for vector in found}
    if len(found) != number or by_index.keys() != set(range(number)):
        return None
    return [by_index[index] for index in range(number)]


def _unusable() -> GatewayError:
    return BrokenAnswer("The provider's answer has other embeddings than it was asked for.")
