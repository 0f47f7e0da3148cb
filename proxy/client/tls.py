"""TLS to providers: the settings as an ``ssl.SSLContext``, and the handshake."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from proxy.config.provider_schema import Tls

# The dial has a time limit of its own. Without this the loops would end a handshake after 60 s.
HANDSHAKE_SECS: Final = 86_400.0
SHUTDOWN_SECS: Final = 2.0  # how long a closed connection waits for the peer's close_notify (loops: 30 s)


def context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer, ALPN ``http/1.1`` alone, certificate and host name verified unless ``verify`` is off.

    ``ca_file`` replaces the system's trust store. ``cert_file`` may hold the key as well. Reads files; the system's
    store takes some tens of milliseconds, so build it once. Raises OSError (ssl.SSLError is one) if a file is missing
    or unusable.
    """
    made = ssl.create_default_context(cafile=tls.ca_file or None)
    # A stricter system policy stays.
    made.minimum_version = max(made.minimum_version, ssl.TLSVersion.TLSv1_2)
    made.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        # Without a password OpenSSL would prompt for one at the terminal.
        made.load_cert_chain(tls.cert_file, tls.key_file or None, password=lambda: "")
    return made


class HandshakeProtocol(asyncio.Protocol):
    """The protocol of a connection until its handshake is done.

    ``start_tls`` may deliver bytes before it returns, when the final protocol has no transport yet. An HTTP server
    must not send anything before the first request, so such bytes are a fault.
    """

    def __init__(self) -> None:
        self._fault = ""

    def check(self) -> None:
        """Raises ConnectionError if the connection cannot be used."""
        if self._fault:
            raise ConnectionError(self._fault)

    def data_received(self, data: bytes) -> None:
        self._fault = "the server sent bytes before the first request"

    def eof_received(self) -> None:
        self._fault = self._fault or "the server closed the connection"

    def connection_lost(self, exc: Exception | None) -> None:
        self._fault = self._fault or f"the connection was lost: {exc!r}"


async def handshake(transport: asyncio.Transport, context: ssl.SSLContext, host: str) -> asyncio.Transport:
    """A TLS transport over ``transport`` (TLS or not itself), with a ``HandshakeProtocol``.

    Not ``create_connection(ssl=...)``: canceled right after the handshake, that leaks a transport, which stays open
    until the peer closes it. Here the caller has ``transport`` and aborts it. Raises OSError (ssl.SSLError,
    ConnectionError), ValueError.
    """
    if transport.is_closing():  # start_tls would never return
        raise ConnectionResetError("the server closed the connection")
    protocol = HandshakeProtocol()
    secure = await asyncio.get_running_loop().start_tls(
        transport,
        protocol,
        context,
        server_hostname=_server_name(host),
        ssl_handshake_timeout=HANDSHAKE_SECS,
        ssl_shutdown_timeout=SHUTDOWN_SECS,
    )
    protocol.check()
    # A connection lost during the handshake without an error counts as success: asyncio then returns None, uvloop a
    # closed transport.
    if secure is None or secure.is_closing():
        raise ConnectionResetError("the connection was lost")
    return secure


def _server_name(host: str) -> str:
    """RFC 6066 section 3: no trailing dot. No IPv6 zone, as certificates have none."""
    return host.partition("%")[0].removesuffix(".")
