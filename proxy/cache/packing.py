"""A cached answer as bytes: its facts as MessagePack, then its body, compressed.

zlib, as every Python has it: replicas with different Pythons read each other's answers.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec
from msgspec import Struct

from proxy.cache.base import AnswerFacts, CachedAnswer

VERSION: Final = 1
SMALL: Final = 256  # bytes of a body that is not compressed
MOST: Final = 64 * 1024 * 1024  # bytes of a body that is unpacked


class _Packed(Struct, array_like=True, frozen=True):
    version: int
    facts: AnswerFacts
    at: float
    cost: int | None
    input: int | None
    output: int | None
    compressed: bool
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def pack(answer: CachedAnswer) -> bytes:
    body = answer.body
    compressed = len(body) > SMALL
    if compressed:
        body = zlib.compress(body, 1)
    return _encode(
        _Packed(VERSION, answer.facts, answer.at, answer.cost, answer.input, answer.output, compressed, body)
    )


def unpack(packed: bytes) -> CachedAnswer:
    """Raises msgspec.DecodeError, and ValueError for another ``VERSION`` or a damaged body."""
    found = _decode(packed)
    if found.version != VERSION:
        raise ValueError(f"version {found.version}")
    body = found.body
    if found.compressed:
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(body, MOST)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if not inflater.eof:
            raise ValueError("the body is cut, or too large")
    return CachedAnswer(body, found.facts, found.at, found.cost, found.input, found.output)
