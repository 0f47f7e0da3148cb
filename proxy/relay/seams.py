"""Inserts comments into an event stream: between whole blocks, never inside a CR LF.

The gateway's comments normally end with a blank line. After an event with an ``id`` they must not: OpenAI's Python
package keeps the last id, reads any later blank line as the end of an event, and raises as that event has no data
(``SSEDecoder.decode`` in openai 1.109 and 3.52). Without a blank line, the comment is the first line of the next event,
which every parser accepts.
"""

from __future__ import annotations

import re

_id_line = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])id[:\r\n]").search


def has_id(block: bytes) -> bool:
    """Whether the block has a field ``id``; a BOM may stand before the first of a stream."""
    return b"id" in block and _id_line(block) is not None


def comment(block: bytes, *, numbered: bool) -> bytes:
    """The comment block to send; ``b""`` for a lone blank line. ``numbered``: the client got an ``id``.

    A ping that is an event needs its blank line.
    """
    if not numbered or block.startswith(b"event:"):
        return block
    text = block.rstrip(b"\r\n")
    return text + b"\n" if text else b""


class Seams:
    """Line ends between blocks. A block that ends with CR is forwarded at once; a LF read later may belong to it.

    ``late`` is what to forward for such a LF, ``None`` if none can follow.
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
        """Note that ``kept`` was forwarded for this block."""
        self.late = (b"\n" if kept.endswith(b"\r") else b"") if block.endswith(b"\r") else None

    def complete(self) -> bytes:
        """The LF to send before a comment, so that the comment does not split a CR LF.

        If there is one, the provider's own LF is dropped later.
        """
        late, self.late = self.late, None if self.late is None else b""
        return late or b""
