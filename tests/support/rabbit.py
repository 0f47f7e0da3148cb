"""RabbitMQ for tests: an exchange and queues of a test's own on a running broker, or a broker of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage
from aiormq.connection import Connection

from proxy.events.broker.amqp_topology import AmqpNames, names_of
from proxy.events.settings import BrokerSettings
from tests.support.machine import missing
from tests.support.patience import within
from tests.support.ports import free_ports
from tests.support.services import rabbitmq_url

START_SECS = 90.0  # it takes 6 to 11 s on an idle machine
PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # Debian's commands on PATH change the user


class RabbitExchange:
    """Names of a test's own on one broker. ``settings`` are for a publisher; each call here has a channel of its own."""

    def __init__(self, url: str, connection: Connection) -> None:
        self.url = url
        self.names: AmqpNames = names_of(f"test-{secrets.token_hex(6)}.events")
        self.connection = connection  # opened anew by a call after a restart of the broker

    def settings(self, **changes: Any) -> BrokerSettings:
        return BrokerSettings(**({"addresses": (self.url,), "exchange": self.names.exchange} | changes))

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """A method of aiormq's channel. What the broker refuses is raised."""
        if not self.connection.is_opened:
            self.connection = await aiormq.connect(self.url)
        channel = await self.connection.channel()
        try:
            return await getattr(channel, method)(*arguments, **options)
        finally:
            if not channel.is_closed:
                await channel.close()

    async def count(self, queue: str) -> int:
        """Messages in a queue; -1: there is none."""
        try:
            return int((await self.call("queue_declare", queue, passive=True)).message_count)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return -1

    async def take(self, queue: str) -> list[DeliveredMessage]:
        """All messages of a queue, which is empty then."""
        found = []
        while (
            message := await self.call("basic_get", queue, no_ack=True)
        ).header.properties.message_id or message.body:
            found.append(message)
        return found

    async def ids(self, queue: str) -> list[str]:
        return [str(each.header.properties.message_id) for each in await self.take(queue)]

    async def delete(self) -> None:
        for queue in (self.names.dead, self.names.usage, self.names.analytics, self.names.ledger):
            with suppress(aiormq.AMQPError):
                await self.call("queue_delete", queue)
        for exchange in (self.names.exchange, self.names.dead):
            with suppress(aiormq.AMQPError):
                await self.call("exchange_delete", exchange)


@asynccontextmanager
async def rabbit_exchange(url: str = "") -> AsyncIterator[RabbitExchange]:
    """On the running broker, or on another. What was made under its names is deleted at the end."""
    url = url or rabbitmq_url()
    connection = await aiormq.connect(url)
    found = RabbitExchange(url, connection)
    try:
        yield found
    finally:
        await found.delete()
        await found.connection.close()


class Notes:
    """Stands for the log: ``warnings`` and ``lines`` are the texts."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.lines: list[str] = []
        self.fields: list[dict[str, object]] = []

    def warn(self, text: str, **fields: object) -> None:
        self.warnings.append(text)
        self.fields.append(fields)

    def log(self, text: str, **fields: object) -> None:
        self.lines.append(text)


class OwnRabbit:
    """A RabbitMQ of a test's own, with its own epmd, folder and ports, that a test can kill, hold and alarm.

    ``async with OwnRabbit() as rabbit``: ``rabbit.url`` stays the same over restarts, and so does what is on its disk.
    ``tls``: certificate chain, key and authority of a listener at ``rabbit.tls_url``, which wants a certificate of that
    authority if ``client_certificate``.
    """

    def __init__(self, tls: tuple[Path, Path, Path] | None = None, *, client_certificate: bool = False) -> None:
        server = PROGRAMS / "rabbitmq-server"
        epmd = shutil.which("epmd")
        if not server.exists() or epmd is None:
            missing("RabbitMQ is not installed")
        self._server, self._epmd_program = server, epmd
        self._tls = tls
        self._client_certificate = client_certificate
        self._process: asyncio.subprocess.Process | None = None
        self._epmd: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> OwnRabbit:
        self._folder = Path(tempfile.mkdtemp(prefix="sluice-rabbit-"))
        port, tls_port, dist, epmd = free_ports(4)
        self.port = port
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        self.tls_url = f"amqps://guest:guest@localhost:{tls_port}/"
        self._node = f"sluice{secrets.token_hex(4)}@localhost"
        lines = [f"listeners.tcp.1 = 127.0.0.1:{port}", "log.console = false", "disk_free_limit.absolute = 1MB"]
        if self._tls is not None:
            chain, key, authority = self._tls
            lines += [f"listeners.ssl.1 = 127.0.0.1:{tls_port}", f"ssl_options.certfile = {chain}"]
            lines += [f"ssl_options.keyfile = {key}", f"ssl_options.cacertfile = {authority}"]
            verify = ("verify_peer", "true") if self._client_certificate else ("verify_none", "false")
            lines += [f"ssl_options.verify = {verify[0]}", f"ssl_options.fail_if_no_peer_cert = {verify[1]}"]
        (self._folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self._folder / "plugins").write_text("[].\n")
        (self._folder / "env").write_text("")
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")} | {
            "HOME": str(self._folder),
            "RABBITMQ_HOME": str(self._folder),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "env"),  # not the machine's, which names its own node
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_DIST_PORT": str(dist),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        # Not the daemon that Erlang would start: it would outlive the test.
        self._epmd = await asyncio.create_subprocess_exec(
            self._epmd_program, "-port", str(epmd), "-address", "127.0.0.1",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        assert self._process is None
        with (self._folder / "console").open("ab") as words:
            # A group of its own: the server is a shell script with children.
            self._process = await asyncio.create_subprocess_exec(
                str(self._server), env=self._environ, stdin=asyncio.subprocess.DEVNULL, stdout=words, stderr=words,
                start_new_session=True,
            )  # fmt: skip
        async with asyncio.timeout(START_SECS):
            while not await self._answers():
                if self._process.returncode is not None:
                    raise AssertionError(f"RabbitMQ ended: {(self._folder / 'console').read_text()[-2000:]}")
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """End it with SIGKILL, in the middle of whatever it does."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await within(self._process.wait(), "RabbitMQ to end")
        self._process = None

    async def restart(self) -> None:
        """Kill it, and start it again."""
        await self.kill()
        await self.start()

    def hold(self) -> None:
        """Stop its processes: it takes connections, but answers nothing until ``resume``."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    async def control(self, *arguments: str) -> str:
        """``rabbitmqctl`` with these arguments; its output. Takes a second or two."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS / "rabbitmqctl"), "-q", "-n", self._node, *arguments, env=self._environ,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(START_SECS):
            output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def alarm(self, kind: str) -> None:
        """``memory`` or ``disk``: publishers are blocked until ``calm``."""
        if kind == "memory":
            await self.control("set_vm_memory_high_watermark", "0.0000001")
        else:
            await self.control("set_disk_free_limit", "1000000GB")

    async def calm(self) -> None:
        await self.control("set_vm_memory_high_watermark", "0.9")
        await self.control("set_disk_free_limit", "1MB")

    async def _answers(self) -> bool:
        try:
            connection = await aiormq.connect(f"{self.url}?heartbeat=0")
        except (OSError, aiormq.AMQPError):
            return False
        await connection.close()
        return True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            await self._epmd.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
