"""The events of an answer with several choices, made by one encoder for each of them."""

from __future__ import annotations

from msgspec import structs

from proxy.dialects.translation.base import AnswerContext, OneChoiceEncoder
from proxy.dialects.translation.parts import AnswerPart, ChoicePart, Start, UsagePart
from proxy.errors import GatewayError


class MultiChoiceEncoder:
    """Implements ``EventEncoder``. Gives each part to the encoder of its choice, which the last ``ChoicePart`` names.

    ``make``: the encoder of one choice. The usage of all choices and the terminal event come once, at the end.
    """

    __slots__ = ("_begun", "_current", "_encoders", "_usage", "cites", "sequential")

    def __init__(self, make: type[OneChoiceEncoder], context: AnswerContext) -> None:
        self._encoders = [make(structs.replace(context, choice=each)) for each in range(context.request.choices)]
        self.sequential = make.sequential
        self.cites = make.cites
        self._current = 0
        self._begun: set[int] = set()
        self._usage: UsagePart | None = None

    def encode(self, part: AnswerPart) -> bytes:
        if isinstance(part, ChoicePart):
            self._current = part.index
            return b""
        if isinstance(part, UsagePart):
            self._usage = part
            return b""
        if isinstance(part, Start):
            return self._start(part)
        return self._encoders[self._current].encode(part)

    def _start(self, part: Start) -> bytes:
        """Begin the choices in order, as the openai package takes a choice that comes first for the first one."""
        new = [index for index in range(self._current + 1) if index not in self._begun]
        self._begun.update(new)
        return b"".join(self._encoders[index].encode(part) for index in new)

    def finish(self) -> bytes:
        """The choices that have begun end in their order. The last of them has what ends the answer."""
        *others, last = [self._encoders[index] for index in sorted(self._begun or {0})]
        events = b"".join(each.finish_choice() for each in others)
        if self._usage is not None:
            events += last.encode(self._usage)
        return events + last.finish()

    def failed(self, fault: GatewayError) -> bytes:
        return self._encoders[0].failed(fault)
