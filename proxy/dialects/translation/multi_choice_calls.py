"""The tool calls of an answer with several choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.dialects.translation.calls import CallFilter
from proxy.dialects.translation.parts import AnswerPart, ChoicePart


class MultiChoiceCalls:
    """Implements ``CallFilter``. Passes the parts of each choice through a filter of its own, by index."""

    __slots__ = ("_current", "_filters")

    def __init__(self, filters: Sequence[CallFilter]) -> None:
        self._filters = filters
        self._current = filters[0]

    @property
    def idle(self) -> bool:
        """Whether no call is open."""
        return all(each.idle for each in self._filters)

    def pass_on(self, part: AnswerPart) -> Iterator[AnswerPart]:
        if isinstance(part, ChoicePart):
            self._current = self._filters[part.index]
            yield part
        else:
            yield from self._current.pass_on(part)

    def end(self) -> Iterator[AnswerPart]:
        for index, each in enumerate(self._filters):
            if not each.idle:
                yield ChoicePart(index)
                yield from each.end()
