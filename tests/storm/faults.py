"""Every fault as bytes on a socket, with the failure kinds that the gateway may assign.

Kinds are those of ``proxy/routing/rules.py``; ``OK`` means none. A play returns whether the connection is reusable.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from tests.storm.shapes import DONE, ERROR, Shape

OK = ""
LONGEST = 5.0  # seconds; a longer stall is a hang of the gateway
_SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class Peer:
    """The gateway's end of a connection, as a provider sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dice: random.Random) -> None:
        self.dice = dice
        self.hung = False
        self.reported = False  # the usage was sent
        self._reader = reader
        self._writer = writer

    async def write(self, data: bytes) -> None:
        """Write and drain. Raises ConnectionError after a disconnect."""
        if self._writer.transport.is_closing():
            raise ConnectionResetError
        self._writer.write(data)
        await self._writer.drain()

    async def chunks(self, *events: bytes) -> None:
        for number, event in enumerate(events):
            await self.write(b"%x\r\n%b\r\n" % (len(event), event))
            if number % 4 == 3:
                await asyncio.sleep(0.001)

    async def answer(self, status: int, body: bytes, *lines: bytes, length: int | None = None) -> None:
        head = b"HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (
            status,
            len(body) if length is None else length,
        )
        await self.write(head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body)

    async def taken(self) -> None:
        """Wait until the gateway, on the same loop, has read the bytes; a reset would discard them."""
        for _ in range(3):
            await asyncio.sleep(0.002)

    async def silence(self) -> None:
        """Send nothing until the gateway closes the connection."""
        try:
            async with asyncio.timeout(LONGEST):
                await self._reader.read(1)
        except TimeoutError:
            self.hung = True

    def reset(self) -> None:
        transport = self._writer.transport
        if not transport.is_closing():
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


Play = Callable[[Peer, Shape], Awaitable[bool]]


class Fault(Struct, frozen=True):
    """A fault. ``mute``: the connection ends without a byte, like a stale one.

    ``sources``: where the ledger may have the usage from if no usage was sent.

    ``finished``: its kind after a finish reason was sent. ``cut``: ``finished`` does not apply if usage was requested.
    """

    name: str
    kinds: frozenset[str]
    play: Play
    sources: frozenset[str]
    mute: bool = False
    finished: str | None = None
    cut: bool = False

    def kinds_for(self, shape: Shape, *, usage: bool) -> frozenset[str]:
        """Return the kinds for this response; ``usage``: whether the client requested it."""
        if self.finished is None or not shape.finish or (self.cut and usage):
            return self.kinds
        return frozenset((self.finished,))


async def good(peer: Peer, shape: Shape) -> bool:
    if shape.stream:
        await peer.write(_SSE)
        await peer.chunks(*_events(shape), *filter(None, (shape.finish, shape.usage)), shape.last)
        peer.reported = True
        await peer.write(_LAST_CHUNK)
    else:
        await peer.answer(200, shape.whole)
        peer.reported = True
    return True


def _events(shape: Shape) -> tuple[bytes, ...]:
    return tuple(filter(None, (shape.opening, *shape.content)))


async def _slow(peer: Peer, shape: Shape) -> bool:
    await asyncio.sleep(peer.dice.uniform(0.03, 0.15))
    return await good(peer, shape)


# -- without a response ----------------------------------------------------------------------------


async def _reset(peer: Peer, shape: Shape) -> bool:
    peer.reset()
    return False


async def _close(peer: Peer, shape: Shape) -> bool:
    return False


async def _silent(peer: Peer, shape: Shape) -> bool:
    await peer.silence()
    return False


async def _no_http(peer: Peer, shape: Shape) -> bool:
    await peer.write(b"220 mail.example ESMTP\r\n\r\n")
    return False


async def _reset_after_head(peer: Peer, shape: Shape) -> bool:
    await peer.write(_SSE if shape.stream else _head(500))
    await peer.taken()
    peer.reset()
    return False


def _head(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length


# -- with a JSON response ---------------------------------------------------------------------------


def _error_answer(status: int, code: str, *lines: bytes, message: str = "provider's own words") -> Play:
    body = json.dumps({"error": {"message": message, "type": "some_error", "param": None, "code": code}}).encode()

    async def play(peer: Peer, shape: Shape) -> bool:
        await peer.answer(status, body, *lines)
        return True

    return play


async def _limited(peer: Peer, shape: Shape) -> bool:
    return await _error_answer(429, "rate_limit_exceeded", b"retry-after-ms: %d" % peer.dice.randint(1, 40))(
        peer, shape
    )


async def _error_object(peer: Peer, shape: Shape) -> bool:
    await peer.answer(200, json.dumps(ERROR).encode())
    return True


async def _empty(peer: Peer, shape: Shape) -> bool:
    await peer.answer(200, b"")
    return True


async def _no_json(peer: Peer, shape: Shape) -> bool:
    await peer.answer(200, b"<html>It works!</html>")
    return True


async def _json_cut(peer: Peer, shape: Shape) -> bool:
    """Truncate the body by closing the connection."""
    await peer.answer(200, shape.whole[: len(shape.whole) // 2], length=len(shape.whole))
    return False


async def _json_half(peer: Peer, shape: Shape) -> bool:
    """Send half of the document with a matching Content-Length."""
    await peer.answer(200, shape.whole[: len(shape.whole) // 2])
    return True


async def _json_stalled(peer: Peer, shape: Shape) -> bool:
    await peer.answer(200, shape.whole[: len(shape.whole) // 2], length=len(shape.whole))
    await peer.silence()
    return False


# -- with a stream --------------------------------------------------------------------------------


async def _some(peer: Peer, shape: Shape) -> None:
    """Send the first events of the stream."""
    events = _events(shape)
    await peer.write(_SSE)
    await peer.chunks(*events[: peer.dice.randint(1, max(1, len(events) - 1))])


async def _error_first(peer: Peer, shape: Shape) -> bool:
    await peer.write(_SSE)
    await peer.chunks(*filter(None, (shape.opening,)), shape.error)
    await peer.write(_LAST_CHUNK)
    return True


async def _no_content(peer: Peer, shape: Shape) -> bool:
    await peer.write(_SSE)
    await peer.chunks(*filter(None, (shape.opening,)), *peer.dice.choice([(), (DONE,)]))
    await peer.write(_LAST_CHUNK)
    return True


async def _silent_after_head(peer: Peer, shape: Shape) -> bool:
    await peer.write(_SSE)
    await peer.chunks(*filter(None, (shape.opening,)))
    await peer.silence()
    return False


async def _cut_in_event(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    await peer.chunks(b'data: {"choices": [{"index": 0, "del')
    return False


async def _cut_between(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    return False


async def _reset_between(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    await peer.taken()
    peer.reset()
    return False


async def _ended_between(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    await peer.write(_LAST_CHUNK)
    return True


async def _cut_before_done(peer: Peer, shape: Shape) -> bool:
    await peer.write(_SSE)
    await peer.chunks(*_events(shape), *filter(None, (shape.finish,)))
    return False


async def _ended_before_done(peer: Peer, shape: Shape) -> bool:
    await _cut_before_done(peer, shape)
    await peer.write(_LAST_CHUNK)
    return True


async def _cut_after_usage(peer: Peer, shape: Shape) -> bool:
    await _cut_before_done(peer, shape)
    if shape.usage:
        await peer.chunks(shape.usage)
        peer.reported = True
    return False


async def _error_with_usage(peer: Peer, shape: Shape) -> bool:
    await _cut_after_usage(peer, shape)
    await peer.chunks(shape.error)
    await peer.write(_LAST_CHUNK)
    return True


async def _cut_before_finish(peer: Peer, shape: Shape) -> bool:
    await peer.write(_SSE)
    await peer.chunks(*_events(shape))
    return False


async def _cut_in_chunk(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    await peer.write(b'ff\r\ndata: {"choices"')
    return False


async def _no_chunk(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    await peer.write(b"no chunk\r\n")
    return False


async def _error_later(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    await peer.chunks(shape.error, *peer.dice.choice([(), (DONE,)]))
    await peer.write(_LAST_CHUNK)
    return True


async def _stalled_later(peer: Peer, shape: Shape) -> bool:
    await _some(peer, shape)
    await peer.silence()
    return False


FREE = ("none",)
AFTER_END = "error after the usage"
SOME = ("estimated", "unknown")  # unknown, if no event had content


def _fault(
    name: str,
    play: Play,
    *kinds: str,
    sources: Sequence[str] = ("unknown",),
    mute: bool = False,
    finished: str | None = None,
    cut: bool = False,
) -> Fault:
    return Fault(name, frozenset(kinds), play, frozenset(sources), mute, finished, cut)


ANY = (
    _fault("429 retry-after-ms", _limited, "rate_limited", sources=FREE),
    _fault(
        "429 Retry-After: 0", _error_answer(429, "rate_limit_exceeded", b"Retry-After: 0"), "rate_limited", sources=FREE
    ),
    _fault("429 without a time", _error_answer(429, "rate_limit_exceeded"), "rate_limited", sources=FREE),
    *(
        _fault(str(status), _error_answer(status, "boom"), "server_error", sources=FREE)
        for status in (500, 503, 408, 529)
    ),
    _fault("other 404", _error_answer(404, "no_such_route"), "not_found", sources=FREE),
    _fault("context length", _error_answer(400, "context_length_exceeded"), "context_length", sources=FREE),
    _fault("content filter", _error_answer(400, "content_filter"), "content_filter", sources=FREE),
    _fault("other 400", _error_answer(400, "invalid_value"), "other", sources=FREE),
    _fault("reset before the head", _reset, "reset", mute=True),
    _fault("closed without a byte", _close, "reset", mute=True),
    _fault("reset after the head", _reset_after_head, "broken_answer"),
    _fault("silent", _silent, "timeout"),
    _fault("no HTTP", _no_http, "broken_answer"),
    # After a ping or a hold has started the stream, JSON is a broken answer.
    _fault("200 with an error", _error_object, "server_error", "broken_answer"),
    _fault("empty 200", _empty, "broken_answer"),
    _fault("no JSON", _no_json, "broken_answer"),
    _fault("JSON cut off", _json_cut, "broken_answer"),
    _fault("half a JSON", _json_half, "broken_answer"),
    _fault("slow", _slow, OK),
)
PLAIN = (*ANY, _fault("JSON stalled", _json_stalled, "timeout"))
STREAM = (
    *ANY,
    _fault("error event first", _error_first, "server_error"),
    _fault("no content", _no_content, "broken_answer"),
    _fault("silent after the head", _silent_after_head, "timeout"),
    _fault("cut within an event", _cut_in_event, "broken_answer", sources=SOME),
    _fault("cut between events", _cut_between, "broken_answer", sources=SOME),
    _fault("reset between events", _reset_between, "broken_answer", sources=SOME),
    _fault("ended between events", _ended_between, "broken_answer", sources=SOME),
    _fault("cut before [DONE]", _cut_before_done, "broken_answer", finished=OK, cut=True, sources=SOME),
    _fault("ended before [DONE]", _ended_before_done, "broken_answer", finished=OK, sources=SOME),
    _fault("cut before the finish", _cut_before_finish, "broken_answer", sources=SOME),
    _fault("cut after the usage", _cut_after_usage, "broken_answer", sources=SOME, finished=OK),
    _fault(AFTER_END, _error_with_usage, "server_error", sources=SOME),
    _fault("cut within a chunk", _cut_in_chunk, "broken_answer", sources=SOME),
    _fault("no chunk", _no_chunk, "broken_answer", sources=SOME),
    _fault("error event later", _error_later, "server_error", sources=SOME),
    _fault("stalled later", _stalled_later, "timeout", sources=SOME),
)
GOOD = _fault("good", good, OK)
NO_MODEL = _fault("no such model", _error_answer(404, "model_not_found"), "model_missing", sources=FREE)
NO_KEY = _fault("rejected key", _error_answer(401, "invalid_api_key"), "auth", sources=FREE)
EVERY = frozenset(fault.name for fault in (*PLAIN, *STREAM, GOOD, NO_MODEL, NO_KEY))
