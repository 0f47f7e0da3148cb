"""A listener: one TCP address or unix socket, with or without TLS and the PROXY protocol."""

from __future__ import annotations

import asyncio
import errno
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from proxy.config.listening import address
from proxy.config.schema import ServerSettings as Settings
from proxy.runtime.listening import listen, listen_unix
from proxy.server.proxy_header import ProxyHeaderListener
from proxy.server.server import Server
from proxy.server.tls_listener import HANDSHAKE_SECS, TlsListener

BACKLOG = 2048
CLEANUP_SECS = 2.0  # for aiohttp, after the drain has ended every exchange


class Listener:
    """``start`` binds, ``stop`` closes every connection. Requests should have been drained before.

    ``port`` is the bound port, 0 for a unix socket.
    """

    def __init__(self, server: Server, settings: Settings) -> None:
        self.port = 0
        self.server = server
        self._settings = settings
        self._tls_listener: TlsListener | None = None
        self._header_listener: ProxyHeaderListener | None = None
        self._accepting: list[asyncio.AbstractServer] = []  # one for each socket
        self._refuses = False

    def __repr__(self) -> str:
        return f"<Listener {self._settings.unix_socket or self.port} {self.server.limiter!r}>"

    async def start(self) -> None:
        """Raises ConfigError for an unusable certificate, OSError if the address is not available.

        The ``filename`` of the OSError is the address.
        """
        try:
            await self._start()
        except OSError as error:
            where = address(self._settings, self._settings.port)
            raise OSError(error.errno, error.strerror or str(error), where) from error

    async def _start(self) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        if settings.tls is not None:
            self._tls_listener = TlsListener(self.server, settings.tls, settings.max_handshakes)
        factory: Callable[[], asyncio.BaseProtocol] = self._tls_listener or self.server
        if settings.proxy_protocol:
            seconds = settings.header_timeout_secs or HANDSHAKE_SECS
            factory = self._header_listener = ProxyHeaderListener(
                self.server, self._tls_listener or self.server, seconds
            )
        if settings.unix_socket:
            _remove_stale(settings.unix_socket)
            bound = listen_unix(settings.unix_socket, settings.unix_socket_mode, BACKLOG)
            self._accepting.append(await loop.create_unix_server(factory, sock=bound, backlog=BACKLOG))
            return
        sockets = await listen(settings.host, settings.port, BACKLOG, reuse_port=settings.reuse_port)
        self.port = sockets[0].getsockname()[1]
        for sock in sockets:
            self._accepting.append(await loop.create_server(factory, sock=sock, backlog=BACKLOG))

    def reload_certificates(self) -> None:
        """Read the certificate's files again; connections stay open. Raises ConfigError, then nothing has changed."""
        if self._tls_listener is not None:
            self._tls_listener.reload()

    async def stop_accepting(self) -> None:
        """Refuse new connections; open ones stay. May be called again."""
        if self._refuses:
            return
        await asyncio.sleep(0)  # connections that wait in the kernel are accepted: closing its socket would reset them
        self._refuses = True
        if self._settings.unix_socket:  # while this process still owns it
            _remove(self._settings.unix_socket)
        for accepting in self._accepting:
            accepting.close()
        await asyncio.sleep(0)  # connections that were just accepted get their callback

    async def stop(self) -> None:
        """Refuse new connections, then close the open ones."""
        if not self._accepting:
            return
        await self.stop_accepting()
        if self._header_listener is not None:
            self._header_listener.dismiss()
        if self._tls_listener is not None:
            self._tls_listener.dismiss()
        self.server.limiter.dismiss()
        self.server.pre_shutdown()
        await self.server.shutdown(CLEANUP_SECS)


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _remove_stale(path: str) -> None:
    """Remove a socket file that no process listens on.

    Raises OSError if one does; asyncio would replace its file.
    """
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return  # ``bind`` raises the error
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, "Another process listens on this socket", path)
