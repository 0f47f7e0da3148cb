"""Limits the number of connections, in all and from one address.

A connection counts from its accept, before anything is allocated for it. A refused client gets an error response,
unless too many are being refused at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.config.schema import ServerSettings as Settings
from proxy.errors import GatewayError, Overloaded
from proxy.net.address import TrustedProxies, key_of
from proxy.server.reply import Reply

MAX_LINGERING = 64  # refused connections that are being closed; more are reset without a response
LINGER_SECS = 1.0  # for a refused client to read the response

OnFault = Callable[[Reply, GatewayError], None]


class ConnectionLimiter:
    """Counts connections from ``admit`` to ``release``.

    ``on_fault`` sends an error and counts it. ``rejected`` only counts, by the error's code.
    """

    def __init__(self, settings: Settings, on_fault: OnFault, rejected: Callable[[str], None]) -> None:
        self.rejected = rejected
        self.connections = 0
        self._on_fault = on_fault
        self._most = settings.max_connections
        self._most_of_address = settings.max_connections_per_address
        self.proxies = TrustedProxies(settings.trusted_proxies)
        self._of_address: dict[str, int] = {}
        self._lingering: set[LingeringClose] = set()

    def __repr__(self) -> str:
        return f"<ConnectionLimiter {self.connections} open, {len(self._lingering)} lingering>"

    def admit(self, address: str) -> Overloaded | None:
        """``None`` if the connection is admitted; it has to be ``release``d once. Otherwise the error.

        ``address`` is ``""`` for peers of a unix socket.
        """
        if self.connections >= self._most:
            return Overloaded(f"Too many connections (limit {self._most}).", code="too_many_connections")
        if self._most_of_address and address:
            key = self._counted_as(address)
            held = self._of_address.get(key, 0)
            if held >= self._most_of_address and key:
                return Overloaded(
                    f"Too many connections from this address (limit {self._most_of_address}).",
                    code="too_many_connections_of_address",
                )
            self._of_address[key] = held + 1
        self.connections += 1
        return None

    def release(self, address: str) -> None:
        """An admitted connection has ended."""
        self.connections -= 1
        if self._most_of_address and address:
            key = self._counted_as(address)
            left = self._of_address[key] - 1
            if left:
                self._of_address[key] = left
            else:
                del self._of_address[key]

    def turn_away(self, transport: asyncio.Transport, fault: GatewayError) -> None:
        """Send ``fault`` over ``transport`` and close it, without waiting for a request."""
        closing = LingeringClose(transport, self._lingering)
        transport.set_protocol(closing)  # the former protocol gets no callback any more
        if len(self._lingering) >= MAX_LINGERING:
            self.rejected(fault.code or fault.kind)
            transport.abort()
            return
        self._on_fault(Reply(transport, http10=False, head_only=False, keep_alive=False), fault)
        closing.begin()

    def dismiss(self) -> None:
        """Reset all connections that linger."""
        for closing in list(self._lingering):
            closing.transport.abort()

    def _counted_as(self, address: str) -> str:
        """The key under which connections of ``address`` add up; ``""`` for a trusted proxy, which has no limit."""
        return "" if self.proxies.trusts(address) else key_of(address)


class LingeringClose(asyncio.Protocol):
    """Closes in stages (RFC 9112 9.6): with unread bytes in the socket, a reset would overtake the response.

    It is a member of ``all_`` while it lasts.
    """

    def __init__(self, transport: asyncio.Transport, all_: set[LingeringClose]) -> None:
        self.transport = transport
        self._all = all_
        self._clock: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The response was written."""
        self._all.add(self)
        self._clock = asyncio.get_running_loop().call_later(LINGER_SECS, self.transport.abort)
        self.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Discard it."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self)
        if self._clock is not None:
            self._clock.cancel()


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's IP address; ``""`` on a unix socket, and if the peer has disconnected already."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
