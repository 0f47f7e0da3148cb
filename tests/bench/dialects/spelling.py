"""What the dialects share: JSON as providers write it, and text that fills an event or an answer to its size."""

from __future__ import annotations

import json

from tests.bench.traffic import EVENT_SIZE, RECEIVED, TOKEN_SIZE

TEXT = "A sluice is a gate that lets water through, as much as is wanted and no more, and holds the rest."
ANSWER_SIZE = 476  # bytes of a plain answer with a number of 8 digits, and a request of 3


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def named_event(name: str, **members: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), compact({"type": name, **members}))


def filled_event(text: bytes) -> bytes:
    """An event of EVENT_SIZE; ``?`` stands for its token."""
    return _filled(text, EVENT_SIZE - TOKEN_SIZE + 1)


def filled_answer(text: bytes) -> bytes:
    """A plain answer of ANSWER_SIZE."""
    return _filled(text, ANSWER_SIZE - 8 - 3 + 1 + len(str(RECEIVED)))


def _filled(text: bytes, size: int) -> bytes:
    """``text`` with so much of TEXT in the place of ``%`` that it has this size."""
    missing = size - (len(text) - 1)
    return text.replace(b"%", (f"{TEXT} " * 4)[:missing].encode(), 1)
