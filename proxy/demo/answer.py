"""A response as a list of frames, so that pace and faults are independent of its content."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

Kind = Literal[
    "open",  # what comes before the first word
    "word",  # paced: one per tick of the model's rate
    "finish",  # the words that tell the end, e.g. the chunk with a finish_reason
    "usage",
    "done",  # the last event: data: [DONE], message_stop
]


class Frame(Struct, frozen=True):
    """Bytes that are written at once."""

    data: bytes
    kind: Kind = "open"


class Pause(Struct, frozen=True):
    """Silence for that many seconds."""

    seconds: float


class Cut(Struct, frozen=True):
    """Close the connection here, in the middle of the body."""


Part = Frame | Pause | Cut


class DemoAnswer(Struct, frozen=True):
    """Content and timing: ``before`` seconds until the head, then frames at ``rate`` words per second."""

    content_type: str
    frames: list[Part]
    status: int = 200
    headers: dict[str, str] = {}
    before: float = 0.0
    rate: float = 0.0  # 0: as fast as possible
    error: bytes = b""  # how this kind of answer tells an error after its head
    sse: bool = False


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def event(value: Any, kind: Kind = "open", name: str = "") -> Frame:
    """A server-sent event with JSON, and an ``event:`` line if it has a name."""
    head = f"event: {name}\n".encode() if name else b""
    return Frame(head + b"data: " + encode(value) + b"\n\n", kind)


DONE = Frame(b"data: [DONE]\n\n", "done")


def error_object(message: str, kind: str = "server_error", *, code: str | None = None, param: str | None = None) -> Any:
    """The error object of https://platform.openai.com/docs/guides/error-codes."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


BROKEN_MESSAGE = "The demo broke on purpose while it was answering."
BROKEN = error_object(BROKEN_MESSAGE, code="demo_broken")


def json_answer(value: Any, *, before: float = 0.0, broken: Any = BROKEN) -> DemoAnswer:
    """A JSON response in four pieces, so that faults have a middle and an end to work with.

    ``broken`` is the dialect's error, OpenAI's by default.
    """
    body = encode(value)
    edge = len(body) // 4 + 1
    pieces = [body[at : at + edge] for at in range(0, len(body), edge)]
    frames: list[Part] = [*map(Frame, pieces[:-1]), Frame(pieces[-1], "finish")]
    return DemoAnswer("application/json", frames, before=before, error=encode(broken))


def event_stream(frames: list[Frame], rate: float, error: Frame | None = None) -> DemoAnswer:
    """An event stream; ``error`` is the dialect's error event, OpenAI's bare object by default."""
    told = error or event(BROKEN)
    return DemoAnswer("text/event-stream; charset=utf-8", list(frames), rate=rate, error=told.data, sse=True)
