"""The beginning of a connection on a listener with ``server.proxyProtocol``: the header of a trusted proxy.

Whether there is a header is decided by the peer's address, never by the bytes (proxy-protocol.txt, section 2): an
untrusted client could name any address. After the header the connection's own protocol takes over, plain or TLS, so
nothing of this is left on the path of a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from proxy.server.connection_limit import address_of
from proxy.server.proxy_protocol import ProxyHeaderError, read_header
from proxy.server.server import Server


class ProxyHeaderListener:
    """The protocol factory of such a listener. ``factory`` makes the protocol behind the header, for an address."""

    def __init__(self, server: Server, factory: Callable[[str], asyncio.BaseProtocol], header_secs: float) -> None:
        self.server = server
        self.factory = factory
        self.header_secs = header_secs
        self.waiting: set[ProxyHeaderConnection] = set()

    def __call__(self) -> ProxyHeaderConnection:
        return ProxyHeaderConnection(self)

    def dismiss(self) -> None:
        """Abort every connection whose header has not come."""
        for connection in list(self.waiting):
            connection.abort()


class ProxyHeaderConnection(asyncio.Protocol):
    """A connection up to the end of its header. It counts against ``maxConnections`` from its accept on."""

    __slots__ = ("_address", "_clock", "_listener", "_received", "_transport")

    def __init__(self, listener: ProxyHeaderListener) -> None:
        self._listener = listener
        self._address = ""
        self._received = b""
        self._clock: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<ProxyHeaderConnection {self._address} {len(self._received)} bytes>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._address = address = address_of(transport)
        listener = self._listener
        limiter = listener.server.limiter
        if not limiter.proxies.trusts(address) or limiter.admit(address) is not None:
            self._become("")  # refuses in its own way, if there are too many connections
            return
        listener.waiting.add(self)
        self._clock = asyncio.get_running_loop().call_later(listener.header_secs, self._late)

    def data_received(self, data: bytes) -> None:
        if self not in self._listener.waiting:
            return
        self._received += data
        try:
            header = read_header(self._received)
        except ProxyHeaderError as error:
            self._refuse("invalid", str(error))
            return
        if header is None:
            return
        rest = self._received[header.length :]
        self._leave()
        # uvloop chooses how it reads when reading begins, and the next protocol may bring its own buffer.
        self._transport.pause_reading()
        self._become(header.source, reading_paused=True)
        _feed(self._transport, rest)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._received and self in self._listener.waiting:
            self._report("invalid", "it ended within its PROXY protocol header")
        self._leave()  # a probe that connects and sends nothing leaves no line

    def abort(self) -> None:
        self._leave()
        self._transport.abort()

    def _become(self, source: str, *, reading_paused: bool = False) -> None:
        """Hand the connection over to its own protocol."""
        protocol = self._listener.factory(source)
        self._transport.set_protocol(protocol)
        if reading_paused:
            self._transport.resume_reading()
        protocol.connection_made(self._transport)

    def _late(self) -> None:
        self._refuse("timeout", "it did not send a complete PROXY protocol header in time")

    def _refuse(self, kind: str, reason: str) -> None:
        self._report(kind, reason)
        self.abort()

    def _report(self, kind: str, reason: str) -> None:
        server, code = self._listener.server, f"proxy_header_{kind}"
        server.limiter.rejected(code)
        message = f"A connection from a proxy of server.trustedProxies was closed: {reason}."
        server.faults.report(code, message, self._address)

    def _leave(self) -> None:
        if self in self._listener.waiting:
            self._listener.waiting.discard(self)
            self._listener.server.limiter.release(self._address)
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Pass ``data`` to the transport's protocol as if it had just been read. The protocol may change meanwhile."""
    rest = memoryview(data)
    while rest and not transport.is_closing():
        protocol = transport.get_protocol()
        if isinstance(protocol, asyncio.BufferedProtocol):
            buffer = memoryview(protocol.get_buffer(len(rest)))
            size = min(len(buffer), len(rest))
            buffer[:size] = rest[:size]
            protocol.buffer_updated(size)
            rest = rest[size:]
        else:
            cast("asyncio.Protocol", protocol).data_received(bytes(rest))
            return
