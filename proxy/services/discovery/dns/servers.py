"""The DNS servers that are asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from proxy.config.discovery_checks import split_dns_server


async def addresses(servers: Sequence[str]) -> list[tuple[str, int]]:
    """IP addresses and ports, in this order. Names are looked up by the system.

    Raises OSError if none of them can be found, and ValueError for a text that is no server.
    """
    found: list[tuple[str, int]] = []
    failure: OSError | None = None
    for text in servers:
        host, port = split_dns_server(text)
        try:
            found += await _look_up(host, port)
        except OSError as error:
            failure = error
    if not found and failure is not None:
        raise failure
    return found


async def _look_up(host: str, port: int) -> list[tuple[str, int]]:
    try:
        return [(str(ip_address(host)), port)]
    except ValueError:
        pass
    # In a thread that ends with its work: those of uvloop's own lookups never do.
    told = await asyncio.to_thread(socket.getaddrinfo, host, port, type=socket.SOCK_DGRAM)
    return [*dict.fromkeys((str(sockaddr[0]), port) for *_, sockaddr in told)]
