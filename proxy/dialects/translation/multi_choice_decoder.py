"""A provider's answer with several choices, read by one decoder for each of them.

Streams have the events of all choices mixed, token by token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.dialects.json_events import read_payload
from proxy.dialects.translation.answer_members import objects_at
from proxy.dialects.translation.base import AnswerDecoder, OneChoiceDecoder
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import AnswerPart, ChoicePart, Dropped, Start, UsagePart
from proxy.wire import document


class MultiChoiceDecoder(AnswerDecoder):
    """Splits each event by its choices. A ``ChoicePart`` says which choice the parts after it belong to.

    ``make``: the decoder of one choice. ``count``: choices that were requested; more are ``Dropped``.
    ``member``: the request's member for their number, which is ``Dropped`` if the answer has fewer.
    """

    __slots__ = ("_begun", "_current", "_decoders", "_list", "_member")

    def __init__(self, make: type[OneChoiceDecoder], count: int, member: str) -> None:
        self._decoders = [make() for _ in range(count)]
        self._list = make.choices
        self._member = member
        self._begun: set[int] = set()
        self._current = -1  # the choice of the last part

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        payload = read_payload(block, first=not self._begun)
        if payload.kind is not None or not isinstance(payload.document, dict):
            return ()
        return list(self._read(payload.document))

    def end(self) -> Sequence[AnswerPart]:
        """The usage comes once: all choices report that of the whole answer, and the first one is the latest."""
        found: list[AnswerPart] = []
        used = False
        for index, decoder in enumerate(self._decoders):
            parts = [part for part in decoder.end() if not (used and isinstance(part, UsagePart))]
            used = used or any(isinstance(part, UsagePart) for part in parts)
            found += self._of(index, parts)
        if 0 < len(self._begun) < len(self._decoders):
            found.append(Dropped(self._member))
        return found

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        try:
            answer, _ = document.read(body)
        except ValueError:
            return ()
        events = answer if isinstance(answer, list) else [answer]
        found = [part for event in events if isinstance(event, dict) for part in self._read(event)]
        return [*found, *self.end()]

    def _read(self, event: JsonObject) -> Iterator[AnswerPart]:
        """The parts of an event, or of a whole answer. The first decoder gets the members beside all choices."""
        split: dict[int, list[JsonObject]] = {0: []}
        for choice in objects_at(event, self._list):
            index = choice.get("index") or 0
            if isinstance(index, int) and 0 <= index < len(self._decoders):
                split.setdefault(index, []).append(choice | {"index": 0})
            else:
                yield Dropped(self._list)
        for index, choices in split.items():
            yield from self._of(index, list(self._decoders[index].read(event | {self._list: choices})))

    def _of(self, index: int, parts: list[AnswerPart]) -> Iterator[AnswerPart]:
        """The parts of a choice."""
        if parts and index != self._current:
            self._current = index
            yield ChoicePart(index)
        for part in parts:
            if isinstance(part, Start):
                self._begun.add(index)
            yield part
