"""W3C Trace Context: the trace of a request, and its parent span.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

SAMPLED: Final = 0x01
# Level 2 of the recommendation: the trace id is random. Valid for the whole trace, so it is propagated.
RANDOM: Final = 0x02

_MAX_STATE: Final = 4096  # characters; the recommendation asks for 512
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16

_traceparent: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?").fullmatch
_printable: Final = re.compile(r"[\t\x20-\x7e]*").fullmatch


class Parent(Struct, frozen=True, gc=False):
    """The content of a ``traceparent``. The ids are lower-case hexadecimal, 32 and 16 digits, never all zero."""

    trace_id: str
    span_id: str
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the caller records the trace."""
        return bool(self.flags & SAMPLED)


class Trace(Struct, frozen=True):
    """The exchange's place in a recorded trace.

    ``draw(n)`` returns n random bits. ``parent_id`` is the client's span, ``""`` if the trace begins here. ``state`` is
    the client's ``tracestate``, ``""`` if there is none.
    """

    draw: Callable[[int], int]
    trace_id: str
    span_id: str
    flags: int = SAMPLED
    parent_id: str = ""
    state: str = ""

    @classmethod
    def begun(cls, draw: Callable[[int], int]) -> Trace:
        """Begin a new trace."""
        return cls(draw, f"{draw(128) or 1:032x}", _span_id(draw))

    @classmethod
    def within(cls, parent: Parent, state: str, draw: Callable[[int], int]) -> Trace:
        """Continue the client's trace."""
        return cls(draw, parent.trace_id, _span_id(draw), parent.flags, parent.span_id, state)

    def new_span(self) -> str:
        """The id of a new span of this trace."""
        return _span_id(self.draw)

    def lines(self, span_id: str) -> bytes:
        """Header lines with ``span_id`` as the parent span of a request to a provider."""
        line = f"traceparent: 00-{self.trace_id}-{span_id}-{self.flags:02x}\r\n"
        return (f"{line}tracestate: {self.state}\r\n" if self.state else line).encode("ascii")


def read(values: Sequence[str]) -> Parent | None:
    """Read the ``traceparent`` headers of one request; ``None``: none, several, or an invalid one.

    Later versions are read like this one, as section 4 of the recommendation requires.
    """
    found = _traceparent(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Parent(trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM))


def state(values: Sequence[str]) -> str:
    """The ``tracestate`` headers of one request as one value; ``""``: none, or one that cannot be propagated."""
    joined = ",".join(value.strip() for value in values if value.strip())
    return joined if len(joined) <= _MAX_STATE and _printable(joined) else ""


def _span_id(draw: Callable[[int], int]) -> str:
    return f"{draw(64) or 1:016x}"
