"""The CONNECT handshake with a forward proxy between us and a provider (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import asyncio
import re

HEAD_LIMIT = 16 * 1024
_ACCEPTED = re.compile(rb"HTTP/1\.[01] 2\d\d(?: |$)")


class Tunnel(asyncio.Protocol):
    """The client side of CONNECT, up to the end of the proxy's response."""

    def __init__(self) -> None:
        self._fault = ""
        self._head = bytearray()
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def establish(self, transport: asyncio.Transport, target: str, authorization: str) -> None:
        """Request a tunnel to ``target`` (host:port). Raises ConnectionError for all but a 2xx head alone."""
        request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"
        transport.write(request.encode("ascii"))
        await self._answered
        if self._fault:
            raise ConnectionError(self._fault)

    def data_received(self, data: bytes) -> None:
        if self._answered.done():
            self._settle("bytes follow the answer to CONNECT")
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end > HEAD_LIMIT or (end < 0 and len(self._head) > HEAD_LIMIT):
            self._settle(f"the answer to CONNECT has a head over {HEAD_LIMIT} bytes")
        elif end >= 0:
            self._settle(_verdict(bytes(self._head), end))
        elif not b"HTTP/1.".startswith(self._head[:7]):
            # Not HTTP at all: waiting for the end of its head would only run the clock down.
            self._settle(f"the answer to CONNECT is {bytes(self._head[:40])!r}")

    def eof_received(self) -> None:
        self._settle("the connection was closed early")

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(f"the connection was lost: {exc!r}" if exc else "the connection was closed early")

    def _settle(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._head.clear()
        if not self._answered.done():
            self._answered.set_result(None)


def _verdict(head: bytes, end: int) -> str:
    status_line = head.partition(b"\r\n")[0]
    if not _ACCEPTED.match(status_line):
        return f"the answer to CONNECT is {status_line[:100]!r}"
    if len(head) > end + 4:
        return "bytes follow the answer to CONNECT"
    return ""
