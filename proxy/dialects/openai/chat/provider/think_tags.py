"""Reasoning within the text of an answer, between ``<think>`` and ``</think>``.

Servers without a parser for the model's reasoning send it so, and it begins the answer:
https://docs.vllm.ai/en/latest/features/reasoning_outputs.html, https://platform.minimax.io/docs
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from proxy.dialects.translation.parts import ReasoningDelta, TextDelta

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class ThinkTags:
    """Divides the text of one answer into reasoning and text.

    Keeps back no more than what may be the beginning of a tag. ``done``: what follows is text as it stands.
    """

    __slots__ = ("_inside", "_kept", "_trim", "done")

    def __init__(self) -> None:
        self.done = False
        self._inside = False
        self._trim = False  # line ends right after a tag belong to it
        self._kept = ""

    def feed(self, text: str) -> Iterator[TextDelta | ReasoningDelta]:
        """The parts of the next piece of text."""
        text = self._kept + text
        self._kept = ""
        if not self.done and not self._inside and not self._trim:
            text = self._opened(text)
        if self._inside:
            text = yield from self._reasoning(text)
        if self._trim and not self._inside:
            text = text.lstrip("\r\n")
            self._trim = not text
        if text:
            self.done = True
            yield TextDelta(text)

    def end(self) -> Iterator[TextDelta | ReasoningDelta]:
        """What was kept back, when no more text follows."""
        kept, self._kept = self._kept, ""
        self.done = True
        if kept:
            yield ReasoningDelta(kept) if self._inside else TextDelta(kept)

    def _opened(self, text: str) -> str:
        """The text behind the first tag, or all of it if there is none; ``""`` while that is not known."""
        beginning = text.lstrip()
        if beginning.startswith(_OPEN):
            self._inside = self._trim = True
            return beginning.removeprefix(_OPEN)
        if _OPEN.startswith(beginning):
            self._kept = text
            return ""
        return text

    def _reasoning(self, text: str) -> Generator[ReasoningDelta, None, str]:
        """Yield the reasoning; returns the text behind the closing tag."""
        if self._trim:
            text = text.lstrip("\r\n")
            self._trim = not text
        thought, tag, rest = text.partition(_CLOSE)
        if tag:
            self._inside, self._trim = False, True
        else:
            kept = _beginning_at_end(thought)
            self._kept = thought[len(thought) - kept :]
            thought = thought[: len(thought) - kept]
        if thought:
            yield ReasoningDelta(thought)
        return rest


def _beginning_at_end(text: str) -> int:
    """How many characters at the end of the text may begin the closing tag."""
    return next((size for size in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:size])), 0)
