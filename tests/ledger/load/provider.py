"""A provider as a server: answers by the dialect of the path, well or with a fault, and keeps its books."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections import deque

from tests.ledger.load.answers import TASKS, Task, body_of, pieces_of, reported, tokens_of
from tests.ledger.load.books import Books, Entry
from tests.ledger.load.faults import (
    CLOSE,
    FAULTS,
    PLAIN,
    REPORTED,
    RESET,
    SLOWLY,
    Fault,
    Step,
    held,
    whole,
)
from tests.ledger.load.prices import cost_of

_HEAD = re.compile(rb"POST /v1/(\S+) .*?\r\n\r\n", re.S)
_LENGTH = re.compile(rb"\ncontent-length: *(\d+)", re.I)
_NUMBER = re.compile(rb"\nx-request-id: *\w+-(\d+)", re.I)
SLOW_SHARE = 0.04  # of the faults that take long, which would else be most of the time


class BillingProvider:
    """Listens on a port of its own. ``rate``: share of faulty answers, also ``mute`` ones, which may be sent again."""

    def __init__(self, index: int, books: Books, rate: float, seed: int, *, mute: bool = True) -> None:
        self.index = index
        self.books = books
        self.url = ""
        self._rate = rate
        self._dice = random.Random(f"{index} {seed}")
        self._number = index
        self._quick = [fault for fault in FAULTS if fault.name not in SLOWLY and (mute or not fault.mute)]
        self._quick_plain = [fault for fault in self._quick if fault in PLAIN]
        self._slow = [fault for fault in FAULTS if fault.name in SLOWLY]
        self._slow_plain = [fault for fault in self._slow if fault in PLAIN]

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def stop(self) -> None:
        self._server.close()

    def answer(self, task: Task, request: int, body: bytes, kept: bool) -> tuple[deque[Step], Entry]:
        """The steps of an answer, and what is billed once its usage was sent."""
        self._number += 10
        number, books = self._number, self.books
        tokens = tokens_of(task, number)
        entry = Entry(request, self.index, cost_of(self.index, tokens))
        cost = reported(self.index, entry.cost)
        books.requests += 1
        books.attempts += 1
        books.received[request, self.index] += 1
        stream = b'"stream":true' in body
        pieces = pieces_of(task, tokens, cost) if stream else None
        if b"leave" in body:
            return deque(held(pieces, body_of(task, tokens, cost))), entry
        if self._dice.random() >= self._rate:
            return deque(whole(pieces, body_of(task, tokens, cost))), entry
        fault = self._fault(stream)
        books.faults[fault.name] += 1
        if fault.mute and kept:
            books.attempts -= 1
            books.repeated[request, self.index] += 1
        return deque(fault.steps(pieces, body_of(task, tokens, cost))), entry  # type: ignore[arg-type]

    def _fault(self, stream: bool) -> Fault:
        dice = self._dice
        if dice.random() < SLOW_SHARE:
            return dice.choice(self._slow if stream else self._slow_plain)
        return dice.choice(self._quick if stream else self._quick_plain)


class _Connection(asyncio.Protocol):
    """One request at a time, as the gateway does not pipeline."""

    def __init__(self, provider: BillingProvider) -> None:
        self._provider = provider
        self._buffer = b""
        self._steps: deque[Step] = deque()
        self._entry: Entry | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._kept = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._steps.clear()
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data
        head = _HEAD.match(buffer)
        if head is None:
            return
        length, number = _LENGTH.search(head[0]), _NUMBER.search(head[0])
        assert length is not None, head[0]
        assert number is not None, head[0]
        end = head.end() + int(length[1])
        if len(buffer) < end:
            return
        self._buffer = buffer[end:]
        body, task = buffer[head.end() : end], TASKS[head[1]]
        self._steps, self._entry = self._provider.answer(task, int(number[1]), body, self._kept)
        self._kept = True
        self._play()

    def _play(self) -> None:
        steps, transport = self._steps, self._transport
        while steps:
            step = steps.popleft()
            if isinstance(step, bytes):
                transport.write(step)
            elif isinstance(step, float):
                self._timer = asyncio.get_running_loop().call_later(step, self._play)
                return
            elif step == REPORTED:
                if not transport.is_closing():
                    assert self._entry is not None
                    self._provider.books.billed.append(self._entry)
            elif step == CLOSE:
                transport.close()
            elif step == RESET:
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
            else:
                return  # silence, until the gateway closes
