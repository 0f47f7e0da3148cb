"""Weighted rendezvous hashing: the order in which requests with a key prefer the places of a list.

``u`` of a place is the product of its seed and the hash of the key, as a fraction of 2**52. The highest
``u ** (1 / weight)`` is preferred. When a place disappears, only its own keys move, each to the next place in its
order. A new place takes only its share.

https://en.wikipedia.org/wiki/Rendezvous_hashing (with weights: the same order as of ``-ln(u) / weight``)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Final
from zlib import crc32

_MASK: Final = 2**52 - 1
_ONE: Final = 0x3FF << 52  # with 52 random bits after it: a float of 1 to 2 (IEEE 754)
_SPREAD: Final = 0x9E3779B97F4A7C15  # 2**64 / golden ratio
_ONE_BY_ONE: Final = 8  # places that are looked for singly, before all are sorted


class Rendezvous:
    """``seeds`` and ``weights`` of the places: hashes of their names (see ``seed``), and their shares of the keys."""

    __slots__ = ("_factors", "_mask", "_ones", "_seeds", "_size", "_unpack")

    def __init__(self, seeds: Sequence[int], weights: Sequence[float]) -> None:
        count, most = len(seeds), max(weights)
        # 1.0 for the heaviest, so that no power but those of hopeless places is too small for a float.
        self._factors = [most / weight for weight in weights] if min(weights) < most else []
        # One operation with large integers is faster than one for each place. Each place has 128 bits of them.
        self._size = 16 * count
        self._seeds = _large(each & _MASK for each in seeds)
        self._mask, self._ones = _large([_MASK] * count), _large([_ONE] * count)
        self._unpack = Struct("<" + "d8x" * count).unpack

    def first(self, hashed: int) -> int:
        """The preferred place of a key, whose hash is ``hashed``: see ``key_hash``."""
        scores = self.scores(hashed)
        return scores.index(max(scores))

    def order(self, hashed: int) -> Iterator[int]:
        """All places, the preferred one first."""
        return in_order(self.scores(hashed))

    def scores(self, hashed: int) -> Sequence[float]:
        """A number of at least 0 for each place: the higher, the more it is preferred."""
        products = self._seeds * (hashed & _MASK | 1)  # odd, so that no bit of a seed is lost
        numbers: tuple[float, ...] = self._unpack((products & self._mask | self._ones).to_bytes(self._size, "little"))
        if self._factors:
            return [(number - 1.0) ** factor for number, factor in zip(numbers, self._factors)]  # noqa: B905  hot
        return numbers


def in_order(scores: Sequence[float]) -> Iterator[int]:
    """The places with these scores, the preferred one first."""
    left = list(scores)
    for _ in range(min(len(left), _ONE_BY_ONE)):
        best = left.index(max(left))
        yield best
        left[best] = -1.0
    for best in sorted(range(len(left)), key=left.__getitem__, reverse=True):
        if left[best] < 0:
            break
        yield best


def key_hash(key: bytes) -> int:
    """A hash of 32 bits of a key, spread over 64 or more: ten times as fast as ``seed``."""
    return crc32(key) * _SPREAD


def seed(text: bytes) -> int:
    """64 bits of a hash that is the same in every process."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _large(numbers: Iterable[int]) -> int:
    """The numbers of at most 64 bits as one, with 128 bits for each."""
    return int.from_bytes(b"".join(number.to_bytes(16, "little") for number in numbers), "little")
