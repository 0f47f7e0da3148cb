"""The real gateway on a free port: in this process or in a separate one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from proxy.app import Application
from proxy.config.loader import load
from proxy.config.schema import Config
from proxy.observe.log import Log
from tests.support.client import RawClient
from tests.support.patience import until, within
from tests.support.upstream import Upstream

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "the-admin-token-of-a-test"  # the default, so that no token file is written
NO_LEDGER = {"enabled": False}  # the default, so that not every test starts a recorder
_ADDRESS = re.compile(r"https?://(\[[^\]\s]+\]|[^\s:/]+):(\d+)")


def one_provider(up: Upstream, *, provider: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    """A configuration: ``up`` as provider ``up`` with key ``secret-key``, serving model ``m`` as ``up-model``.

    ``provider`` adds to the provider, ``sections`` to the top level (camelCase). No retries unless
    ``routing`` configures them, and no ledger unless ``ledger`` does.
    """
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "providers": {"up": {"baseUrl": up.url, "apiKey": "secret-key"} | (provider or {})},
        "models": [{"name": "m", "provider": "up", "model": "up-model"}],
        "ledger": NO_LEDGER,
    } | sections


def to_config(source: str | Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Config:
    """Load YAML text or a mapping, which may include ``models``, with the real loader.

    Unless named: a free port, at most 1 s to drain, the admin token ``ADMIN``, no ledger, and ``data_folder``.
    """
    mapping = _mapping(source)
    mapping["server"] = {"port": 0, "drainSecs": 1} | mapping.get("server", {})
    mapping["admin"] = {"token": ADMIN} | mapping.get("admin", {})
    mapping["ledger"] = NO_LEDGER | mapping.get("ledger", {})
    mapping.setdefault("dataDir", data_folder().name)
    with tempfile.TemporaryDirectory() as folder:
        return load(_write(mapping, Path(folder)), environ or {}).config


@cache
def data_folder() -> tempfile.TemporaryDirectory[str]:
    """Where gateways keep what they write, until these tests end: never where the user's own gateway has it."""
    return tempfile.TemporaryDirectory(prefix="sluice-data-")


def _mapping(source: str | Mapping[str, Any]) -> dict[str, Any]:
    return msgspec.yaml.decode(source, type=dict[str, Any]) if isinstance(source, str) else dict(source)


def _write(mapping: dict[str, Any], folder: Path) -> Path:
    """Write the configuration as the two files of a user; return the path of the first."""
    if models := mapping.pop("models", None):
        (folder / "models.yaml").write_bytes(msgspec.yaml.encode({"models": models}))
        mapping["modelsFile"] = "./models.yaml"
    path = folder / "config.yaml"
    path.write_bytes(msgspec.yaml.encode(mapping))
    return path


class Gateway:
    """``async with Gateway(one_provider(up)) as gw``; ``options`` go to the Application."""

    def __init__(
        self,
        source: str | Mapping[str, Any] | Config,
        *,
        environ: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.config = source if isinstance(source, Config) else to_config(source, environ)
        self._written = io.BytesIO()
        log = Log(self._written, self.config.logging.level, readable=False)
        self.app = Application(self.config, environ=environ or {}, log=log, **options)
        self._clients: list[RawClient] = []

    async def __aenter__(self) -> Gateway:
        await within(self.app.start(), "the gateway to start", lambda: self.log_lines)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        await within(self.app.stop(), "the gateway to stop", lambda: self.log_lines)

    @property
    def port(self) -> int:
        return self.app.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bytes_sent(self) -> int:
        """Bytes of answers that the clients of running requests were sent."""
        assert self.app.serving is not None
        return sum(request.reply.bytes_out for request in self.app.serving._running.values())

    async def client(self, **options: Any) -> RawClient:
        """A new connected client; it is closed at the end of the block."""
        client = await RawClient(self.port, **options).connect()
        self._clients.append(client)
        return client

    @property
    def log_lines(self) -> list[str]:
        """All log lines."""
        self.app.log.flush()
        return self._written.getvalue().decode().splitlines()

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """The log lines of settled exchanges."""
        return [line for line in map(json.loads, self.log_lines) if line["event"] == "exchange"]

    async def settled(self, count: int = 1) -> dict[str, Any]:
        """The log line of the ``count``-th exchange, once it is settled."""
        await until(lambda: len(self.exchanges) >= count, f"{count} settled exchanges in {self.log_lines}")
        return self.exchanges[count - 1]


class Process:
    """``python -m proxy ARGS``, started once it has printed an address; killed at the end of the block."""

    def __init__(self, args: Sequence[str], *, environ: Mapping[str, str] | None = None, folder: Path = ROOT) -> None:
        """``folder`` is its working directory."""
        self.args = list(args)
        self._folder = folder
        self.lines: list[str] = []  # of stdout and stderr, in order
        self.host = ""
        self.port = 0
        self._environ = environ or {}
        self._clients: list[RawClient] = []

    async def __aenter__(self) -> Process:
        await self.start()
        return self

    async def start(self) -> None:
        """Start it and wait for its address; an AssertionError with its output if it ends before."""
        environ = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV", "LANG") if name in os.environ}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "proxy",
            *self.args,
            cwd=self._folder,
            env=environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)} | dict(self._environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._started = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())
        try:
            await within(self._started.wait(), "an address in the output", lambda: self.lines)
            assert self.port, f"it ended at once: {self.lines}"
        except BaseException:
            await self.kill()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        await self.kill()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
            if not self.port and (address := _ADDRESS.search(self.lines[-1])):
                self.host, self.port = address[1], int(address[2])
                self._started.set()
        self._started.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def client(self, **options: Any) -> RawClient:
        client = await RawClient(self.port, **options).connect()
        self._clients.append(client)
        return client

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    async def wait(self) -> int:
        """The exit status, once it has ended and all its output has been read."""
        status = await within(self._process.wait(), "the process to end", lambda: self.lines)
        await within(self._reading, "the end of its output", lambda: self.lines)
        return status

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.wait()


class GatewayProcess(Process):
    """``sluice serve`` with this configuration (YAML text or a mapping, ``models`` within) on a free port."""

    def __init__(
        self,
        source: str | Mapping[str, Any],
        args: Sequence[str] = (),
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__([], environ=environ)
        self._source = source
        self._more = list(args)

    async def start(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            mapping = _mapping(self._source)
            mapping["admin"] = {"token": ADMIN} | mapping.get("admin", {})
            mapping["ledger"] = NO_LEDGER | mapping.get("ledger", {})
            mapping.setdefault("dataDir", data_folder().name)
            path = _write(mapping, Path(folder))
            self.args = ["serve", "--config", str(path), "--port", "0", *self._more]
            await super().start()

    async def __aenter__(self) -> GatewayProcess:
        await self.start()
        return self
