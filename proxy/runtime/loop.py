"""The event loop of the process: uvloop's, without idle threads.

Once a process has a second thread, even an idle one, the kernel counts references to a file at every read and write:
6 to 8 % of the cost of a token. uvloop resolves names, and even addresses, in libuv's thread pool, whose threads never
end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, TypeVar

import uvloop
from aiohappyeyeballs import start_connection

from proxy.runtime.workers import Workers

P = TypeVar("P", bound=asyncio.BaseProtocol)

LOOKUPS: Final = 16  # names at once
NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Loop(uvloop.Loop):
    """``uvloop.run(main(), loop_factory=Loop)``.

    Nothing here starts libuv's thread pool. ``create_server(host=...)`` is uvloop's own and still does: listen on
    sockets of ``proxy.runtime.listening``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_default_executor(Workers())
        # An executor of their own: lookups that hang delay no other work, nor the end of the process.
        self._lookups = Workers(LOOKUPS, "lookup")

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  # asyncio's own name
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """``socket.getaddrinfo``: at once for an address, in a thread that ends with it for a name."""
        try:
            return socket.getaddrinfo(host, port, family, type, proto, flags | NUMERIC)
        except socket.gaierror:
            pass  # it is a name
        return await self.run_in_executor(self._lookups, socket.getaddrinfo, host, port, family, type, proto, flags)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """uvloop passes only host and port to ``getaddrinfo``, so the zone of an IPv6 address is put into its text."""
        if sock.family == socket.AF_INET6 and len(address) == 4 and address[3] and "%" not in address[0]:
            address = (f"{address[0]}%{address[3]}", *address[1:])
        await super().sock_connect(sock, address)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], P],
        host: str | None = None,
        port: int | None = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: socket.socket | None = None,
        local_addr: tuple[str, int] | None = None,
        server_hostname: str | None = None,
        **options: Any,
    ) -> tuple[asyncio.Transport, P]:
        """As asyncio's: tries the addresses of ``host`` in turn, and raises the errors of all if none answers.

        ``options``: the other parameters of ``loop.create_connection``.
        """
        connect: Any = super().create_connection
        made: tuple[asyncio.Transport, P]
        if sock is not None or (host is None and port is None):
            made = await connect(protocol_factory, host, port, sock=sock, server_hostname=server_hostname, **options)
            return made
        hints = {"type": socket.SOCK_STREAM, "family": family, "proto": proto, "flags": flags}
        there = await self.getaddrinfo(host, port, **hints)
        here = None if local_addr is None else await self.getaddrinfo(local_addr[0], local_addr[1], **hints)
        if options.get("ssl") and server_hostname is None:
            server_hostname = host
        connected = await start_connection(there, local_addr_infos=here)
        try:
            made = await connect(protocol_factory, sock=connected, server_hostname=server_hostname, **options)
        except BaseException:
            connected.close()
            raise
        return made
