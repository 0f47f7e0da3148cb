"""Events of content blocks: start, deltas and stop.

Source: https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from proxy.wire import document

DeltaMember: TypeAlias = Literal["", "text", "thinking", "partial_json"]

_BEFORE: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b":'
_STOP: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'

# Type and member of the deltas that have nothing but a text.
_DELTAS: Final[dict[DeltaMember, bytes]] = {
    "": b"",
    "text": b'text_delta","text',
    "thinking": b'thinking_delta","thinking',
    "partial_json": b'input_json_delta","partial_json',
}

AFTER: Final = b"}}\n\n"


class BlockEvents:
    """The blocks of one stream. One is open at a time, and their indices have no gaps: SDKs fail otherwise.

    ``open``: the member that deltas of the open block have, ``""`` while none is open. ``before``: the event of such a
    delta, up to its text, which is followed by AFTER.
    """

    __slots__ = ("_index", "before", "open")

    def __init__(self) -> None:
        self._index = 0  # of the block that is open, or comes next
        self.open: DeltaMember = ""
        self.before = b""

    def begin(self, block: dict[str, Any], deltas: DeltaMember = "") -> bytes:
        """``deltas``: the member that the deltas of the block have."""
        self.open = deltas
        self.before = _BEFORE % (self._index, _DELTAS[deltas])
        return event("content_block_start", index=self._index, content_block=block)

    def delta(self, text: str) -> bytes:
        return self.before + document.encode(text) + AFTER

    def other_delta(self, kind: str, **members: Any) -> bytes:
        return event("content_block_delta", index=self._index, delta={"type": kind} | members)

    def stop(self) -> bytes:
        ending = _STOP % self._index
        self.open = ""
        self._index += 1
        return ending


def event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), document.encode({"type": kind} | members))
