"""How many connections there may be, in all and from one address.

The count is taken the moment a connection is accepted, before anything is made for it. Whoever is turned
away is told why as long as that is cheap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.config.schema import ServerSettings as Settings
from proxy.errors import GatewayError, Overloaded
from proxy.net.address import TrustedProxies, key_of
from proxy.server.reply import Reply

FAREWELLS = 64  # so many may be on their way out at once; a flood beyond that is cut without a word
FAREWELL_SECS = 1.0  # how long each of them has to read why

OnFault = Callable[[Reply, GatewayError], None]


class ConnectionLimiter:
    """Lets connections in and counts them until they ``leave``.

    ``on_fault`` answers with an error and counts it, ``rejected`` counts by the error's code alone.
    """

    def __init__(self, settings: Settings, on_fault: OnFault, rejected: Callable[[str], None]) -> None:
        self.rejected = rejected
        self.connections = 0
        self._on_fault = on_fault
        self._most = settings.max_connections
        self._most_of_address = settings.max_connections_per_address
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._of_address: dict[str, int] = {}
        self._farewells: set[LingeringClose] = set()

    def __repr__(self) -> str:
        return f"<Doorman {self.connections} in, {len(self._farewells)} on their way out>"

    def admit(self, address: str) -> Overloaded | None:
        """``None``: come in, and ``leave`` once; otherwise why not. ``""`` is the address of a unix socket's peers."""
        if self.connections >= self._most:
            return Overloaded("The gateway has as many connections as it may.", code="too_many_connections")
        if self._most_of_address and address:
            key = self._counted_as(address)
            held = self._of_address.get(key, 0)
            if held >= self._most_of_address and key:
                return Overloaded(
                    "This address has as many connections as it may.", code="too_many_connections_of_address"
                )
            self._of_address[key] = held + 1
        self.connections += 1
        return None

    def release(self, address: str) -> None:
        """A connection that was let in has ended."""
        self.connections -= 1
        if self._most_of_address and address:
            key = self._counted_as(address)
            left = self._of_address[key] - 1
            if left:
                self._of_address[key] = left
            else:
                del self._of_address[key]

    def turn_away(self, transport: asyncio.Transport, fault: GatewayError) -> None:
        """Answer ``fault`` over ``transport`` and close it, without waiting for a request."""
        farewell = LingeringClose(transport, self._farewells)
        transport.set_protocol(farewell)  # whoever it was before hears no more of it, not even its end
        if len(self._farewells) >= FAREWELLS:
            self.rejected(fault.code or fault.kind)
            transport.abort()
            return
        self._on_fault(Reply(transport, http10=False, head_only=False, keep_alive=False), fault)
        farewell.begin()

    def dismiss(self) -> None:
        """Cut off whoever is still on the way out."""
        for farewell in list(self._farewells):
            farewell.transport.abort()

    def _counted_as(self, address: str) -> str:
        """Whose connections add up; ``""`` is a trusted proxy, which speaks for many."""
        return "" if self._proxies.trusts(address) else key_of(address)


class LingeringClose(asyncio.Protocol):
    """Closes in stages (RFC 9112 9.6): a client whose request lies unread would get a reset before our answer."""

    def __init__(self, transport: asyncio.Transport, under_way: set[LingeringClose]) -> None:
        self.transport = transport
        self._under_way = under_way
        self._clock: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The answer is written."""
        self._under_way.add(self)
        self._clock = asyncio.get_running_loop().call_later(FAREWELL_SECS, self.transport.abort)
        self.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Nobody wants it."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._under_way.discard(self)
        if self._clock is not None:
            self._clock.cancel()


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's IP address; ``""`` on a unix socket, and where the peer has already gone."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
