"""Backpressure: memory of a separate gateway process with slow clients."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Chunk, Headers, LastChunk, Send, Upstream, chat_events, within
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.gateway import GatewayProcess, one_provider
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
STREAM = {"model": "m", "messages": [], "stream": True}
MB = 1024 * 1024
SIZE = 30 * MB
EVENT = chat_events("x" * 30_000)[1]
COUNT = SIZE // len(EVENT)
WINDOW = 64 * 1024  # of the client's receive buffer

# Bytes that the gateway may buffer: the write buffer of each side, one read, and Python's own slack.
HELD = 6 * MB
# Bytes in kernel buffers on loopback: Linux lets a send buffer grow to 4 MB, a receive buffer to 6.
KERNEL = 12 * MB


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def stands_still(progress: Callable[[], int]) -> None:
    """Wait until ``progress`` has not changed for a fifth of a second."""
    loop = asyncio.get_running_loop()
    last, since = progress(), loop.time()
    while loop.time() < since + 0.2:
        await asyncio.sleep(0.01)
        if progress() != last:
            last, since = progress(), loop.time()


def stream(request: Request) -> Iterator[Any]:
    yield Headers(200, SSE_HEADERS)
    for _ in range(COUNT):
        yield Chunk(EVENT)
    yield Chunk(DONE)
    yield LastChunk()


def lump(request: Request) -> Iterator[Any]:
    yield Headers(200, [("Content-Type", "audio/mpeg"), ("Content-Length", str(SIZE))])
    for _ in range(SIZE // MB):
        yield Send(bytes(MB))


def large_json(request: Request) -> Iterator[Any]:
    yield Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(SIZE))])
    yield Send(b'"')
    for _ in range(SIZE // MB - 1):
        yield Send(b"a" * MB)
    yield Send(b"a" * (MB - 2) + b'"')


KINDS = {
    "a stream": (stream, CHAT, STREAM, COUNT * len(EVENT) + len(DONE)),
    "a binary answer": (lump, "/v1/audio/speech", {"model": "m", "input": "Hi"}, SIZE),
    "a JSON answer beyond the bound": (large_json, CHAT, {"model": "m", "messages": []}, SIZE),
}


@pytest.mark.parametrize(("script", "path", "call", "size"), KINDS.values(), ids=KINDS.keys())
async def test_a_slow_client_pauses_the_provider_and_buffers_nothing(
    script: Any, path: str, call: Any, size: int
) -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up, server={"maxAnswerMb": 1})) as gw:
        up.on(script)
        client = await gw.client(receive_buffer=WINDOW)
        await client.request("POST", path, json=call)
        request = await up.request(0)
        before = resident(gw.pid)
        await stands_still(lambda: request.connection.sent)
        assert request.connection.sent < KERNEL + HELD
        assert resident(gw.pid) - before < HELD
        # The pause loses no bytes.
        assert (await client.read_head()).status == 200
        digest, taken = hashlib.sha256(), 0
        while piece := await client.read_some():
            digest.update(piece)
            taken += len(piece)
            client.received.clear()
        assert taken == size
        if script is stream:
            whole = hashlib.sha256()
            for _ in range(COUNT):
                whole.update(EVENT)
            whole.update(DONE)
            assert digest.digest() == whole.digest()
        assert resident(gw.pid) - before < HELD
        await within(request.answered.wait(), "the provider to have sent it all")


async def test_many_slow_clients_do_not_delay_other_clients() -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up)) as gw:
        up.on(stream)
        dawdlers = [await gw.client(receive_buffer=WINDOW) for _ in range(10)]
        before = resident(gw.pid)
        for client in dawdlers:
            await client.request("POST", CHAT, json=STREAM)
        await stands_still(lambda: sum(connection.sent for connection in up.connections))
        assert resident(gw.pid) - before < HELD + len(dawdlers) * MB
        quick = await gw.client()
        await quick.request("POST", CHAT, json=STREAM)
        await quick.read_head()
        assert await quick.read_event() == EVENT
        quick.close()
        for client in dawdlers:
            client.close()
        for connection in up.connections:
            await within(connection.gone.wait(), "every provider to be left")
