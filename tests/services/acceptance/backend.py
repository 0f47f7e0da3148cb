"""A backend that can be killed: a process that answers each request after some milliseconds, ``/health`` at once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from typing import Final

from tests.support.patience import within

HOSTS: Final = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
DELAY: Final = 0.05  # seconds, so that some requests are in flight when it is killed
_LENGTH: Final = re.compile(rb"(?i)^content-length: (\d+)", re.M)


class Backend:
    """``python -m tests.services.acceptance.backend HOST PORT``. It tells its host in each answer."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.url = f"http://{host}:{port}"
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, self.host, str(self._port), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await within(process.stdout.readline(), "the backend to listen") == b"listens\n"

    async def kill(self) -> None:
        """At once, with all that runs there."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            self._process = None


async def _serve(host: str, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = host.encode()
        while head := await _head(reader):
            if (length := _LENGTH.search(head)) is not None:
                await reader.readexactly(int(length[1]))
            if not head.startswith(b"GET /health"):
                await asyncio.sleep(DELAY)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Backend: %b\r\n\r\n%b" % (len(body), body, body))
        writer.close()

    server = await asyncio.start_server(connected, host, port)
    print("listens", flush=True)
    await server.serve_forever()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
