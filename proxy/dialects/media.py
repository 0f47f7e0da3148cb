"""Images, sound and documents in the body of a request, counted by the marks of their parts.

It is for what a request can cost at most, so a part may be counted that is none, but none is missed that a client
wrote without escapes in the names of members; ``without_escapes`` removes those. Nothing is decoded: a large payload is
skipped, and the rest is searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from proxy.dialects.payloads import Kind, payload_spans

# Bytes that are searched, beside payloads: they alone count as more tokens than most models read, and take 3 ms.
MOST_SEARCHED: Final = 1024 * 1024

# A text may follow the key of a payload, too: an argument of a tool with the same name.
_is_encoded: Final = re.compile(rb"(?:data:[^,\"]{0,128},)?[A-Za-z0-9+/=_\\-]{256}").match


_ESCAPES: Final = (b"\\u004", b"\\u005", b"\\u006", b"\\u007")  # finding them takes a third of a pattern's time
_escaped_letters: Final = re.compile(rb"\\u00([46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff])")


def without_escapes(body: bytes) -> bytes:
    """The body with letters and ``_`` that no encoder of JSON escapes as themselves, so that names can be searched for.

    Usually the same object. Texts with a backslash before ``u00`` change, so it is for searches only.
    """
    if body.find(b"\\u00") < 0 or all(body.find(start) < 0 for start in _ESCAPES):
        return body
    return _escaped_letters.sub(lambda found: bytes((int(found[1], 16),)), body)


class MediaCount(Struct, frozen=True, gc=False):
    """Numbers of parts, and the bytes of the body that are none of their payloads, so may be text."""

    images: int  # documents and videos, too
    audio: int
    text: int


class MediaMarks(Struct, frozen=True, eq=False):
    """How the bodies of one dialect show content that is no text.

    ``hints``: each part has one of them. ``images``, ``audio``: patterns of which each part has one. ``payloads``: as
    in ``payloads.py``.
    """

    hints: tuple[bytes, ...]
    images: re.Pattern[bytes]
    audio: re.Pattern[bytes]
    payloads: Mapping[bytes, Kind]

    def may_be_in(self, body: bytes, nested: bool = False) -> bool:
        """Whether the body may have such content. ``nested``: it can only stand in an array within another one.

        A search for a hint takes 0.2 ns a byte, and for a bracket a fifth of that. A large body is not searched.
        """
        if len(body) > MOST_SEARCHED:
            return True
        if nested:
            first = body.find(b"[")
            if body.find(b"[", first + 1) < 0:  # all contents are plain strings, the usual short call
                return False
        for hint in self.hints:  # noqa: SIM110  a generator takes longer than a search
            if body.find(hint) >= 0:
                return True
        return False

    def count(self, body: bytes) -> MediaCount:
        """Count the parts. A text among the payloads makes all of them count as text: nothing tells which it is."""
        spans = [
            (begin, end)
            for kind, begin, end in payload_spans(body, 0, len(body), self.payloads)
            if kind != "sealed" and _is_encoded(body, begin)
        ]
        rest = _without(body, spans)
        searched = rest[:MOST_SEARCHED]
        text = len(rest)
        if spans and (searched.find(b'"text/') >= 0 or _text_payload(body, spans)):
            text = len(body)
        return MediaCount(len(self.images.findall(searched)), len(self.audio.findall(searched)), text)


def _text_payload(body: bytes, spans: Iterable[tuple[int, int]]) -> bool:
    """Whether one of them is a data URL of a text."""
    return any(body.startswith(b"data:text/", begin) for begin, _ in spans)


def _without(body: bytes, spans: list[tuple[int, int]]) -> bytes:
    """The body without these parts."""
    if not spans:
        return body
    view, kept, done = memoryview(body), [], 0
    for begin, end in spans:
        kept.append(view[done:begin])
        done = end
    kept.append(view[done:])
    return b"".join(kept)
