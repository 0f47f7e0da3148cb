"""The elements of an array of objects, located in a body without decoding them.

Works like ``patch.py``: msgspec checks the array and reports the length of each element. The cost is that of two passes
of the parser, about 1.2 ms for each MB.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar, Final

import msgspec

from proxy.wire.patch import Members, NotAnObject, NotJSON, TooManyMembers, parse

MAX_ELEMENTS: Final = 10_000  # far more than a conversation has; each costs about 1 us

Span = tuple[int, int]  # begin and end in the body


class _TooManyElements(Exception):
    """Not a ValueError, for the reason that ``TooManyMembers`` has."""


class _Element(msgspec.Struct, gc=False):
    """Any object. Each one is counted, so that an array with millions of them is not decoded to its end."""

    left: ClassVar[int] = 0

    def __post_init__(self) -> None:
        _Element.left -= 1
        if _Element.left < 0:
            raise _TooManyElements


_count: Final = msgspec.json.Decoder(list[_Element]).decode
_locate: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def elements(body: bytes, begin: int, end: int) -> Generator[None, None, list[Span] | None]:
    """Locate the elements of the array in ``body[begin:end]``, which is JSON without space around it.

    Returns ``None`` if it is no array of objects, or has more than MAX_ELEMENTS. Yields between the two passes, so that
    the caller can let the loop run.
    """
    value = memoryview(body)[begin:end]
    _Element.left = MAX_ELEMENTS
    try:
        _count(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _TooManyElements):
        return None
    yield
    found: list[Span] = []
    at = begin
    for raw in _locate(value):
        at = body.index(b"{", at)  # only white space, and a comma or the bracket, are between
        found.append((at, at + len(raw)))
        at += len(raw)
    return found


def members_at(body: bytes, span: Span) -> Members | None:
    """The members of an object within a body, with positions from its own beginning.

    ``None``: too many members, or a name that is no Unicode text.
    """
    try:
        return parse(body[span[0] : span[1]], is_text=True)
    except (NotJSON, NotAnObject, TooManyMembers):
        return None
