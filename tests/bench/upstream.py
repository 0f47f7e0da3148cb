"""The mock provider: one uvloop process that serves the requests of `traffic` with little CPU.

The path of a request decides on the dialect of its answer.

Prints one JSON line with its ports and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
import sys
from collections.abc import Callable
from time import monotonic_ns
from zlib import crc32

import uvloop

from tests.bench.dialects import CHAT, dialect_of
from tests.bench.traffic import MARK, Events

TICK = 1_000_000  # ns between two turns of a wheel
KEPT = 131_072  # bytes of a large body in which the mark is searched


class Stream:
    """One running answer; ``fire`` sends its next event."""

    __slots__ = ("arrived", "connection", "count", "crc", "end", "events", "gone", "head", "sequence")

    def __init__(self, connection: Connection, head: bytes, events: Events, count: int, usage: bool) -> None:
        self.connection = connection
        self.head = head
        self.events = events
        self.count = count
        self.end = events.last_with_usage if usage else events.last
        self.sequence = 0
        self.crc = 0
        self.gone = False
        self.arrived = monotonic_ns()

    def fire(self) -> bool:
        """Sends an event; False after the last one."""
        if self.gone:
            return False
        self.sequence += 1
        now = monotonic_ns()
        first = self.sequence == 1
        token = b"@%06d %016x %08x " % (self.sequence, now, now - self.arrived if first else 0)
        self.crc = crc32(token, self.crc)
        events = self.events
        head = self.head + events.first if first else b""
        parts = b"".join((head, events.opening, token, b"%08x;" % self.crc, events.closing))
        if self.sequence < self.count:
            self.connection.send(parts)
            return True
        self.connection.send(parts + self.end)
        self.connection.stream = None
        return False


def scattered(count: int) -> list[int]:
    """The numbers below ``count`` by their bits in reverse: the first ones, however many, are far apart."""
    bits = count.bit_length()
    return sorted(range(count), key=lambda number: int(f"{number:0{bits}b}"[::-1], 2))


class Wheel:
    """Streams of one interval, spread over its slots; one timer turns them all.

    A new stream joins the emptiest slot, so events are spread evenly over the interval. Of several empty ones it joins
    the one farthest from the others: events of few streams must not follow each other within a few milliseconds, as a
    proxy under valgrind would take several in one turn of its loop.
    """

    def __init__(self, interval: int, loop: asyncio.AbstractEventLoop) -> None:
        self.slots: list[list[Stream]] = [[] for _ in range(max(1, interval // TICK))]
        self.scattered = [self.slots[number] for number in scattered(len(self.slots))]
        self.turn = 0
        self.began = monotonic_ns()
        self.streams = 0
        self.loop = loop
        self.timer: asyncio.TimerHandle | None = None

    def add(self, stream: Stream) -> None:
        min(self.scattered, key=len).append(stream)
        self.streams += 1
        if self.timer is None:
            self.began = monotonic_ns() - self.turn * TICK
            self.timer = self.loop.call_later(TICK / 1e9, self.tick)

    def tick(self) -> None:
        due = (monotonic_ns() - self.began) // TICK
        while self.turn < due:
            self.turn += 1
            slot = self.slots[self.turn % len(self.slots)]
            ended = [stream for stream in slot if not stream.fire()]
            for stream in ended:
                slot.remove(stream)
            self.streams -= len(ended)
        self.timer = self.loop.call_later(TICK / 1e9, self.tick) if self.streams else None


class Connection(asyncio.Protocol):
    """Reads requests (no pipelining, no chunked bodies: no proxy here sends them) and answers by their mark."""

    def __init__(self, wheels: dict[int, Wheel], loop: asyncio.AbstractEventLoop) -> None:
        self.wheels = wheels
        self.loop = loop
        self.stream: Stream | None = None
        self.traffic = CHAT  # of the request that is read
        self.buffer = b""
        self.body = b""
        self.length = 0
        self.missing = 0
        self.in_body = False
        self.fd = -1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.send: Callable[[bytes], None] = transport.write
        if transport.get_extra_info("ssl_object") is None:
            self.fd = transport.get_extra_info("socket").fileno()
            self.send = self.send_now

    def connection_lost(self, exc: Exception | None) -> None:
        self.fd = -1
        if self.stream is not None:
            self.stream.gone = True

    def send_now(self, payload: bytes) -> None:
        # uvloop writes at the end of the loop's turn; the time of sending in the event should be the time of sending.
        if self.fd < 0:
            return
        if not self.transport.get_write_buffer_size():
            try:
                sent = os.write(self.fd, payload)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # resume_writing follows
            if sent == len(payload):
                return
            payload = payload[sent:]
        self.transport.write(payload)

    def data_received(self, data: bytes) -> None:
        if not self.in_body:
            self.buffer += data
            end = self.buffer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            self.traffic = dialect_of(self.buffer[: self.buffer.index(b"\r")])
            head = self.buffer[:end].lower()
            data = self.buffer[end:]
            self.buffer = b""
            at = head.find(b"\r\ncontent-length:") + 17
            if at < 17 and head.startswith(b"get /files/"):  # without a body: the head says what is wanted
                self.body = head
                self.length = 0
                self.respond()
                return
            if at < 17:
                self.transport.write(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self.transport.close()
                return
            if b"100-continue" in head:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.length = self.missing = int(head[at : head.index(b"\r", at)])
            self.in_body = True
            self.body = b""
        if len(self.body) < KEPT:
            self.body += data
        self.missing -= len(data)
        if self.missing < 0:
            print(f"bytes after a request: {data[-300:]!r}", file=sys.stderr, flush=True)
            self.transport.abort()
        elif not self.missing:
            self.in_body = False
            self.respond()

    def respond(self) -> None:
        at = self.body.find(MARK)
        fields = self.body[at : at + 64].split(b"|") if at >= 0 else [b""]
        if len(fields) > 4 and fields[1] in (b"s", b"c"):
            traffic = self.traffic
            events = traffic.events(calls=fields[1] == b"c")
            usage = b'"include_usage"' in self.body
            self.stream = Stream(self, traffic.stream_head, events, int(fields[2]), usage)
            if self.stream.fire():
                interval = int(fields[3]) * 1000
                wheel = self.wheels.get(interval)
                if wheel is None:
                    wheel = self.wheels[interval] = Wheel(interval, self.loop)
                wheel.add(self.stream)
        elif len(fields) > 3 and fields[1] == b"n":
            body = self.traffic.answer(fields[2], self.length)
            self.send(self.traffic.answer_head % len(body) + body)
        else:
            # A health check or similar.
            self.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def serve(cert: str, key: str) -> None:
    loop = asyncio.get_running_loop()
    wheels: dict[int, Wheel] = {}

    def connection() -> Connection:
        return Connection(wheels, loop)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    plain = await loop.create_server(connection, "127.0.0.1", 0, backlog=4096)
    tls = await loop.create_server(connection, "127.0.0.1", 0, backlog=4096, ssl=context)
    ports = [server.sockets[0].getsockname()[1] for server in (plain, tls)]
    print(json.dumps({"plain": ports[0], "tls": ports[1]}), flush=True)
    over = asyncio.Event()
    loop.add_reader(0, over.set)  # readable only at its end
    await over.wait()


if __name__ == "__main__":
    gc.disable()  # a collection in here would look like a slow proxy
    uvloop.run(serve(sys.argv[1], sys.argv[2]))
