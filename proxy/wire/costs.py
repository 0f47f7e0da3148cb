"""Limits on JSON that is slow to parse, checked in steps before the parser's single pass.

The parser takes 10 ms for 50 MB of text, but several times that for brackets (3 ns each) and for escapes in a member
name (4 ns each, as names are decoded). Both limits are far above what requests have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.wire.patch import MAX_NAMES

MAX_BRACKETS: Final = 10_000_000  # opening ones, also within strings
_PIECE: Final = 1024 * 1024  # bytes in a step
_SPACE: Final = 64  # bytes after a name that are searched for its colon


class TooCostly(Exception):
    """The body exceeds a limit; the message names it."""


def check_cost(body: bytes) -> Iterator[None]:
    """Raise TooCostly for more than ``MAX_BRACKETS``, or a member name longer than ``MAX_NAMES``.

    Yields between pieces.
    """
    brackets = 0
    for start in range(0, len(body), _PIECE):
        end = start + _PIECE
        brackets += body.count(b"[", start, end) + body.count(b"{", start, end)
        if brackets > MAX_BRACKETS:
            raise TooCostly(f"more than {MAX_BRACKETS:,} objects and arrays")
        if _has_long_name(body, start, end):
            raise TooCostly(f"member names of more than {MAX_NAMES // 1024} KB")
        yield


def _has_long_name(body: bytes, start: int, end: int) -> bool:
    """Whether a run without a quote that begins in this piece is a member name.

    A run of twice ``MAX_NAMES`` is always found. A name that contains quotes is left to the parser.
    """
    for at in range(start, min(end, len(body)), MAX_NAMES):
        if body.find(b'"', at, at + MAX_NAMES) < 0:
            quote = body.find(b'"', at + MAX_NAMES)
            behind = body[quote + 1 : quote + 1 + _SPACE].lstrip(b" \t\r\n")
            return quote > 0 and body[quote - 1] != 0x5C and behind[:1] == b":"
    return False
