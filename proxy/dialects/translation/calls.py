"""Tool calls between a provider's answer and a client: names, ids, custom tools, and calls that interleave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    CallEnd,
    CallStart,
    Dropped,
    Finish,
    Start,
    UsagePart,
)
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import BrokenAnswer
from proxy.wire import document

MOST_BUFFERED: Final = 1024 * 1024  # characters of arguments that are kept back in one stream
CUSTOM_INPUT: Final = "input"  # the one argument of the function that stands for a custom tool


class _Call(Struct):
    start: CallStart
    unwrap: bool  # it stands for a custom tool
    pieces: list[str] = []
    begun: bool = False  # its start was passed on
    ended: bool = False


class CallParts:
    """Passes the parts of one answer on, with its calls as the client's dialect needs them.

    The calls get the client's names, and an id where they have none: ``prefix`` and a number. The text of a custom
    tool is taken out of the function's arguments when these are complete. ``sequential``: a call begins when the one
    before it has ended. Raises BrokenAnswer if more than MOST_BUFFERED characters have to be kept back.
    """

    __slots__ = ("_buffered", "_calls", "_names", "_open", "_prefix", "_sequential")

    def __init__(self, names: ToolNames, prefix: str, *, sequential: bool) -> None:
        self._names = names
        self._prefix = prefix
        self._sequential = sequential
        self._calls: dict[int, _Call] = {}
        self._open: int | None = None  # index of the call that is passed on as it comes
        self._buffered = 0

    @property
    def idle(self) -> bool:
        """Whether no call is open."""
        return not self._calls

    def pass_on(self, part: AnswerPart) -> Iterator[AnswerPart]:
        """The parts to encode for a part of the provider's."""
        match part:
            case CallStart():
                yield from self._start(part)
            case CallDelta():
                yield from self._delta(part)
            case CallEnd(index):
                yield from self._end(index)
            case Finish():
                yield from self.end()
                yield part
            case Start() | UsagePart() | Dropped():  # some providers report the usage so far with every chunk
                yield part
            case _:
                if self._sequential and self._calls:
                    yield from self.end()
                yield part

    def end(self) -> Iterator[AnswerPart]:
        """What is kept back of calls that have begun: no more of them follows."""
        for index in tuple(self._calls):
            yield from self._end(index)
            if index in self._calls:  # an earlier one was open
                self._calls[index].ended = True
        yield from self._next()

    def _start(self, part: CallStart) -> Iterator[AnswerPart]:
        if part.index in self._calls:
            yield from self._end(part.index)
        original = self._names.original(part.name)
        unwrap = original.kind == "custom" and part.kind == "function"
        start = CallStart(
            part.index,
            part.id or f"{self._prefix}{part.index}",
            original.name,
            original.kind if unwrap else part.kind,
            original.namespace or part.namespace,
            part.blob,
        )
        self._calls[part.index] = call = _Call(start, unwrap)
        if self._open is None or not self._sequential:
            self._open = part.index
            call.begun = True
            yield start

    def _delta(self, part: CallDelta) -> Iterator[AnswerPart]:
        call = self._calls.get(part.index)
        if call is None or not part.text:
            return
        if call.begun and not call.unwrap:
            yield part
            return
        self._buffered += len(part.text)
        if self._buffered > MOST_BUFFERED:
            raise BrokenAnswer("The arguments of the model's parallel tool calls are too long to be put in order.")
        call.pieces.append(part.text)

    def _end(self, index: int) -> Iterator[AnswerPart]:
        call = self._calls.get(index)
        if call is None:
            return
        if not call.begun:
            call.ended = True  # its turn comes
            return
        del self._calls[index]
        yield from self._rest(call)
        yield CallEnd(index)
        if self._open == index:
            self._open = None
            yield from self._next()

    def _next(self) -> Iterator[AnswerPart]:
        """Begin the calls that had to wait, until one has not ended."""
        for index, call in tuple(self._calls.items()):
            if call.begun:
                continue
            call.begun = True
            yield call.start
            if not call.ended:
                self._open = index
                if not call.unwrap:
                    yield from self._rest(call)
                return
            del self._calls[index]
            yield from self._rest(call)
            yield CallEnd(index)

    def _rest(self, call: _Call) -> Iterator[AnswerPart]:
        text = "".join(call.pieces)
        call.pieces.clear()
        self._buffered -= len(text)
        if call.unwrap:
            text = _custom_input(text)
        if text:
            yield CallDelta(call.start.index, text)


def _custom_input(arguments: str) -> str:
    """The text for a custom tool; the arguments themselves where the model did not keep to the function's schema."""
    try:
        found = document.decode(arguments.encode("utf-8", "surrogatepass"))
    except ValueError:
        return arguments
    text = found.get(CUSTOM_INPUT) if isinstance(found, dict) else None
    return text if isinstance(text, str) else arguments
