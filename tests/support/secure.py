"""The raw client over TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from tests.support.client import RawClient
from tests.support.patience import within


class SecureClient(RawClient):
    """Sends and reads as a ``RawClient`` does; ``tls`` has the negotiated parameters. ``received`` holds plain text.

    The server's certificate must be one for ``name``.
    """

    def __init__(
        self,
        address: int | tuple[str, int] | str,
        context: ssl.SSLContext,
        *,
        name: str = "localhost",
        **options: Any,
    ) -> None:
        super().__init__(address, **options)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def connect(self) -> SecureClient:
        await super().connect()
        try:
            await self._shake()
        except BaseException:
            self.close()
            raise
        return self

    async def _shake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await self._take_wire())
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        self.tls.write(data) if len(data) <= 16384 else self._write_all(data)
        await self._flush()

    def _write_all(self, data: bytes) -> None:
        for start in range(0, len(data), 16384):
            self.tls.write(data[start : start + 16384])

    async def say_goodbye(self) -> None:
        """Send close_notify; the socket stays open."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        await self._flush()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await within(asyncio.get_running_loop().sock_sendall(self._socket, self._outgoing.read()), "a send")

    async def _take_wire(self) -> bytes:
        data = await within(asyncio.get_running_loop().sock_recv(self._socket, 65536), "bytes of TLS")
        if not data:
            raise ConnectionResetError("the connection was closed")
        return data

    async def _receive(self, what: str) -> bool:
        """Read until there is plain text; False at close_notify, or at an end without it (``truncated``)."""
        while not self._ended:
            try:
                data = self.tls.read(65536)
            except ssl.SSLWantReadError:
                try:
                    self._incoming.write(await self._take_wire())
                except ConnectionError:
                    self._ended = self.truncated = True
                continue
            except ssl.SSLZeroReturnError:
                data = b""
            self._ended = not data
            self.received += data
            self._unread += data
            return bool(data)
        return False

    truncated = False  # the connection ended without close_notify
