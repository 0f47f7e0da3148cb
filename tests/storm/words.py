"""Texts with a checksum: words derived from the request's name, then ``#`` and the checksum."""

from __future__ import annotations

import random
import zlib

_WORDS = ("storm", "sluice", "gate", "water", "lock", "weir", "é", "naïve", "水", "flow", "\n", '"', "tide")


def text_of(name: str) -> str:
    """Return the text for the request ``name``, the same at every provider."""
    dice = random.Random(name)
    said = f"{name}: " + " ".join(dice.choices(_WORDS, k=dice.randint(5, 40)))
    return f"{said}#{_sum(said)}"


def numbers_of(name: str) -> list[int]:
    """Return the embedding for the request ``name``; the last number is the checksum."""
    dice = random.Random(name)
    said = [dice.randint(0, 1000) for _ in range(dice.randint(4, 64))]
    return [*said, int(_sum(repr(said)), 16)]


def is_whole(text: str, name: str) -> bool:
    said, mark, checksum = text.rpartition("#")
    return bool(mark) and checksum == _sum(said) and said.startswith(f"{name}: ")


def are_whole(numbers: list[int], name: str) -> bool:
    return bool(numbers) and numbers[-1] == int(_sum(repr(numbers[:-1])), 16) and numbers == numbers_of(name)


def pieces(text: str) -> list[str]:
    """Split a text, or the rest of one, for a stream; the checksum is the last piece."""
    if not text:
        return []
    said, _, checksum = text.rpartition("#")
    return [said[start : start + 9] for start in range(0, len(said), 9)] + [f"#{checksum}"]


def _sum(said: str) -> str:
    return f"{zlib.crc32(said.encode()):08x}"
