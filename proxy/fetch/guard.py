"""What may be fetched: addresses by their form, and hosts by where they lead.

A name is resolved once for each connection, all its addresses are judged, and the connection goes to one of them. So
an answer that changes between two lookups (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final, TypeAlias

from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from proxy.fetch.addresses import is_public
from proxy.fetch.unavailable import ContentUnavailable
from proxy.runtime.workers import Workers

LONGEST: Final = 8192  # characters of an address
NOT_PUBLIC: Final = "is at an address that is not public"

_PORTS: Final = {"http": 80, "https": 443}
# Host, port and family, as ``getaddrinfo`` takes them.
LookUp: TypeAlias = Callable[[str, int, int], list[ResolveResult]]
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class AddressGuard(AbstractResolver):
    """Refuses addresses. ``judge`` says of an IP address whether it is allowed.

    ``any_port``: else only the usual ports are allowed. ``lookups``: threads for names, which may hang, while names of
    providers must not wait. ``look_up`` replaces the system's resolver in tests.
    """

    def __init__(
        self,
        lookups: Workers,
        judge: Callable[[str], bool],
        *,
        any_port: bool = False,
        look_up: LookUp | None = None,
    ) -> None:
        self._lookups = lookups
        self._judge = judge
        self._any_port = any_port
        self._look_up = look_up or _look_up

    @staticmethod
    def of(lookups: Workers, private: bool) -> AddressGuard:
        """The guard for ``translate.fetch.privateAddresses``."""
        return AddressGuard(lookups, _allow if private else is_public, any_port=private)

    def first(self, address: str) -> URL:
        """The address of the client. Raises ContentUnavailable."""
        if len(address) > LONGEST:
            raise ContentUnavailable(f"has an address of more than {LONGEST} characters")
        try:
            return self._allowed(URL(address))
        except (ValueError, TypeError):  # yarl raises both
            raise ContentUnavailable("has an address that is not valid") from None

    def following(self, here: URL, location: str) -> URL:
        """Where a redirect leads. Raises ContentUnavailable; TLS must not be lost."""
        try:
            there = self._allowed(here.join(URL(location[:LONGEST])))
        except (ValueError, TypeError):
            raise ContentUnavailable("is redirected to an address that is not valid") from None
        if there.scheme != here.scheme == "https":
            raise ContentUnavailable("is redirected from https to http")
        return there

    def _allowed(self, url: URL) -> URL:
        if url.scheme not in _PORTS:
            raise ContentUnavailable("has an address that is neither http:// nor https://")
        host, port = url.raw_host, url.port
        if not host or not port:
            raise ValueError("no host, or port 0")
        if url.raw_user is not None or url.raw_password is not None:
            raise ContentUnavailable("has an address with a user name or a password")
        if not self._any_port and port != _PORTS[url.scheme]:
            raise ContentUnavailable("is at another port than 80 (http) or 443 (https)")
        if (":" in host or host.replace(".", "").isdigit()) and not self._judge(host):
            raise ContentUnavailable(NOT_PUBLIC, host)
        return url.with_fragment(None)

    # -- what aiohttp calls -----------------------------------------------------------------------

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of a name. Raises OSError, and ContentUnavailable if one of them is not allowed."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._lookups, self._look_up, host, port, family)
        if not all(self._judge(str(result["host"])) for result in found):
            raise ContentUnavailable(NOT_PUBLIC, host)
        return found

    async def close(self) -> None:
        """There is nothing to close: the threads end by themselves."""

    def open(self, info: AddrInfoType) -> socket.socket:
        """The socket for one connection: the last look at where it goes, as literal addresses are not resolved.

        Raises PermissionError.
        """
        family, kind, protocol, _, address = info
        if not self._judge(str(address[0])):
            raise PermissionError(errno.EACCES, NOT_PUBLIC)
        return socket.socket(family, kind, protocol)


def _allow(address: str) -> bool:
    return True


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    """All addresses of a name. Blocks. Raises OSError."""
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    return [
        ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=_NUMERIC)
        for kind, _, protocol, _, address in found
    ]
