"""Texts of the demo: short sentences about the prompt, always the same for the same prompt."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

_QUOTED = 12  # words of the prompt that are repeated

_OPENINGS = (
    "You wrote “{prompt}”, and this answer comes from the demo, which has no model behind it.",
    "About “{prompt}”: the demo knows nothing, but it says so one word at a time.",
    "“{prompt}” is a fine thing to ask a server that only pretends to think.",
)
_SENTENCES = (
    "Every word travels as an event of its own, just as a provider would send it.",
    "If the words appear one after the other, nothing between us is buffering.",
    "Leave whenever you like: the generation stops with you.",
    "Ask for the models to see which faults can be tried by name.",
    "The tokens are counted as words, so that the arithmetic is easy to check.",
    "A real model would have found something better to say here.",
    "No text that you send is stored, and nothing leaves this machine.",
)
_THOUGHTS = (
    "The user asks about “{prompt}”.",
    "There is no model here, so an honest short answer is best.",
    "It should mention the prompt and stay friendly.",
)


def prose(prompt: str, sentences: int) -> str:
    """``sentences`` sentences; the first repeats the prompt."""
    seed = zlib.crc32(prompt.encode())
    opening = _OPENINGS[seed % len(_OPENINGS)].replace("{prompt}", shortened(prompt))
    rest = (_SENTENCES[(seed + index) % len(_SENTENCES)] for index in range(sentences - 1))
    return " ".join([opening, *rest])


def thoughts(prompt: str) -> str:
    return " ".join(_THOUGHTS).replace("{prompt}", shortened(prompt))


def shortened(prompt: str, most: int = _QUOTED) -> str:
    """The first ``most`` words."""
    words = prompt.split()
    return " ".join(words[:most]) + (" …" if len(words) > most else "") if words else "nothing"


def pieces(text: str) -> list[str]:
    """The words with the preceding white space: joined, they are the text."""
    return re.findall(r"\s*\S+|\s+$", text)


def count(text: str) -> int:
    """Number of tokens, which are words in the demo."""
    return len(text.split())


def slices(text: str, length: int = 12) -> Iterator[str]:
    """``text`` in pieces of ``length`` characters, as tool arguments are streamed."""
    for at in range(0, len(text), length):
        yield text[at : at + length]
