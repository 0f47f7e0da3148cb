"""A NATS server of a test's own, with JetStream, that can be killed, restarted and held."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.machine import missing
from tests.support.patience import within
from tests.support.ports import free_port


class OwnNats:
    """``async with OwnNats() as nats``: ``nats.url`` and what is stored stay the same over restarts.

    ``settings``: of the server's configuration file, as JSON, besides its address and folder.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, *, jetstream: Mapping[str, Any] | None = {}) -> None:
        program = shutil.which("nats-server")
        if program is None:
            missing("nats-server is not installed")
        self._program = program
        self._settings = settings or {}
        self._jetstream = jetstream
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert self._process is None
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            "-c",
            str(self._folder / "nats.conf"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await within(self._answers(), "nats-server to answer")

    async def kill(self) -> None:
        """Kill the server with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        await within(self._process.wait(), "nats-server to end")
        self._process = None

    def hold(self) -> None:
        """Stop the process, and wait for it: connections stay, but nothing answers until ``resume``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def _answers(self) -> None:
        """Until it greets: with JetStream, that is after its streams were read."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionRefusedError:
                assert self._process is not None
                assert self._process.returncode is None, "nats-server has ended"
                await asyncio.sleep(0.005)
                continue
            greeting = await reader.readline()
            writer.close()
            await writer.wait_closed()
            if greeting.startswith(b"INFO"):
                return

    async def __aenter__(self) -> OwnNats:
        self._temporary = tempfile.TemporaryDirectory(prefix="sluice-")
        self._folder = Path(self._temporary.name)
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        made: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, **self._settings}
        if self._jetstream is not None:
            made["jetstream"] = {"store_dir": str(self._folder / "store"), **self._jetstream}
        (self._folder / "nats.conf").write_text(json.dumps(made, indent=1))
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self.kill()
        self._temporary.cleanup()
