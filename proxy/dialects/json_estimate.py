"""Estimate of a call's tokens from the members of its JSON: four bytes of text are one token.

It reserves tokens until the real usage is known, so it must be fast and fair rather than exact. Members of usual size
are read for their text. Larger ones, and those of unknown shape or with too many elements, count by their bytes in the
body, so that no request can block the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from proxy.dialects.base import BYTES_PER_TOKEN
from proxy.dialects.call import Call
from proxy.dialects.payloads import Kind, payloads
from proxy.wire.patch import Members

MOST_BYTES: Final = 1024 * 1024  # of a member that is read
MOST_PIECES: Final = 5_000  # commas: one for every message, part and element beyond the first, and those in texts
LONGEST_NUMBER: Final = 32  # characters
MOST_TOKENS: Final = 10**12
_DIGITS: Final = 12  # of a number that is below it

_text_of: Final = msgspec.json.Decoder(str).decode


class Unknown(ValueError):
    """A node has an unknown type, or a member has the wrong type."""


class Content(Struct, gc=False):
    """Counts: bytes of UTF-8 text, tokens (where the client sent token arrays), image and audio parts."""

    text: int = 0
    tokens: int = 0
    images: int = 0
    audio: int = 0

    def total(self, per_image: int, per_audio: int) -> int:
        """All of it in tokens."""
        text = -(-self.text // BYTES_PER_TOKEN)
        return text + self.tokens + self.images * per_image + self.audio * per_audio


class MemberCounter(Struct, frozen=True):
    """Counts the members of one dialect.

    ``of_list`` counts a JSON array. It raises Unknown. ``payloads`` are the keys of images, sound and sealed text, for
    what is too large or too unusual to decode.
    """

    of_list: Callable[[bytes], Content]
    payloads: Mapping[bytes, Kind]

    def add(self, call: Call, name: str, found: Content) -> None:
        """Add a member: a text, a list, or an array of tokens. Never raises: others count by their bytes."""
        members = call.members
        size = members.size(name)
        if not size:
            return
        if size > MOST_BYTES:
            if members.first_byte(name) == b'"':
                found.text += size - 2
            else:
                self._add_bytes(call.body, *members.span(name), found)
            return
        raw = members.raw(name) or b""
        first = raw[:1]
        if first == b'"':
            found.text += _size_of_string(raw)
        elif first == b"[" and b'"' not in raw:
            found.tokens += _numbers(raw)
        elif raw != b"null" and not (first == b"[" and self._add_list(raw, found)):
            self._add_bytes(raw, 0, size, found)

    def _add_list(self, raw: bytes, found: Content) -> bool:
        """Add the content of a list; ``False``, with nothing added, if its shape is unknown or it is too long."""
        if raw.count(b",") > MOST_PIECES:
            return False
        try:
            more = self.of_list(raw)
        except Unknown:
            return False
        found.text += more.text
        found.images += more.images
        found.audio += more.audio
        return True

    def _add_bytes(self, body: bytes, begin: int, end: int, found: Content) -> None:
        found.text += end - begin
        for kind, size in payloads(body, begin, end, self.payloads):
            found.text -= size
            found.images += kind == "image"
            found.audio += kind == "audio"


def add_definitions(call: Call, names: Iterable[str], found: Content) -> None:
    """Add arrays of which the model sees the JSON, such as ``tools``."""
    for name in names:
        if call.members.first_byte(name) == b"[":
            found.text += call.members.size(name)


def limit_of(members: Members, name: str) -> int:
    """The number that a member is; -1 if it is absent or no limit (some servers use -1 for that)."""
    value = members.values.get(name)
    if value is None:
        return -1
    if len(value) <= _DIGITS:
        try:
            most = int(value)  # of its bytes where they are: half the time of ``number_of``
        except ValueError:
            most = 0
        if most > 0:
            return most
    return number_of(bytes(memoryview(value)[: LONGEST_NUMBER + 1]))


def number_of(raw: bytes) -> int:
    """The whole number of a JSON value, at most ``MOST_TOKENS``; -1 if it is none, or below 0.

    A number may stand in a string, which some servers accept. One of more than 32 characters is taken as the most.
    """
    if not raw.isdigit():
        raw = raw.strip(b'" +')
    if not raw[:1].isdigit():
        return -1
    if len(raw) > LONGEST_NUMBER:
        return MOST_TOKENS
    try:
        return int(raw) if raw.isdigit() and len(raw) <= _DIGITS else int(min(float(raw), MOST_TOKENS))
    except ValueError:
        return -1


def size(text: str) -> int:
    """Bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def _size_of_string(raw: bytes) -> int:
    return size(_text_of(raw)) if b"\\" in raw else len(raw) - 2


def _numbers(raw: bytes) -> int:
    """The count of numbers in an array, or in an array of arrays."""
    return raw.count(b",") + 1 if raw[1:-1].strip(b" \t\r\n") else 0
