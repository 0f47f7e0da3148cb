"""Redis, PostgreSQL, RabbitMQ and NATS for tests: running services, or a private Redis.

A service's URL comes from the environment (``SLUICE_TEST_REDIS_URL``, ``SLUICE_TEST_POSTGRES_URL``,
``SLUICE_TEST_RABBITMQ_URL``, ``SLUICE_TEST_NATS_URL``), else it is the standard port on loopback, where a service that is installed but down is
started with its own command. Where there is none the test is skipped with the reason, and fails if ``CI`` is true.

No service is ever emptied: ``redis_prefix`` and ``postgres_database`` are a test's own part of it. Test processes that
run at the same time share nothing but the services.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.support.machine import missing, one_at_a_time
from tests.support.patience import PATIENCE, within

REDIS_SERVERS = ("redis-server", "valkey-server")


class Service(NamedTuple):
    """``commands`` tells how it is started, ``None`` if it is not installed."""

    name: str
    variable: str
    url: str
    port: int
    command: Callable[[], list[str] | None]
    patience: float = PATIENCE


def redis_url() -> str:
    """``redis://127.0.0.1:6379/0`` unless configured otherwise; needs only a TCP connection."""
    return _url(Service("Redis", "SLUICE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0", 6379, _redis))


def postgres_url() -> str:
    """``postgresql://postgres@127.0.0.1:5432/postgres`` unless configured otherwise; see ``postgres_database``."""
    default = "postgresql://postgres@127.0.0.1:5432/postgres"
    return _url(Service("PostgreSQL", "SLUICE_TEST_POSTGRES_URL", default, 5432, _postgres, 30.0))


def rabbitmq_url() -> str:
    """``amqp://guest:guest@127.0.0.1:5672/`` unless configured otherwise."""
    default = "amqp://guest:guest@127.0.0.1:5672/"
    return _url(Service("RabbitMQ", "SLUICE_TEST_RABBITMQ_URL", default, 5672, _rabbitmq, 60.0))


def nats_url() -> str:
    """``nats://127.0.0.1:4222`` unless configured otherwise; with JetStream."""
    return _url(Service("NATS", "SLUICE_TEST_NATS_URL", "nats://127.0.0.1:4222", 4222, _nats))


@asynccontextmanager
async def redis_prefix(url: str) -> AsyncIterator[str]:
    """A unique key prefix; keys under it (also as a hash tag) are removed at the end."""
    redis = pytest.importorskip("redis.asyncio")
    prefix = f"test-{secrets.token_hex(8)}"
    try:
        yield prefix
    finally:
        async with redis.Redis.from_url(url) as client:
            async for key in client.scan_iter(match=f"*{prefix}*", count=1000):
                await client.unlink(key)


@asynccontextmanager
async def postgres_database() -> AsyncIterator[str]:
    """The URL (``postgresql://...``) of an empty database that no other test uses.

    At the end it is emptied for the next test of this process, and open connections to it are closed:
    making one takes a hundred times as long as emptying it. ``drop_databases`` ends them all.
    """
    asyncpg = pytest.importorskip("asyncpg")
    url = postgres_url()
    if not _free_databases:
        _free_databases.append(await _new_database(asyncpg, url))
    name = _free_databases.pop()
    own = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    try:
        yield own
    finally:
        await _postgres_command(asyncpg, own, EMPTY)
        _free_databases.append(name)


_databases: list[str] = []  # the names of this process's own
_free_databases: list[str] = []

EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DROP SCHEMA public CASCADE;
CREATE SCHEMA public
"""


async def _new_database(asyncpg: Any, url: str) -> str:
    name = f"sluice_test_{secrets.token_hex(8)}"
    # template0 takes no connections. A connection to template1, the default, would make this fail.
    await _postgres_command(asyncpg, url, f"CREATE DATABASE {name} TEMPLATE template0")
    _databases.append(name)
    return name


def drop_databases() -> None:
    """Drop every database that this process has made."""

    async def drop() -> None:
        import asyncpg

        while _databases:
            await _postgres_command(asyncpg, postgres_url(), f"DROP DATABASE {_databases.pop()} WITH (FORCE)")

    if _databases:
        asyncio.run(drop())


class OwnRedis:
    """A private Redis (or Valkey) server on a Unix socket that a test can kill, restart and pause.

    ``async with OwnRedis() as redis``: ``redis.url`` stays the same over restarts; nothing survives them.
    """

    def __init__(self) -> None:
        program = _first(*REDIS_SERVERS)
        if program is None:
            missing(f"none of {', '.join(REDIS_SERVERS)} is installed")
        self._program = program
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert self._process is None
        options = {"port": "0", "unixsocket": self._socket, "save": "", "appendonly": "no", "dir": self._folder.name}
        arguments = [text for option, value in options.items() for text in (f"--{option}", value)]
        self._process = await asyncio.create_subprocess_exec(
            self._program, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        await within(self._answers(), f"{self._program} to answer")

    async def kill(self) -> None:
        """Kill the server with SIGKILL; connections are reset."""
        assert self._process is not None
        self._process.kill()
        await within(self._process.wait(), f"{self._program} to end")
        self._process = None

    def hold(self) -> None:
        """Stop the process: it accepts connections, but does not respond until ``resume``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def _answers(self) -> None:
        while not await self._pong():  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    async def _pong(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except (FileNotFoundError, ConnectionRefusedError):
            return False  # no socket yet, or the one before, whose server was killed
        writer.write(b"PING\r\n")
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer == b"+PONG\r\n"

    async def __aenter__(self) -> OwnRedis:
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-")
        self._socket = f"{self._folder.name}/redis.sock"
        self.url = f"unix://{self._socket}"
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self.kill()
        self._folder.cleanup()


# what is there, and how it is started

_failed_starts: dict[str, str] = {}  # by name of the service, with the reason: no test waits for it a second time


def _url(service: Service) -> str:
    if given := os.environ.get(service.variable):
        if not _listens(given, service.port):
            missing(f"nothing answers where {service.variable} says that {service.name} is")
        return given
    if not _listens(service.url, service.port):
        with one_at_a_time(service.name):
            if not _listens(service.url, service.port):  # another test process may have started it meanwhile
                _start(service)
    return service.url


def _start(service: Service) -> None:
    if reason := _failed_starts.get(service.name):
        missing(reason)
    command = service.command()
    if command is None:
        missing(f"{service.name} is neither running nor installed")
    # Into a file: a pipe that the service inherits would never end. In a session of its own: Ctrl-C is not for it.
    with tempfile.TemporaryFile("w+") as words:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True)
        deadline = time.monotonic() + service.patience
        while not _listens(service.url, service.port):
            if time.monotonic() > deadline:
                words.seek(0)
                reason = f"{service.name} does not start: {words.read().strip()[-500:]}"
                _failed_starts[service.name] = reason
                missing(reason)
            time.sleep(0.05)


def _redis() -> list[str] | None:
    program = _first(*REDIS_SERVERS)
    if program is None:
        return None
    listen = ("--daemonize", "yes", "--bind", "127.0.0.1", "-::1", "--port", "6379")
    return [program, *listen, "--save", "", "--appendonly", "no"]


def _postgres() -> list[str] | None:
    # Debian's clusters, of which the newest: etc/postgresql/<version>/main.
    versions = sorted(Path("/etc/postgresql").glob("*/main"), key=lambda path: int(path.parent.name))
    program = _first("pg_ctlcluster")
    if program is None or not versions:
        return None
    return [program, "--skip-systemctl-redirect", versions[-1].parent.name, "main", "start"]


def _rabbitmq() -> list[str] | None:
    program = _first("rabbitmq-server")
    return [program, "-detached"] if program else None


def _nats() -> list[str] | None:
    # It has no option that detaches it from its caller.
    program = _first("nats-server")
    log = os.path.join(tempfile.gettempdir(), "sluice-tests-nats.log")
    listen = ("-a", "127.0.0.1", "-p", "4222", "-js", "-l", log)
    return ["/bin/sh", "-c", '"$@" &', "sh", program, *listen] if program else None


def _first(*programs: str) -> str | None:
    return next(filter(None, map(shutil.which, programs)), None)


def _listens(url: str, port: int) -> bool:
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix":
            with closing(socket.socket(socket.AF_UNIX)) as client:
                client.connect(parts.path)
        else:
            socket.create_connection((parts.hostname, parts.port or port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


async def _postgres_command(asyncpg: Any, url: str, command: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(command)
    finally:
        await connection.close()
