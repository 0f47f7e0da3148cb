"""Calls for embeddings, input by input: of a batch, only what is missing is sent to a provider.

Each input has a key of its own, and each vector is an answer of its own, as the bytes that the provider sent. Usage is
the provider's, for the inputs that were sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct

from proxy.cache.base import CachedAnswer
from proxy.cache.embedding_forms import EmbeddingForm
from proxy.cache.recorder import WHITE_SPACE
from proxy.errors import BrokenAnswer, GatewayError
from proxy.server.outlet import Outlet, OutletWrapper
from proxy.wire.patch import parse

CONTENT_TYPE: Final = b"application/json"


class EmbeddingBatch(Struct, eq=False):
    """One call. ``vectors`` has what is known, in the order of ``keys``; ``missing`` are places of keys that are not.

    ``whole``: all inputs are missing, each once, so that the request goes to the provider as it came.
    """

    form: EmbeddingForm
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
        """All vectors, as a JSON array. ``fetched``: those that were missing."""
        new = {self.keys[place]: vector for place, vector in zip(self.missing, fetched, strict=True)}
        parts = [
            self.form.item(place, new[key] if known is None else known.body)
            for place, (key, known) in enumerate(zip(self.keys, self.vectors, strict=True))
        ]
        return b"[%b]" % b",".join(parts)

    def answer(self, model: str) -> bytes:
        """The whole answer, if nothing is missing."""
        return self.form.answer(self.data(()), model)


def batch_of(
    form: EmbeddingForm, inputs: Sequence[Raw], keys: Sequence[bytes], found: Sequence[CachedAnswer | None]
) -> EmbeddingBatch:
    """A call with the inputs that have to be sent. An input that comes twice is sent once."""
    places: dict[bytes, int] = {}
    for place, (key, known) in enumerate(zip(keys, found, strict=True)):
        if known is None:
            places.setdefault(key, place)
    missing = list(places.values())
    return EmbeddingBatch(form, inputs, keys, list(found), missing, len(missing) == len(inputs))


class BatchOutlet(OutletWrapper):
    """Completes the answer to a call for what is missing. ``fetched``: the vectors that came, ``()`` if none did."""

    __slots__ = ("_batch", "fetched")

    def __init__(self, outlet: Outlet, batch: EmbeddingBatch) -> None:
        super().__init__(outlet)
        self._batch = batch
        self.fetched: Sequence[bytes] = ()

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        """Raises BrokenAnswer if a part of the inputs was sent, and the vectors are not theirs."""
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
        vectors = batch.form.read(body)
        if vectors is None or len(vectors) != len(batch.missing):
            if not batch.whole:
                raise _unusable()
            return body
        self.fetched = vectors
        if not batch.whole:
            body = b"".join(parse(body).splice({batch.form.vectors: batch.data(vectors)}))
        body = body.rstrip(WHITE_SPACE)
        if not body.endswith(b"}}") or b'"_router":' not in body:
            return body
        document = b'{"status":"miss","inputs":%d,"cached":%d}' % (len(batch.inputs), batch.cached)
        return b'%b,"cache":%b}}' % (body[:-2], document)


def _unusable() -> GatewayError:
    return BrokenAnswer("The provider's response does not have the embeddings that were requested.")
