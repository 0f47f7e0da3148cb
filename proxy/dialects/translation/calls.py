"""Tool calls between a provider's answer and a client: names, ids, custom tools, and calls that interleave."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

from msgspec import Struct

from proxy.dialects.translation.parts import (
    AnswerFailed,
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


class CallFilter(Protocol):
    """Passes the parts of an answer on, with its calls as the client's dialect needs them. See ``CallParts``."""

    @property
    def idle(self) -> bool: ...

    def pass_on(self, part: AnswerPart) -> Iterator[AnswerPart]: ...

    def end(self) -> Iterator[AnswerPart]: ...


class _Call(Struct):
    start: CallStart
    unwrap: bool  # it stands for a custom tool
    pieces: list[str] = []  # of the arguments, kept back
    ended: bool = False


class CallParts:
    """Passes the parts of one answer on, with its calls as the client's dialect needs them.

    The calls get the client's names, and an id, ``prefix`` and a number, where they have none or that of another call:
    SDKs and providers refuse that. The text of a custom tool is taken out of the function's arguments when these are
    complete. ``sequential``: a call begins when the one before it has ended. Raises BrokenAnswer if more than
    MOST_BUFFERED characters have to be kept back, and ErrorInStream for an answer that the provider gave up.
    """

    __slots__ = ("_buffered", "_count", "_ids", "_names", "_open", "_prefix", "_queue", "_sequential")

    def __init__(self, names: ToolNames, prefix: str, *, sequential: bool) -> None:
        self._names = names
        self._prefix = prefix
        self._sequential = sequential
        self._count = 0
        self._ids: set[str] = set()
        self._open: dict[int, _Call] = {}  # those that the provider has not ended, by its index
        self._queue: deque[_Call] = deque()  # if sequential: the call that the client gets now, and those after it
        self._buffered = 0

    @property
    def idle(self) -> bool:
        """Whether no call is open."""
        return not (self._open or self._queue)

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
            case (
                Start() | UsagePart() | AnswerFailed() | Dropped()
            ):  # some providers report the usage so far with every chunk
                yield part
            case _:
                if self._sequential:
                    yield from self.end()
                yield part

    def end(self) -> Iterator[AnswerPart]:
        """What is kept back of calls that have begun: no more of them follows."""
        for index in tuple(self._open):
            yield from self._end(index)

    def _start(self, part: CallStart) -> Iterator[AnswerPart]:
        yield from self._end(part.index)  # some providers give all calls the same index
        original = self._names.original(part.name)
        unwrap = original.kind == "custom" and part.kind == "function"
        is_new = part.id and part.id not in self._ids
        self._ids.add(part.id)
        start = CallStart(
            part.index,
            part.id if is_new else f"{self._prefix}{self._count}",
            original.name,
            original.kind if unwrap else part.kind,
            original.namespace or part.namespace,
            part.blob,
        )
        self._count += 1
        self._open[part.index] = call = _Call(start, unwrap)
        if self._sequential:
            self._queue.append(call)
        if not self._waits(call):
            yield start

    def _delta(self, part: CallDelta) -> Iterator[AnswerPart]:
        call = self._open.get(part.index)
        if call is None or not part.text:
            return
        if not (call.unwrap or self._waits(call)):
            yield part
            return
        self._buffered += len(part.text)
        if self._buffered > MOST_BUFFERED:
            raise BrokenAnswer("The arguments of the model's tool calls are too long to be put in order.")
        call.pieces.append(part.text)

    def _end(self, index: int) -> Iterator[AnswerPart]:
        call = self._open.pop(index, None)
        if call is None:
            return
        call.ended = True
        if not self._sequential:
            yield from self._last(call)
        while self._queue and self._queue[0].ended:
            yield from self._last(self._queue.popleft())
            if self._queue:
                yield from self._first(self._queue[0])

    def _waits(self, call: _Call) -> bool:
        """Whether another call must end before this one begins."""
        return self._sequential and call is not self._queue[0]

    def _first(self, call: _Call) -> Iterator[AnswerPart]:
        """The beginning of a call that had to wait."""
        yield call.start
        if not call.unwrap:
            yield from self._rest(call)

    def _last(self, call: _Call) -> Iterator[AnswerPart]:
        """The end of a call that has begun."""
        yield from self._rest(call)
        yield CallEnd(call.start.index)

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
