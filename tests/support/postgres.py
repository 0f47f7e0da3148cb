"""A private PostgreSQL server that a test can kill and start again."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests.support.machine import missing
from tests.support.patience import PATIENCE, within

_USER = "postgres"  # the server refuses to run as root
# What a killed process wrote survives in the kernel, so nothing here needs the disk.
_OPTIONS = {"fsync": "off", "listen_addresses": "127.0.0.1", "max_connections": "30", "shared_buffers": "32MB"}


class OwnPostgres:
    """``async with OwnPostgres() as postgres``: ``postgres.url`` stays the same over restarts, and so does the data."""

    def __init__(self) -> None:
        programs = _programs()
        if programs is None:
            missing("initdb of PostgreSQL is not installed")
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _USER if os.getuid() == 0 else None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the server and wait until it takes connections, which may follow a recovery."""
        assert self._process is None
        options = _OPTIONS | {"port": str(self._port), "unix_socket_directories": self._folder.name}
        settings = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        await within(self._answers("postgres", "-D", f"{self._folder.name}/data", *settings), "PostgreSQL to answer")

    def kill(self) -> None:
        """Kill the server with SIGKILL. Its backends notice that, and end."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(PATIENCE)
        self._process = None

    async def _answers(self, *command: str) -> None:
        import asyncpg

        while True:
            # It does not start as long as backends of a killed one run.
            if self._process is None or self._process.poll() is not None:
                self._process = self._run(*command)
            try:
                connection = await asyncpg.connect(self.url)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.01)
                continue
            await connection.close()
            return

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._programs / program, *arguments],
            cwd=self._folder.name,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            extra_groups=None if self._user is None else [],
        )

    async def __aenter__(self) -> OwnPostgres:
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-", ignore_cleanup_errors=True)
        if self._user is not None:
            os.chown(self._folder.name, pwd.getpwnam(self._user).pw_uid, -1)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        made = self._run("initdb", "-D", f"{self._folder.name}/data", "-U", "postgres", "-A", "trust", "--no-sync")
        assert made.wait(PATIENCE) == 0
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._end(signal.SIGQUIT)
        self._folder.cleanup()


def _programs() -> Path | None:
    """The folder of the newest version's programs."""
    if (program := shutil.which("initdb")) is not None:
        return Path(program).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None
