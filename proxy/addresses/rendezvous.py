"""Weighted rendezvous hashing: the order in which requests with a key prefer the places of a list.

Each place gets a number from the product of its seed and the key's hash, and the best is preferred. When a place
disappears, only its own keys move, each to the next place in its order. A new place takes only its share.

https://en.wikipedia.org/wiki/Rendezvous_hashing, https://www.snia.org/sites/default/files/SDC15_presentations/dist_sys/
Jason_Resch_New_Consistent_Hashings_Rev.pdf (weights)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from math import inf, log
from typing import Final

_MASK: Final = 2**64 - 1
_UNIT: Final = 2.0**-64


class Rendezvous:
    """``seeds`` and ``weights`` of the places: hashes of their names (see ``seed``), and their shares of the keys.

    Costs 0.1 us a place and key. Logarithms are only taken of the best of all places with the same weight.
    """

    __slots__ = ("_classes", "_places", "_seeds")

    def __init__(self, seeds: Sequence[int], weights: Sequence[float]) -> None:
        self._places = sorted(range(len(seeds)), key=weights.__getitem__)
        self._seeds = [seeds[place] for place in self._places]
        ranked = [weights[place] for place in self._places]
        starts = [place for place, weight in enumerate(ranked) if not place or weight != ranked[place - 1]]
        ends = [*starts[1:], len(ranked)]
        self._classes = [(start, end, 1.0 / ranked[start]) for start, end in zip(starts, ends, strict=True)]

    def order(self, hashed: int) -> Iterator[int]:
        """All places, the preferred one first. ``hashed``: the ``seed`` of the key."""
        # An odd factor, so that no bit of a seed is lost. Seeds and keys are good hashes already.
        hashed |= 1
        numbers = [number * hashed & _MASK for number in self._seeds]
        for _ in numbers:
            if len(self._classes) == 1:
                best = numbers.index(max(numbers))
            else:
                best = self._best(numbers)
            yield self._places[best]
            numbers[best] = -1

    def _best(self, numbers: list[int]) -> int:
        """The place with the lowest ``-ln(u) / weight``, with ``u`` the number as a fraction of 1."""
        best, least = -1, inf
        for start, end, factor in self._classes:
            most = max(numbers[start:end])
            if most >= 0:
                score = -log((most + 1) * _UNIT) * factor
                if score < least or best < 0:
                    best, least = numbers.index(most, start), score
        return best


def seed(text: bytes) -> int:
    """64 bits of a hash that is the same in every process."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
