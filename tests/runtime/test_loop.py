"""The event loop: addresses without a thread, names in threads that end, and none of libuv's threads."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.runtime.listening import listen
from proxy.runtime.loop import Loop
from tests.support.patience import PATIENCE, until, within
from tests.support.ports import free_port
from tests.support.tls import Authority

ROOT = Path(__file__).resolve().parents[2]


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


def loop() -> Loop:
    running = asyncio.get_running_loop()
    assert isinstance(running, Loop)
    return running


class Greeting(asyncio.Protocol):
    """Says hello, and leaves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writing = cast(asyncio.Transport, transport)  # uvloop's are none by isinstance
        writing.write(b"hello")
        writing.close()


class Listener(asyncio.Protocol):
    """``heard`` is all that came before the end."""

    def __init__(self) -> None:
        self.heard = asyncio.get_running_loop().create_future()
        self._so_far = b""

    def data_received(self, data: bytes) -> None:
        self._so_far += data

    def connection_lost(self, error: Exception | None) -> None:
        self.heard.set_result(self._so_far)


@asynccontextmanager
async def greeting(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """The port of ``host`` at which everybody is greeted."""
    (sock,) = await listen(host, 0, 5)
    port = sock.getsockname()[1]
    server = await asyncio.get_running_loop().create_server(Greeting, sock=sock, ssl=context)
    try:
        yield port
    finally:
        server.close()


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", b"127.0.0.1", "::1", "fe80::1%1", None])
@pytest.mark.parametrize("port", [0, 80, "80", b"80"])
@pytest.mark.parametrize("kind", [0, socket.SOCK_STREAM])
async def test_an_address_is_resolved_without_a_thread(host: Any, port: Any, kind: int) -> None:
    found = at_once(loop().getaddrinfo(host, port, type=kind))
    assert found == socket.getaddrinfo(host, port, type=kind)


async def test_hints_are_respected() -> None:
    found = at_once(loop().getaddrinfo(None, 80, family=socket.AF_INET, proto=6, flags=socket.AI_PASSIVE))
    assert found == [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("0.0.0.0", 80))]


@pytest.mark.parametrize(("host", "port"), [("localhost", 80), ("localhost", "http"), ("127.0.0.1", "http")])
async def test_a_name_is_resolved_as_the_system_does(host: str, port: Any) -> None:
    assert await loop().getaddrinfo(host, port) == socket.getaddrinfo(host, port)


async def test_a_name_that_does_not_exist_is_the_resolvers_own_error() -> None:
    with pytest.raises(socket.gaierror):
        await loop().getaddrinfo("127.0.0.1", 80, family=socket.AF_INET6)
    with pytest.raises(UnicodeError):
        await loop().getaddrinfo("a" * 64, 80)


async def test_threads_end_with_their_work() -> None:
    thread = await asyncio.to_thread(threading.current_thread)
    await until(lambda: not thread.is_alive(), "the thread of work to end")
    await loop().getaddrinfo("localhost", 80)
    await until(lambda: not [t for t in threading.enumerate() if t.name.startswith("lookup-")], "the lookup's to end")


def test_the_loop_ends_after_its_threads() -> None:
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert leave.wait(PATIENCE)
        done.set()

    async def leaving() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)
        await until(begun.is_set, "the work to begin")
        asyncio.get_running_loop().call_soon(leave.set)

    leave = threading.Event()
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(leaving())
    assert done.is_set()


# -- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_connection_by_name_or_address(host: str) -> None:
    async with greeting() as port:
        transport, listener = await loop().create_connection(Listener, host, port, family=socket.AF_INET)
        assert transport.get_extra_info("peername") == ("127.0.0.1", port)
        nodelay = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert nodelay
        assert await within(listener.heard, "the greeting") == b"hello"


async def test_a_connection_from_an_address() -> None:
    async with greeting() as port:
        transport, listener = await loop().create_connection(Listener, "127.0.0.1", port, local_addr=("127.0.0.2", 0))
        assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
        assert await within(listener.heard, "the greeting") == b"hello"


async def test_the_zone_of_an_address_is_used() -> None:
    host = link_local()
    async with greeting(host=host) as port:
        _, listener = await loop().create_connection(Listener, host, port)
        assert await within(listener.heard, "the greeting") == b"hello"


def link_local() -> str:
    """An address of this machine that is one only with its zone; the test is skipped without one."""
    for number in range(1, 100):
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.connect(("fe80::1", 9, 0, number))  # sends nothing: the kernel chooses whom it would be from
                return f"{probe.getsockname()[0]}%{number}"
        except OSError:
            pass
    pytest.skip("no link-local address")


async def test_a_connection_over_a_socket() -> None:
    async with greeting() as port:
        sock = socket.create_connection(("127.0.0.1", port))
        _, listener = await loop().create_connection(Listener, sock=sock)
        assert await within(listener.heard, "the greeting") == b"hello"


async def test_streams_of_asyncio_connect_by_name() -> None:
    async with greeting() as port:
        reader, writer = await asyncio.open_connection("localhost", port)
        assert await within(reader.read(), "the greeting") == b"hello"
        writer.close()


async def test_addresses_are_tried_in_turn() -> None:
    """The first of the name refuses."""
    async with greeting() as port:
        there = loop()
        resolve = there.getaddrinfo

        async def two(host: str, port: int, **hints: int) -> list[Any]:
            if host != "two.example":
                return await resolve(host, port, **hints)
            return [*await resolve("127.0.0.1", unused, **hints), *await resolve("127.0.0.1", port, **hints)]

        unused = free_port()
        there.getaddrinfo = two  # type: ignore[method-assign, assignment]
        made: list[Listener] = []
        _, listener = await there.create_connection(lambda: made.append(Listener()) or made[-1], "two.example", port)
        assert await within(listener.heard, "the greeting") == b"hello"
        assert made == [listener]


async def test_a_refused_connection_raises_the_systems_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        await loop().create_connection(Listener, "localhost", free_port())


async def test_neither_host_nor_socket_is_an_error() -> None:
    with pytest.raises(ValueError):
        await loop().create_connection(Listener)
    with socket.socket() as sock, pytest.raises(ValueError):
        await loop().create_connection(Listener, "127.0.0.1", 80, sock=sock)


async def test_a_certificate_is_checked_against_the_name(authority: Authority, tmp_path: Path) -> None:
    async with greeting(authority.server_context()) as port:
        transport, listener = await loop().create_connection(
            Listener, "localhost", port, ssl=authority.client_context()
        )
        assert transport.get_extra_info("ssl_object").server_hostname == "localhost"
        assert await within(listener.heard, "the greeting") == b"hello"
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop().create_connection(
                Listener, "localhost", port, ssl=authority.client_context(), server_hostname="other.example"
            )


# -- all threads of a process, libuv's included ---------------------------------------------------

ALONE = """
import asyncio, os, sys
import uvloop
from proxy.runtime.listening import listen
from proxy.runtime.loop import Loop

def threads():
    return len(os.listdir("/proc/self/task"))

async def settled():
    async with asyncio.timeout(30):
        while threads() > 1:
            await asyncio.sleep(0.001)

async def main():
    loop = asyncio.get_running_loop()
    (sock,) = await listen("127.0.0.1", 0, 5)
    port = sock.getsockname()[1]
    server = await loop.create_server(asyncio.Protocol, sock=sock)
    await loop.getaddrinfo("127.0.0.1", port)
    transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
    transport.close()
    assert threads() == 1, threads()
    transport, _ = await loop.create_connection(asyncio.Protocol, "localhost", port)
    transport.close()
    await asyncio.to_thread(os.getpid)
    await settled()
    server.close()

uvloop.run(main(), loop_factory=Loop)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_a_process_comes_back_to_one_thread() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, timeout=6 * PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
