"""Error messages for bodies that are not JSON, where the parser's own message would mislead.

Only for refused bodies. At most ``LOOKED_AT`` bytes are read again, as a body may be large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

LOOKED_AT: Final = 1024 * 1024

_UTF16: Final = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")
_surrogates: Final = re.compile(rb"\\u[dD]([89a-fA-F])[0-9a-fA-F]{2}").finditer


def explain(body: bytes, reason: str) -> str:
    """The message for the client; ``reason`` is the parser's. Nothing of the body is quoted."""
    if not body:
        return "The request body is empty; send a JSON object."
    if body.startswith(b"\xef\xbb\xbf"):
        return "The request body begins with a byte order mark (BOM); send the JSON without it."
    if body.startswith(_UTF16):
        return "The request body is encoded as UTF-16; send the JSON as UTF-8."
    at = next(_halves(body), None)
    if at is not None:
        return (
            "The request body is not valid JSON: half of a surrogate pair, as of an emoji that was cut in two,"
            f" at byte {at}."
        )
    if reason == "invalid UTF-8":
        where = _invalid_utf8(body)
        return f"The request body is not valid UTF-8{where}; JSON has to be."
    if reason == "Input data was truncated":
        return "The request body is not valid JSON: it ends too early, or has half of a surrogate pair."
    return f"The request body is not valid JSON: {reason}."


def _halves(body: bytes) -> Iterator[int]:
    """Offsets of escapes that are half of a surrogate pair (RFC 8259, section 8.2)."""
    high = -1  # where a first half ended
    begun = -1
    for found in _surrogates(body, 0, LOOKED_AT):
        begin = found.start()
        if _is_escaped(body, begin):
            continue
        low = found[1] in b"cdefCDEF"
        if high >= 0 and not (low and begin == high):
            yield begun
        elif low and begin != high:
            yield begin
        high, begun = (-1, -1) if low else (found.end(), begin)
    if high >= 0:
        yield begun


def _is_escaped(body: bytes, backslash: int) -> bool:
    """Whether the backslash is escaped by another one."""
    before = backslash
    while before and body[before - 1] == 0x5C:
        before -= 1
    return bool((backslash - before) % 2)


def _invalid_utf8(body: bytes) -> str:
    try:
        body[:LOOKED_AT].decode()
    except UnicodeDecodeError as exc:
        if exc.start < LOOKED_AT - 3 or len(body) <= LOOKED_AT:  # else the cut may have made it so
            return f" at byte {exc.start}"
    return ""
