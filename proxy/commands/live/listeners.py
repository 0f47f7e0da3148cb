"""The addresses of the listeners, and the certificate of the API's."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.commands.health import probe, target_at
from proxy.commands.live.certificate import certificate, client_ca
from proxy.commands.live.finding import Finding, Live, failed, ok, warning
from proxy.config.exposure import requires_certificate
from proxy.config.listening import address, own_settings
from proxy.config.schema import ServerSettings
from proxy.runtime.listening import listen

if TYPE_CHECKING:
    from proxy.commands.live.run import Check


def checks(live: Live) -> Iterator[Check]:
    server, admin = live.config.server, live.config.admin
    yield "server", partial(_listener, "server", server)
    if admin.listen:
        yield "admin.listen", partial(_listener, "admin.listen", own_settings(admin, server))
    if server.tls is not None:
        yield "server.tls", partial(certificate, server.tls)
        if server.tls.client_ca:
            yield "server.tls.clientCa", partial(client_ca, server.tls)


async def _listener(name: str, server: ServerSettings) -> Sequence[Finding]:
    where = address(server, server.port)
    try:
        if server.unix_socket:
            _try_unix_socket(Path(server.unix_socket))
        else:
            for sock in await listen(server.host, server.port, 1, reuse_port=server.reuse_port):
                sock.close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return [await _used(name, where, server)]
        return [failed(name, _refused(where, error))]
    return [ok(name, f"{where} is free")]


async def _used(name: str, where: str, server: ServerSettings) -> Finding:
    """A running gateway answers ``/health/live`` at every listener, but only clients that may connect."""
    if requires_certificate(server):
        return warning(name, f"{where} is used; whether by a gateway is not known, as server.tls.clientAuth is require")
    if await asyncio.to_thread(probe, target_at(server), "/health/live"):
        return failed(name, f"{where} is used by another program; stop that, or choose another address")
    return ok(name, f"{where} is used by a running gateway")


def _refused(where: str, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where} cannot be used by user {os.geteuid()}; choose a port above 1023, or a folder of that user"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where} is no address of this machine; correct server.host"
    return f"{where} cannot be used: {(error.strerror or str(error)).rsplit(': ', 1)[-1]}"


def _try_unix_socket(path: Path) -> None:
    """Raises OSError if ``serve`` could not bind it. Nothing is made: the socket would exist for a moment."""
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        missing = not path.absolute().parent.is_dir()
        raise OSError(errno.ENOENT, "its folder does not exist") if missing else PermissionError(errno.EACCES, "")
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(errno.EEXIST, "a file of this name exists and is no socket")
    except FileNotFoundError:
        return
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return  # the file is left from a process that ended; `serve` replaces it
    raise OSError(errno.EADDRINUSE, "")
