"""Bodies that would hold the loop: what the JSON scanner is slow at, bounded in steps before its one pass.

The scanner takes 10 ms for 50 MB of text, but several times that for brackets (3 ns each) and for escapes in a member
name (4 ns each, as names are decoded). Both are bounded far above what requests have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.wire.patch import MAX_NAMES

MAX_BRACKETS: Final = 10_000_000  # opening ones, those within texts included
_PIECE: Final = 1024 * 1024  # bytes in a step
_SPACE: Final = 64  # bytes between a name and its colon that are looked at


class TooCostly(Exception):
    """Says what there is too much of."""


def check_cost(body: bytes) -> Iterator[None]:
    """Raise TooCostly for more than ``MAX_BRACKETS``, or a member name longer than ``MAX_NAMES``. Yields between
    pieces."""
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
    """Whether a run without a quote that begins in this piece ends a member name.

    A run of twice ``MAX_NAMES`` is always seen. A name that has quotes of its own is left to the scanner.
    """
    for at in range(start, min(end, len(body)), MAX_NAMES):
        if body.find(b'"', at, at + MAX_NAMES) < 0:
            quote = body.find(b'"', at + MAX_NAMES)
            behind = body[quote + 1 : quote + 1 + _SPACE].lstrip(b" \t\r\n")
            return quote > 0 and body[quote - 1] != 0x5C and behind[:1] == b":"
    return False
