"""TLS for a client's connection: a protocol for the socket below, a transport for the HTTP connection above.

The event loop's own TLS is not used. It starts the handshake before a connection can be counted or refused. It buffers
bytes that neither ``get_write_buffer_size`` nor ``pause_writing`` accounts for, so a large answer seems sent as soon as
it is written. It has no half-close, and in uvloop it allocates 256 KiB for every read. Here all unsent bytes are in the
socket's own transport, as for plain connections.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, cast

from proxy.errors import ClientFault
from proxy.server.connection_limit import address_of
from proxy.server.peer_certificate import PeerCertificateError

if TYPE_CHECKING:
    from proxy.server.connection import Connection
    from proxy.server.tls_listener import TlsListener

RECORD = 16 * 1024  # RFC 8446 5.1: none holds more
_HANDSHAKE = 0x16  # RFC 8446 5.1: the first byte of every TLS connection


class ServerTls(asyncio.BufferedProtocol, asyncio.Transport):
    """Counts as a handshake from its accept on, and creates the HTTP connection once the handshake is done."""

    __slots__ = (
        "_address",
        "_admitted",
        "_clock",
        "_connection",
        "_incoming",
        "_outgoing",
        "_over",
        "_reading",
        "_tls",
        "_tls_listener",
        "_wire",
    )

    _wire: asyncio.Transport

    def __init__(self, tls_listener: TlsListener, address: str = "") -> None:
        super().__init__()
        self._tls_listener = tls_listener
        self._tls: ssl.SSLObject | None = None  # created for the first bytes, so that a silent socket costs little
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._connection: Connection | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._address = address
        self._admitted = False
        self._reading = True
        self._over = False  # close_notify was sent, or the socket is gone

    def __repr__(self) -> str:
        state = "closed" if self._over else "handshake" if self._connection is None else "open"
        return f"<ServerTls {state}>"

    # -- a protocol, to the socket ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = wire = cast("asyncio.Transport", transport)
        if not self._address:  # else a proxy has named it
            self._address = address_of(wire)
        limiter = self._tls_listener.limiter
        refusal = limiter.admit(self._address)
        if refusal is not None:  # an error response would need the handshake
            self._refuse(str(refusal.code))
            return
        self._admitted = True
        if not self._tls_listener.begin(self):
            self._refuse("too_many_handshakes")
            return
        seconds = self._tls_listener.handshake_secs
        self._clock = asyncio.get_running_loop().call_later(seconds, self._refuse, "tls_handshake_timeout")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._tls_listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._over:
            return
        piece = self._tls_listener.buffer[:nbytes]
        if self._tls is None:
            if piece[0] != _HANDSHAKE:
                self._refuse_plain(piece[0])
                return
            self._tls = self._tls_listener.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(piece)
        if self._connection is None:
            self._continue_handshake(self._tls)
        else:
            self._read()

    def eof_received(self) -> None:
        if self._connection is not None:
            self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._leave()
        if self._connection is not None:
            self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        if self._connection is not None and self._connection.writing_paused:
            self._connection.resume_writing()

    # -- a transport, to the connection -------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        tls = self._tls
        if self._over or tls is None:
            return
        written = tls.write(data)
        if written < len(data):  # one call makes one record
            rest = memoryview(data)
            while written < len(data):
                written += tls.write(rest[written:])
        self._wire.write(self._outgoing.read())

    def write_eof(self) -> None:
        self._send_close_notify()
        self._wire.write_eof()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        """Send close_notify and close, without waiting for the peer's (RFC 8446 6.1 does not require it)."""
        self._send_close_notify()
        self._wire.close()

    def abort(self) -> None:
        self._over = True
        self._wire.abort()

    def is_closing(self) -> bool:
        return self._wire.is_closing()

    def pause_reading(self) -> None:
        self._reading = False
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._wire.resume_reading()
            asyncio.get_running_loop().call_soon(self._read)  # bytes that came while reading was paused

    def is_reading(self) -> bool:
        return self._reading

    def get_write_buffer_size(self) -> int:
        return self._wire.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._wire.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket's information, and ``ssl_object``."""
        return self._tls if name == "ssl_object" else self._wire.get_extra_info(name, default)

    # -- TLS ------------------------------------------------------------------------------------------

    def _continue_handshake(self, tls: ssl.SSLObject) -> None:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError as error:
            self._send()  # the alert with the reason
            self._tls_listener.handshake_failed(error, self._address)
            self.close()
            return
        self._send()
        try:
            name = self._tls_listener.name_in(tls)
        except PeerCertificateError as error:
            self._tls_listener.certificate_refused(error, self._address)
            self.abort()
            return
        self._end_handshake()
        self._connection = self._tls_listener.server.over_tls(self._address, name)
        self._connection.connection_made(self)
        self._read()

    def _read(self) -> None:
        """Pass decrypted bytes on, until there are no more or reading is paused."""
        tls, connection = self._tls, self._connection
        if tls is None or connection is None:
            return
        while self._reading and not self._over and (self._incoming.pending or tls.pending()):
            try:
                data = tls.read(RECORD)
            except ssl.SSLWantReadError:  # the rest of a record is on its way
                break
            except ssl.SSLError:
                self.abort()
                return
            if not data:  # the peer's close_notify
                connection.eof_received()
                self.close()
                return
            connection.data_received(data)
        if self._outgoing.pending and not self._over:  # messages of TLS itself, such as a key update
            self._send()

    def _send_close_notify(self) -> None:
        if self._over:
            return
        self._over = True
        if self._tls is None or self._connection is None:
            return
        try:
            self._tls.unwrap()
        except ssl.SSLError:  # "want read": the peer's close_notify has not come
            pass
        self._send()

    def _send(self) -> None:
        if self._outgoing.pending:
            self._wire.write(self._outgoing.read())

    # -- refusals -------------------------------------------------------------------------------------

    def _refuse(self, reason: str) -> None:
        self._tls_listener.limiter.rejected(reason)
        self.abort()

    def _refuse_plain(self, first: int) -> None:
        """The bytes are no TLS. A client of plain HTTP, which starts with a capital letter, gets an error response."""
        if not 0x41 <= first <= 0x5A:
            self._refuse("tls_handshake_failed")
            return
        self._over = True
        self._leave()
        fault = ClientFault("This port speaks TLS, not plain HTTP.", code="plain_on_tls_port")
        self._tls_listener.limiter.turn_away(self._wire, fault)

    def _leave(self) -> None:
        self._end_handshake()
        if self._admitted:
            self._admitted = False
            self._tls_listener.limiter.release(self._address)

    def _end_handshake(self) -> None:
        self._tls_listener.end(self)
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
