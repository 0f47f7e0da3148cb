"""Ten thousand exchanges of every kind leave no object, connection, task, timer or file behind.

The client and the provider here are the leanest that will do: what is measured is the gateway.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import re
from abc import ABCMeta
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import Any, NamedTuple, cast

import pytest

from proxy.app import Application
from proxy.control.activity.history import MAX_DURATIONS
from proxy.exchange import Exchange
from proxy.observe.log import Log
from proxy.runtime.loop import Loop
from tests.support import chat_chunks, chat_events, completion, until
from tests.support.answers import compact
from tests.support.gateway import to_config
from tests.support.patience import PATIENCE

EXCHANGES = 10_000
CLIENTS = 50

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]
LOOPS: Loops = {"uvloop": Loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def _only_new_objects() -> None:
    """Leave out what earlier tests have left behind: counting it takes longer than the exchanges."""
    gc.collect()
    gc.freeze()


def answer(status: str, kind: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        status.encode(),
        kind.encode(),
        len(body),
        body,
    )


def chunked(*pieces: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


END = b"0\r\n\r\n"
WHOLE = chunked(*chat_events("Hello", " world")) + END
CUT = chunked(*chat_events("Hello", done=False, finish=None))

# Responses of the provider by request kind: the bytes, and whether it closes afterwards.
SCENES: dict[bytes, tuple[bytes, bool]] = {
    b"plain": (answer("200 OK", "application/json", compact(completion("Hello"))), False),
    b"closes": (answer("200 OK", "application/json", compact(completion("Hello"))), True),
    b"stream": (WHOLE, False),
    b"leaves": (chunked(chat_chunks("Hello", done=False, finish=None)), False),
    b"early": (b"", False),
    b"error": (answer("500 Oops", "application/json", b'{"error":{"message":"No"}}'), False),
    b"inband": (chunked(b'data: {"error":{"message":"No"}}\n\n') + END, False),
    b"cut": (CUT, True),
    b"short": (CUT + END, False),
    b"broken": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", False),
    b"dies": (b"", True),
    b"surplus": (answer("200 OK", "application/json", b"{}") + b"surplus", False),
    b"moved": (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", False),
    b"binary": (answer("200 OK", "audio/mpeg", bytes(5000)), False),
    b"upload": (answer("200 OK", "application/json", b'{"text":"Hello"}'), False),
}


class Provider(asyncio.Protocol):
    """Respond as the request's body says."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, _, body = self._seen.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if length is None or len(body) < int(length[1]):
            return
        self._seen = b""
        word = re.search(rb"scene-(\w+)", body)
        assert word is not None
        data, hang_up = SCENES[word[1]]
        if data:
            self._transport.write(data)
        if hang_up:
            self._transport.close()


def request(scene: bytes) -> bytes:
    path, kind = b"/v1/chat/completions", b"application/json"
    body = {"model": "m", "messages": [{"role": "user", "content": f"scene-{scene.decode()}"}]}
    if scene in (b"stream", b"leaves", b"inband", b"cut", b"short"):
        body["stream"] = True
    data = json.dumps(body).encode()
    if scene == b"binary":
        path, data = b"/v1/audio/speech", json.dumps({"model": "m", "input": "scene-binary", "voice": "v"}).encode()
    if scene == b"upload":
        path, kind = b"/v1/audio/transcriptions", b"multipart/form-data; boundary=b"
        data = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b\r\n'
        data += b'Content-Disposition: form-data; name="file"; filename="f"\r\n\r\nscene-upload\r\n--b--\r\n'
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (path, kind, len(data)) + data


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scene: bytes) -> bool:
    """One request, and its answer read to the end; False if the connection is over."""
    writer.write(request(scene))
    if scene == b"early":
        return False
    head = await reader.readuntil(b"\r\n\r\n")
    if scene == b"leaves":
        return False
    if b"chunked" in head:
        tail = b""
        while not tail.endswith(END):
            data = await reader.read(65536)
            assert data, f"{scene!r} was cut"
            tail = tail[-5:] + data
    else:
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length is not None, head
        await reader.readexactly(int(length[1]))
    return b"Connection: close" not in head


async def load(port: int, count: int, kinds: Iterable[bytes] = SCENES) -> None:
    """``count`` exchanges of these kinds over ``CLIENTS`` connections, some of which leave and come again."""
    scenes = [*islice(cycle(kinds), count)]

    async def one(mine: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for scene in mine:
            if not await exchange(reader, writer, scene):
                writer.transport.abort()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.abort()

    async with asyncio.timeout(120):
        await asyncio.gather(*(one(scenes[number::CLIENTS]) for number in range(CLIENTS)))


BY_TIME = "proxy.control.activity.history.SecondStats"  # one for each second in which something ended, at most 900


class Count(NamedTuple):
    objects: Counter[str]  # by type
    timers: int  # without canceled ones
    tasks: int
    files: int


def census(app: Application) -> Counter[str]:
    """Count objects by type, without those that are kept on purpose."""
    gc.collect()
    gc.collect()
    for kind in subclasses(object):
        if issubclass(type(kind), ABCMeta):
            kind._abc_caches_clear()  # weak references to the classes that its isinstance has met
    return counted(app)


def subclasses(kind: Any) -> set[Any]:
    """All of them, and theirs."""
    found: set[Any] = set()
    waiting = [kind]
    while waiting:
        new = {*type.__subclasses__(waiting.pop())} - found
        found |= new
        waiting += new
    return found


def counted(app: Application) -> Counter[str]:
    found = Counter(map(named, gc.get_objects()))
    assert app.plane is not None
    recorder = app.plane.activity.recorder
    # Recent exchanges are kept on purpose: successful ones as they are, others as a record.
    remembered = {
        id(each) for each in (*recorder._ring, *recorder.history._current.ended) if isinstance(each, Exchange)
    }
    assert len(remembered) <= recorder.capacity + MAX_DURATIONS
    found[named_type(Exchange)] -= len(remembered)
    return found


def named(thing: object) -> str:
    return named_type(type(thing))


def named_type(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def timers(loop: asyncio.AbstractEventLoop) -> int:
    """The timers that are still to fire. uvloop keeps no list of them: there its handles are counted."""
    if isinstance(loop, asyncio.BaseEventLoop):
        return sum(not handle.cancelled() for handle in loop._scheduled)  # type: ignore[attr-defined]
    return sum(type(thing).__name__ in ("TimerHandle", "UVTimer") for thing in gc.get_objects())


async def drop_canceled_timers(loop: asyncio.AbstractEventLoop) -> None:
    """Let asyncio's loop drop its canceled timers, which are no leak.

    It keeps them, each with a context, until they are due or until more than half of more than 100 timers are
    canceled. How many there are is therefore left to chance. uvloop keeps none.
    """
    if isinstance(loop, asyncio.BaseEventLoop):
        for _ in range(1000):
            loop.call_later(3600, int).cancel()
        await asyncio.sleep(0)


class Nowhere(io.BytesIO):
    """A log that keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)


@pytest.mark.parametrize("name", LOOPS)
def test_ten_thousand_exchanges_leak_nothing(name: str) -> None:
    count = EXCHANGES if name == "uvloop" else EXCHANGES // 5
    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        runner.run(measured(count))


@asynccontextmanager
async def running() -> AsyncIterator[Application]:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    config = to_config({"providers": {"up": {"baseUrl": url}}, "models": [{"name": "m", "provider": "up"}]})
    app = Application(config, environ={}, log=Log(Nowhere(), "info", readable=False))
    await app.start()
    try:
        yield app
    finally:
        await app.stop()
        server.close()
        await server.wait_closed()


async def measured(count: int) -> None:
    async with running() as app:
        await compare(app, count)


async def compare(app: Application, count: int) -> None:
    loop = asyncio.get_running_loop()
    gateway, pool = app.gateway, app.upstream.pool
    assert gateway is not None
    assert pool is not None

    async def at_rest() -> Count:
        """Wait until all clients have disconnected and idle upstream connections are closed."""
        await until(lambda: app.metrics.in_flight == 0, "every exchange to be settled")
        for place in pool._groups.values():
            for connection in list(place.idle):
                connection.abort()
        await until(lambda: not len(pool), "the pool to be empty")
        await until(lambda: not len(gateway._context.ticker), "every clock to have been stopped")
        listener = app.listeners.api
        await until(lambda: not listener.server.connections, "every client's connection to be forgotten")
        await asyncio.sleep(0.2)  # the ticker's last tick, and closing handshakes
        assert app.plane is not None
        history = app.plane.activity.recorder.history
        await until(lambda: not history._current.ended, "the second to be over")
        await drop_canceled_timers(loop)
        return Count(census(app), timers(loop), len(asyncio.all_tasks()), open_files())

    await load(app.port, 500)  # caches, metrics and free lists fill up once
    before = await at_rest()
    await load(app.port, count)
    # The last timer that fired, or the last socket that was closed, may still be counted for a moment.
    deadline = loop.time() + PATIENCE
    while found := leaked(before, await at_rest(), count // 50):
        assert loop.time() < deadline, found
    assert app.metrics.in_flight == 0
    app.observers.flush()
    settled = sum(cell.value for cell in app.metrics.families.requests.cells.values())
    assert settled == count + 500
    assert gateway._context.budget.used == 0


def leaked(before: Count, after: Count, tolerance: int) -> dict[str, object]:
    """What there is more of than before, or of tasks and files another number; empty if nothing leaked.

    Our own objects may not grow. Others may grow by less than one per exchange of a kind: interpreter caches fill
    up by some dozens.
    """
    found: dict[str, object] = {
        kind: more
        for kind, more in (after.objects - before.objects).items()
        if more > tolerance or (kind.startswith(("proxy.", "aiohttp.", "httptools")) and kind != BY_TIME)
    }
    if after.timers > before.timers:
        found["timers"] = (before.timers, after.timers)
    if after.tasks != before.tasks:
        found["tasks"] = (before.tasks, after.tasks)
    if after.files != before.files:
        found["files"] = (before.files, after.files)
    return found


def test_successful_exchanges_create_no_reference_cycles() -> None:
    """A collector that has to free each request stops all streams while it does."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(uncollected())


async def uncollected() -> None:
    async with running() as app:
        for scene in (b"plain", b"stream", b"error", b"binary", b"short"):
            await load(app.port, 2 * CLIENTS, [scene])
            app.observers.flush()
            before = census(app)
            gc.disable()
            try:
                await load(app.port, 6 * CLIENTS, [scene])
                await until(lambda: app.metrics.in_flight == 0, "every exchange to be settled")
                app.observers.flush()
                after = counted(app)
            finally:
                gc.enable()
            # The clients' connections end with the load, and those may be cycles.
            kinds = (
                "proxy.exchange.Exchange",
                "proxy.relay.upstream_call.UpstreamCall",
                "proxy.server.request.Request",
            )
            assert {kind: after[kind] - before[kind] for kind in kinds} == dict.fromkeys(kinds, 0), scene
