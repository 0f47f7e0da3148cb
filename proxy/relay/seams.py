"""Where a comment may stand in an event stream, and how: between whole blocks, never inside a CR LF.

A comment of ours normally brings a blank line of its own. Once an ``id`` went to the client it must not: OpenAI's
Python package keeps the last id, takes any later blank line for the end of an event, and raises as that event has no
data (``SSEDecoder.decode`` in openai 1.109 and 3.52). Without its blank line a comment is the first line of the next
event, which every parser reads alike.
"""

from __future__ import annotations

import re

_id_line = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])id[:\r\n]").search


def has_id(block: bytes) -> bool:
    """Whether the block has a field ``id``; a BOM may stand before the first of a stream."""
    return b"id" in block and _id_line(block) is not None


def comment(block: bytes, *, numbered: bool) -> bytes:
    """A comment block as the client may get it; ``b""`` for a lone blank line. ``numbered``: it has an ``id``."""
    if not numbered:
        return block
    text = block.rstrip(b"\r\n")
    return text + b"\n" if text else b""


class Seams:
    """Line ends between blocks. A block that ends with CR is forwarded at once; a LF read later may belong to it.

    ``late`` is what to forward for such a LF, ``None`` where none can come.
    """

    __slots__ = ("late",)

    def __init__(self) -> None:
        self.late: bytes | None = None

    def split(self, block: bytes) -> tuple[bytes, bytes]:
        """The bytes to forward for a late LF at the block's start, and the block without it."""
        if self.late is not None and block.startswith(b"\n"):
            return self.late, block[1:]
        return b"", block

    def close(self, block: bytes, kept: bytes) -> None:
        """``kept`` was forwarded for this block."""
        self.late = (b"\n" if kept.endswith(b"\r") else b"") if block.endswith(b"\r") else None

    def complete(self) -> bytes:
        """The LF that has to go before a comment, so that it does not stand inside a CR LF; the provider's is
        left out then."""
        late, self.late = self.late, None if self.late is None else b""
        return late or b""
