"""``own-reasoning``: blobs of a conversation that was translated before go to their issuer only.

A client got them with the name of their issuer (``translation/blobs.py``). The issuer itself gets its own blob again.
Any other provider would refuse the request, so the block is left out:
https://github.com/anthropics/anthropic-sdk-python/issues/1598
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from proxy.dialects.patches.base import BodyChange, Steps, contains, moved
from proxy.dialects.patches.blocks import without
from proxy.dialects.translation.blobs import PREFIX, unpack
from proxy.wire.elements import Span, elements, members_at
from proxy.wire.patch import Edit, Members

MARK: Final = f'"{PREFIX}'.encode()
_OFTEN: Final = 256  # messages that are looked at in one step
_BLOBS: Final[Mapping[bytes, tuple[str, str]]] = {  # by the type of a block: its member, and the kind of blob
    b'"thinking"': ("signature", "signature"),
    b'"redacted_thinking"': ("data", "redacted"),
    b'"reasoning"': ("encrypted_content", "encrypted"),
}
_THINKING: Final = (b'"thinking"', b'"redacted_thinking"')

_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


class _Blob(Struct, frozen=True):
    """``edit`` puts the issuer's own blob in its place; ``None``: there is none that the issuer would read."""

    issuer: str
    edit: Edit | None


class _Blocks(Struct, frozen=True):
    """The elements of one array, with the blobs of some, by their number."""

    spans: Sequence[Span]
    blobs: Mapping[int, _Blob]

    def kept(self, issuers: Set[str]) -> list[bool]:
        """For each element, whether it may be sent to a provider that is one of the issuers."""
        found = [True] * len(self.spans)
        for number, blob in self.blobs.items():
            found[number] = blob.edit is not None and blob.issuer in issuers
        return found

    def edits(self, kept: Sequence[bool]) -> Iterator[Edit]:
        yield from without(self.spans, kept)
        yield from (blob.edit for number, blob in self.blobs.items() if kept[number] and blob.edit is not None)


def own_items(members: Members) -> Steps:
    """``Patch.find`` for the items of the Responses API."""
    spans = yield from _elements(members, "input")
    blobs = {}
    for number, span in enumerate(spans):
        if number % _OFTEN == 0:
            yield
        if (blob := _blob(members.body, span)) is not None:
            blobs[number] = blob
    if not blobs:
        return None
    blocks = _Blocks(spans, blobs)
    return BodyChange(by_issuer=lambda issuers: BodyChange(edits=[*blocks.edits(blocks.kept(issuers))]))


def own_blocks(members: Members) -> Steps:
    """``Patch.find`` for Anthropic's messages. A message without any block left is left out."""
    spans = yield from _elements(members, "messages")
    contents = {}
    for number, span in enumerate(spans):
        if number % _OFTEN == 0:
            yield
        if (blocks := (yield from _content(members.body, span))) is not None:
            contents[number] = blocks
    if not contents:
        return None

    def change(issuers: Set[str]) -> BodyChange:
        kept, edits = [True] * len(spans), list[Edit]()
        lost: dict[str, bytes | None] = {}
        for number, blocks in contents.items():
            left = blocks.kept(issuers)
            kept[number] = any(left)
            if kept[number]:
                edits += blocks.edits(left)
                if not all(left) and _must_not_think(members, islice(spans, number + 1, None), blocks, left):
                    lost = _without_thinking(members)
        return BodyChange(lost, edits + without(spans, kept))

    return BodyChange(by_issuer=change)


def _elements(members: Members, name: str) -> Generator[None, None, Sequence[Span]]:
    """The elements of an array of objects with any blob; none if there is no such array."""
    if members.first_byte(name) != b"[":
        return ()
    begin, end = members.span(name)
    if not (yield from contains(members.body, begin, end, MARK)):
        return ()
    return (yield from elements(members.body, begin, end)) or ()


def _content(body: bytes, span: Span) -> Generator[None, None, _Blocks | None]:
    """The blocks of a message if any has a blob."""
    message = members_at(body, span) if body.find(MARK, *span) >= 0 else None
    if message is None or message.first_byte("content") != b"[":
        return None
    spans = (yield from elements(body, *moved(message.span("content"), span[0]))) or ()
    blobs = {number: blob for number, each in enumerate(spans) if (blob := _blob(body, each)) is not None}
    return _Blocks(spans, blobs) if blobs else None


def _blob(body: bytes, span: Span) -> _Blob | None:
    """The blob of a block, if it has the name of its issuer."""
    block = members_at(body, span) if body.find(MARK, *span) >= 0 else None
    member, kind = ("", "") if block is None else _BLOBS.get(block.raw("type") or b"", ("", ""))
    value = None if block is None else block.raw(member)
    if block is None or value is None or not value.startswith(MARK):
        return None
    blob = unpack(_text(value)).blob
    if blob is None or blob.kind != kind or not blob.data:
        return _Blob("", None)
    return _Blob(blob.issuer, (*moved(block.span(member), span[0]), _encode(blob.data)))


def _must_not_think(members: Members, later: Iterable[Span], blocks: _Blocks, kept: Sequence[bool]) -> bool:
    """Whether the provider would refuse thinking with a budget because of the blocks that are left out.

    ``later``: the messages after that of the blocks.

    It wants the last message of the model to begin with thinking while its tools run:
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks
    """
    if b'"enabled"' not in (members.raw("thinking") or b""):
        return False
    types = [_member(members.body, span, "type") for number, span in enumerate(blocks.spans) if kept[number]]
    if types[0] in _THINKING or b'"tool_use"' not in types:
        return False
    return not any(_member(members.body, span, "role") == b'"assistant"' for span in later)


def _without_thinking(members: Members) -> dict[str, bytes | None]:
    """Turn thinking off, and what needs it."""
    found: dict[str, bytes | None] = {"thinking": None}
    if b"clear_thinking" in (members.raw("context_management") or b""):
        found["context_management"] = None
    return found


def _member(body: bytes, span: Span, name: str) -> bytes | None:
    found = members_at(body, span)
    return None if found is None else found.raw(name)
