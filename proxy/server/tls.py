"""A client's connection over TLS: to the socket below a protocol, to the HTTP connection above a transport.

Not the event loop's own TLS. That begins the handshake before anybody can count or refuse it, holds bytes back where
neither ``get_write_buffer_size`` nor ``pause_writing`` tells of them (a large answer counts as taken the moment it is
written), knows no half-close, and in uvloop allocates 256 KiB for every read. Here whatever the kernel did not take
yet is in the socket's own transport, so what holds for plain connections holds for these.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, cast

from proxy.errors import ClientFault
from proxy.server.connection_limit import address_of

if TYPE_CHECKING:
    from proxy.server.connection import Connection
    from proxy.server.tls_listener import TlsListener

RECORD = 16 * 1024  # RFC 8446 5.1: none holds more
_HANDSHAKE = 0x16  # RFC 8446 5.1: the first byte of every TLS connection


class ServerTls(asyncio.BufferedProtocol, asyncio.Transport):
    """Counts as a handshake from the moment that it is accepted, and makes an HTTP connection once that is done."""

    __slots__ = (
        "_address",
        "_clock",
        "_connection",
        "_incoming",
        "_inside",
        "_outgoing",
        "_over",
        "_reading",
        "_termination",
        "_tls",
        "_wire",
    )

    _wire: asyncio.Transport

    def __init__(self, termination: TlsListener) -> None:
        super().__init__()
        self._termination = termination
        self._tls: ssl.SSLObject | None = None  # made for the first bytes: a socket that says nothing costs little
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._connection: Connection | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._address = ""
        self._inside = False
        self._reading = True
        self._over = False  # we said goodbye (close_notify), or the socket is gone

    def __repr__(self) -> str:
        state = "over" if self._over else "in its handshake" if self._connection is None else "open"
        return f"<Secured {state}>"

    # -- a protocol, to the socket ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = wire = cast("asyncio.Transport", transport)
        self._address = address_of(wire)
        limiter = self._termination.limiter
        refusal = limiter.admit(self._address)
        if refusal is not None:  # to say why would take the handshake that it is to spare us
            self._refuse(str(refusal.code))
            return
        self._inside = True
        if not self._termination.begin(self):
            self._refuse("too_many_handshakes")
            return
        seconds = self._termination.handshake_secs
        self._clock = asyncio.get_running_loop().call_later(seconds, self._refuse, "tls_handshake_timeout")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._termination.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._over:
            return
        piece = self._termination.buffer[:nbytes]
        if self._tls is None:
            if piece[0] != _HANDSHAKE:
                self._refuse_plain(piece[0])
                return
            self._tls = self._termination.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(piece)
        if self._connection is None:
            self._shake(self._tls)
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
        self._say_goodbye()
        self._wire.write_eof()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        """Say goodbye and close; the peer's own goodbye is not waited for (RFC 8446 6.1 wants no more)."""
        self._say_goodbye()
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
            asyncio.get_running_loop().call_soon(self._read)  # what came while nobody wanted it

    def is_reading(self) -> bool:
        return self._reading

    def get_write_buffer_size(self) -> int:
        return self._wire.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._wire.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the socket knows, and ``ssl_object``."""
        return self._tls if name == "ssl_object" else self._wire.get_extra_info(name, default)

    # -- TLS ------------------------------------------------------------------------------------------

    def _shake(self, tls: ssl.SSLObject) -> None:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError:
            self._send()  # the alert that says why
            self._termination.limiter.rejected("tls_handshake_failed")
            self.close()
            return
        self._send()
        self._end_handshake()
        self._connection = self._termination.server.over_tls()
        self._connection.connection_made(self)
        self._read()

    def _read(self) -> None:
        """Hand on what has come, until there is no more or nobody wants it."""
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
            if not data:  # the peer's goodbye
                connection.eof_received()
                self.close()
                return
            connection.data_received(data)
        if self._outgoing.pending and not self._over:  # TLS has something to say of its own
            self._send()

    def _say_goodbye(self) -> None:
        if self._over:
            return
        self._over = True
        if self._tls is None or self._connection is None:
            return
        try:
            self._tls.unwrap()
        except ssl.SSLError:  # "want read": the peer has not said it yet
            pass
        self._send()

    def _send(self) -> None:
        if self._outgoing.pending:
            self._wire.write(self._outgoing.read())

    # -- coming to nothing ----------------------------------------------------------------------------

    def _refuse(self, reason: str) -> None:
        self._termination.limiter.rejected(reason)
        self.abort()

    def _refuse_plain(self, first: int) -> None:
        """No TLS; whoever speaks plain HTTP, methods being capital letters, is told so in plain HTTP."""
        if not 0x41 <= first <= 0x5A:
            self._refuse("tls_handshake_failed")
            return
        self._over = True
        self._leave()
        fault = ClientFault("This port speaks TLS, not plain HTTP.", code="plain_on_tls_port")
        self._termination.limiter.turn_away(self._wire, fault)

    def _leave(self) -> None:
        self._end_handshake()
        if self._inside:
            self._inside = False
            self._termination.limiter.release(self._address)

    def _end_handshake(self) -> None:
        self._termination.end(self)
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
