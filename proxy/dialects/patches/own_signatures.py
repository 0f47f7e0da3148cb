"""``own-reasoning`` for the Gemini API: signatures of translated answers go to their issuer only.

Google refuses any other with "Corrupted thought signature". It wants one with each call, so a call gets the value that
Google documents for calls that Gemini did not make: https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence, Set
from typing import Final

import msgspec
from msgspec import Struct

from proxy.dialects.gemini.signatures import PLACEHOLDER, unpacked
from proxy.dialects.patches.base import BodyChange, Steps, contains, moved
from proxy.dialects.patches.blocks import without
from proxy.dialects.translation.blobs import PREFIX, unpack, unpack_call
from proxy.dialects.translation.conversation import Blob
from proxy.wire.elements import Span, elements, members_at
from proxy.wire.patch import Edit, Members

SIGNED: Final = b'"c2wxL'  # a string that begins with PREFIX in base64
_OFTEN: Final = 256  # contents that are looked at in one step
_NAMES: Final = ("thoughtSignature", "thought_signature")
_CALLS: Final = ("functionCall", "function_call")
_EMPTY: Final = (None, b'""')

_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


class _SignedPart(Struct, frozen=True):
    """A part whose signature has the name of its issuer. ``name``: the member. ``blob``: what that issuer reads."""

    part: Members
    name: str
    blob: Blob | None

    @property
    def is_call(self) -> bool:
        return any(name in self.part for name in _CALLS)

    def for_issuers(self, issuers: Set[str]) -> bytes | None:
        """The part as the provider takes it; ``None``: nothing is left of it."""
        if self.blob is not None and self.blob.issuer in issuers:
            return self._with(_encode(self.blob.data))
        if self.is_call:
            return self._with(_encode(PLACEHOLDER))
        others = [name for name in self.part.values if name not in (self.name, "text", "thought")]
        return self._with(None) if others or self.part.raw("text") not in _EMPTY else None

    def _with(self, signature: bytes | None) -> bytes:
        return b"".join(self.part.splice({self.name: signature}))


class _SignedContent(Struct, frozen=True):
    """The parts of a content, and those of them that are signed, by their number."""

    spans: Sequence[Span]
    signed: dict[int, _SignedPart]

    def edits(self, issuers: Set[str]) -> list[Edit] | None:
        """``None``: nothing is left of the content."""
        found = {number: part.for_issuers(issuers) for number, part in self.signed.items()}
        kept = [found.get(number, b"") is not None for number in range(len(self.spans))]
        if not any(kept):
            return None
        edits: list[Edit] = [(*self.spans[number], part) for number, part in found.items() if part is not None]
        return edits + without(self.spans, kept)


def own_parts(members: Members) -> Steps:
    """``Patch.find`` for ``contents``. A content without any part left is left out."""
    if members.first_byte("contents") != b"[":
        return None
    body, (begin, end) = members.body, members.span("contents")
    if not (yield from contains(body, begin, end, SIGNED)):
        return None
    spans = (yield from elements(body, begin, end)) or ()
    contents: dict[int, _SignedContent] = {}
    for number, span in enumerate(spans):
        if number % _OFTEN == 0:
            yield
        if (content := (yield from _content(body, span))) is not None:
            contents[number] = content
    if not contents:
        return None

    def change(issuers: Set[str]) -> BodyChange:
        kept, edits = [True] * len(spans), list[Edit]()
        for number, content in contents.items():
            found = content.edits(issuers)
            kept[number] = found is not None
            edits += found or ()
        return BodyChange(edits=edits + without(spans, kept))

    return BodyChange(by_issuer=change)


def _content(body: bytes, span: Span) -> Generator[None, None, _SignedContent | None]:
    """The parts of a content if any is signed."""
    content = members_at(body, span) if body.find(SIGNED, *span) >= 0 else None
    if content is None or content.first_byte("parts") != b"[":
        return None
    spans = (yield from elements(body, *moved(content.span("parts"), span[0]))) or ()
    signed = dict(_signed(body, spans))
    return _SignedContent(spans, signed) if signed else None


def _signed(body: bytes, spans: Sequence[Span]) -> Iterator[tuple[int, _SignedPart]]:
    for number, span in enumerate(spans):
        part = members_at(body, span) if body.find(SIGNED, *span) >= 0 else None
        name = next((each for each in _NAMES if part is not None and each in part), "")
        value = part.raw(name) if part is not None and name else None
        if part is None or value is None or not value.startswith(SIGNED):
            continue
        packed = unpacked(_text(value))
        if packed.startswith(PREFIX):
            own = unpack_call(packed) or unpack(packed).blob
            yield number, _SignedPart(part, name, own if own is not None and own.data else None)
