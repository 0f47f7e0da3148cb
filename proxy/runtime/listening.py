"""Listening sockets. A loop that is given a host resolves it in a thread (see ``loop``), so they are made here."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any


async def listen(host: str, port: int, backlog: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """A socket for each address of ``host``, for ``create_server(sock=...)``; ``""``: every address of this machine.

    With port 0, all have the port that was free for the first. Addresses that this machine does not have are left
    out if another works: a hosts file may list an address of a family that is disabled for ``localhost``.
    Raises OSError, with nothing left open.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    missing: list[OSError] = []
    try:
        for family, address in dict.fromkeys((info[0], info[4]) for info in found):  # a hosts file may list one twice
            try:
                sockets.append(_listening(family, (address[0], port, *address[2:]), backlog, reuse_port))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing.append(error)
            else:
                port = sockets[0].getsockname()[1]
        if not sockets:
            raise missing[0]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def listen_unix(path: str, mode: str, backlog: int) -> socket.socket:
    """A unix socket at ``path``, which must be free. ``mode``: permissions in octal digits; ``""``: by the umask.

    They hold before the first connection. Raises OSError, with nothing left.
    """
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        try:
            if mode:
                os.chmod(path, int(mode, 8))
            sock.listen(backlog)
        except OSError:
            os.unlink(path)
            raise
    except OSError:
        sock.close()
        raise
    return sock


def _listening(family: int, address: tuple[Any, ...], backlog: int, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # IPv4 has a socket of its own
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        what = (error.strerror or "").lower()
        raise OSError(error.errno, f"error while attempting to bind on address {address!r}: {what}") from None
    return sock
