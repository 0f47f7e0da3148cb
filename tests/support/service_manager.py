"""A service manager as a process sees it: the socket of ``NOTIFY_SOCKET``."""

from __future__ import annotations

import asyncio
import secrets
import socket
from pathlib import Path
from types import TracebackType

from tests.support.patience import within


class NotifySocket:
    """``with NotifySocket(folder) as manager``; ``environ`` is for the process. An abstract address without a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.address = f"@sluice-test-{secrets.token_hex(8)}" if folder is None else str(folder / "notify")
        self.environ = {"NOTIFY_SOCKET": self.address}
        self.received: list[dict[str, str]] = []  # by ``wait`` and ``now``

    def __enter__(self) -> NotifySocket:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address.replace("@", "\0", 1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    async def wait(self, name: str) -> dict[str, str]:
        """The next datagram that assigns ``name``; those before it are passed over."""
        loop = asyncio.get_running_loop()

        async def find() -> dict[str, str]:
            while True:
                found = self._note(await loop.sock_recv(self._socket, 4096))
                if name in found:
                    return found

        return await within(find(), f"{name} for the service manager", lambda: self.received)

    def now(self) -> list[dict[str, str]]:
        """What is there already."""
        found = []
        while True:
            try:
                found.append(self._note(self._socket.recv(4096)))
            except BlockingIOError:
                return found

    def _note(self, datagram: bytes) -> dict[str, str]:
        found = dict(line.split("=", 1) for line in datagram.decode().split("\n"))
        self.received.append(found)
        return found
