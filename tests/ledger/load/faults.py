"""What providers do: the steps of an answer, and of everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tests.ledger.load.answers import LAST_CHUNK, SSE, Pieces, chunk, json_answer

REPORTED: Final = "the usage was sent"
CLOSE: Final = "close"
RESET: Final = "reset"
STALL: Final = "stall"
Step = bytes | float | str  # bytes to send, seconds to wait, or one of the above

ERROR = b'{"error":{"message":"on purpose","type":"server_error","param":null,"code":"boom"}}'
SLOW = 0.6  # seconds
HELD = 0.1  # seconds that a client that leaves has for it


class Fault(NamedTuple):
    """``mute``: the connection ends without a byte. ``stream``: without a plain form."""

    name: str
    steps: Callable[[Pieces, bytes], list[Step]]  # of the pieces of a stream (or none), and the body of a plain answer
    stream: bool = False
    mute: bool = False


def whole(pieces: Pieces | None, body: bytes) -> list[Step]:
    if pieces is None:
        return [json_answer(200, body), REPORTED]
    return [b"".join((SSE, *pieces, LAST_CHUNK)), REPORTED]


def held(pieces: Pieces | None, body: bytes) -> list[Step]:
    """The client leaves meanwhile."""
    if pieces is None:
        return [HELD, *whole(pieces, body)]
    return [SSE + pieces.opening, HELD, b"".join((*pieces[1:], LAST_CHUNK)), REPORTED]


def _says(*steps: Step) -> Callable[[Pieces | None, bytes], list[Step]]:
    return lambda _pieces, _body: [*steps]


def _status(status: int, more: bytes = b"") -> Callable[[Pieces | None, bytes], list[Step]]:
    return _says(json_answer(status, ERROR, more))


def _cut(body: bytes, *, whole_length: bool) -> bytes:
    half = body[: len(body) // 2]
    answer = json_answer(200, half)
    return answer.replace(b"%d\r\n\r\n" % len(half), b"%d\r\n\r\n" % len(body), 1) if whole_length else answer


_ERROR_EVENT = chunk(b"data: " + ERROR + b"\n\n")

FAULTS: tuple[Fault, ...] = (
    Fault("429", _status(429, b"retry-after-ms: 5\r\n")),
    *(Fault(str(status), _status(status)) for status in (400, 404, 500, 503, 504, 529)),
    Fault("reset before the head", _says(RESET), mute=True),
    Fault("closed without a byte", _says(CLOSE), mute=True),
    Fault("silent", _says(STALL)),
    Fault("no HTTP", _says(b"220 mail.example ESMTP\r\n\r\n", CLOSE)),
    Fault("200 with an error", _says(json_answer(200, ERROR))),
    Fault("empty 200", _says(json_answer(200, b""))),
    Fault("JSON cut off", lambda _, body: [_cut(body, whole_length=True), CLOSE]),
    Fault("half a JSON", lambda _, body: [_cut(body, whole_length=False)]),
    Fault("JSON stalled", lambda _, body: [_cut(body, whole_length=True), STALL]),
    Fault("slow", lambda pieces, body: [SLOW, *whole(pieces, body)]),
    Fault("error event first", lambda pieces, _: [SSE + _ERROR_EVENT + LAST_CHUNK], stream=True),
    Fault("no content", _says(SSE + LAST_CHUNK), stream=True),
    Fault("silent after the head", _says(SSE, STALL), stream=True),
    Fault("cut between events", lambda pieces, _: [SSE + pieces.opening, CLOSE], stream=True),
    Fault("cut within a chunk", lambda pieces, _: [SSE + pieces.opening + b'ff\r\ndata: {"c', CLOSE], stream=True),
    Fault("reset between events", lambda pieces, _: [SSE + pieces.opening, 0.01, RESET], stream=True),
    Fault("ended between events", lambda pieces, _: [SSE + pieces.opening + LAST_CHUNK], stream=True),
    Fault("error event later", lambda pieces, _: [SSE + pieces.opening + _ERROR_EVENT + LAST_CHUNK], stream=True),
    Fault("stalled later", lambda pieces, _: [SSE + pieces.opening, STALL], stream=True),
    Fault("cut before the usage", lambda pieces, _: [SSE + pieces.opening + pieces.content, CLOSE], stream=True),
    Fault("cut after the usage", lambda pieces, _: [SSE + b"".join(pieces[:3]), REPORTED, CLOSE], stream=True),
)  # fmt: skip
SLOWLY = frozenset({"silent", "JSON stalled", "silent after the head", "stalled later", "slow"})
PLAIN = tuple(fault for fault in FAULTS if not fault.stream)
