"""The TLS side of a listener: certificate, handshake limit and read buffer of all its connections."""

from __future__ import annotations

import ssl

from proxy.config.schema import ListenTls
from proxy.errors import ConfigError
from proxy.server.server import Server
from proxy.server.tls import ServerTls

HANDSHAKE_SECS = 10.0
READ = 64 * 1024


class TlsListener:
    """The protocol factory of a TLS listener. At most ``most`` handshakes run at once.

    Raises ConfigError if the certificate cannot be used.
    """

    def __init__(self, server: Server, tls: ListenTls, most: int, handshake_secs: float = HANDSHAKE_SECS) -> None:
        self.server = server
        self.limiter = server.limiter
        self.handshake_secs = handshake_secs
        self.context = context(tls)
        # One buffer for all connections: bytes are consumed before the next read.
        self.buffer = memoryview(bytearray(READ))
        self.handshakes: set[ServerTls] = set()
        self._tls = tls
        self._most = most

    def __call__(self, address: str = "") -> ServerTls:
        """A connection. ``address``: the client's; ``""``: the peer's."""
        return ServerTls(self, address)

    def reload(self) -> None:
        """Read the certificate's files again, for later handshakes. Raises ConfigError; then nothing has changed.

        The context is new: OpenSSL would keep a certificate in the old one even if its key does not fit.
        """
        self.context = context(self._tls)

    def begin(self, connection: ServerTls) -> bool:
        """Whether another handshake is allowed; if so it has to ``end``."""
        if len(self.handshakes) >= self._most:
            return False
        self.handshakes.add(connection)
        return True

    def end(self, connection: ServerTls) -> None:
        self.handshakes.discard(connection)

    def dismiss(self) -> None:
        """Abort every handshake."""
        for connection in list(self.handshakes):
            connection.abort()


def context(tls: ListenTls) -> ssl.SSLContext:
    """TLS 1.2 or newer, HTTP/1.1 alone, with this certificate. Reads files. Raises ConfigError."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Keep a stricter policy of the system.
    made.minimum_version = max(made.minimum_version, ssl.TLSVersion.TLSv1_2)
    made.options |= ssl.OP_NO_RENEGOTIATION  # it makes writes wait for reads, and lets attackers cause work
    made.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password callback OpenSSL would prompt at the terminal.
        made.load_cert_chain(tls.cert_file, tls.key_file or None, password=lambda: "")
    except (OSError, ValueError) as exc:
        raise ConfigError([f"server.tls: the certificate cannot be used: {exc}"]) from exc
    return made
