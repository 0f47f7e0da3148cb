"""Estimate of a call's tokens: four bytes of text are one token.

It reserves tokens until the real usage is known, so it must be fast and fair rather than exact. Members of usual size
are read for their text. Larger ones, and those of unknown shape or with too many elements, count by their bytes in the
body, so that no request can block the loop.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.dialects.call import Call
from proxy.dialects.openai import content
from proxy.dialects.openai.content import Content
from proxy.dialects.openai.payloads import payloads
from proxy.wire.patch import Members

BYTES_PER_TOKEN: Final = 4
MOST_BYTES: Final = 1024 * 1024  # of a member that is read
MOST_PIECES: Final = 5_000  # commas: one for every message, part and element beyond the first, and those in texts
LONGEST_NUMBER: Final = 32  # characters
MOST_TOKENS: Final = 10**12

_TEXTS: Final = ("messages", "prompt", "input", "instructions")
_DEFINITIONS: Final = ("tools", "functions")  # the model sees their JSON
_BOUNDS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")

_text_of: Final = msgspec.json.Decoder(str).decode


def prompt_tokens(call: Call, per_image: int, per_audio: int) -> int:
    """Tokens of the input: texts, token arrays, and a fixed number for each image and audio part.

    Never raises: a member of unknown shape counts by its bytes.
    """
    found = Content()
    for name in _TEXTS:
        if size := call.members.size(name):
            _add_member(call, name, size, found)
    for name in _DEFINITIONS:
        if call.members.first_byte(name) == b"[":
            found.text += call.members.size(name)
    text = -(-found.text // BYTES_PER_TOKEN)
    return text + found.tokens + found.images * per_image + found.audio * per_audio


def output_tokens(call: Call, model_max: int, default: int) -> int:
    """Most tokens of a generated answer, all choices together.

    The call's own limit, else the model's (``model_max``; 0: unknown), else ``default``. Endpoints that generate
    nothing, such as embeddings, are the caller's concern.
    """
    most = -1
    for name in _BOUNDS:
        if size := call.members.size(name):
            most = max(most, _bound(call.members, name, size))
    return (most if most >= 0 else model_max or default) * call.choices


def _bound(members: Members, name: str, size: int) -> int:
    """The number; -1 for a value that is no limit (some servers use -1 for that)."""
    if size > LONGEST_NUMBER:
        return -1
    raw = members.raw(name) or b""
    return int(min(float(raw), MOST_TOKENS)) if raw[:1].isdigit() else -1


# -- one member -----------------------------------------------------------------------------------


def _add_member(call: Call, name: str, size: int, found: Content) -> None:
    members = call.members
    if size > MOST_BYTES:
        if members.first_byte(name) == b'"':
            found.text += size - 2
        else:
            _add_bytes(call.body, *members.span(name), found)
        return
    raw = members.raw(name) or b""
    first = raw[:1]
    if first == b'"':
        found.text += _size_of_string(raw)
    elif first == b"[" and b'"' not in raw:
        found.tokens += _numbers(raw)
    elif raw != b"null" and not (first == b"[" and _add_list(raw, found)):
        _add_bytes(raw, 0, size, found)


def _add_list(raw: bytes, found: Content) -> bool:
    """Add the content of a list; ``False``, with nothing added, if its shape is unknown or it has too many elements."""
    if raw.count(b",") > MOST_PIECES:
        return False
    try:
        more = content.of_list(raw)
    except content.Unknown:
        return False
    found.text += more.text
    found.images += more.images
    found.audio += more.audio
    return True


def _size_of_string(raw: bytes) -> int:
    return content.size(_text_of(raw)) if b"\\" in raw else len(raw) - 2


def _numbers(raw: bytes) -> int:
    """The count of numbers in an array, or in an array of arrays."""
    return raw.count(b",") + 1 if raw[1:-1].strip(b" \t\r\n") else 0


def _add_bytes(body: bytes, begin: int, end: int, found: Content) -> None:
    found.text += end - begin
    for kind, size in payloads(body, begin, end):
        found.text -= size
        found.images += kind == "image"
        found.audio += kind == "audio"
