"""Where TLS from clients ends: what all its connections share."""

from __future__ import annotations

import ssl

from proxy.config.schema import ListenTls
from proxy.errors import ConfigError
from proxy.server.server import Server
from proxy.server.tls import ServerTls

HANDSHAKE_SECS = 10.0
READ = 64 * 1024


class TlsListener:
    """The protocol factory of a TLS listener. ``handshakes`` are those under way, at most ``most`` of them.

    Raises ConfigError if the certificate cannot be used.
    """

    def __init__(self, server: Server, tls: ListenTls, most: int, handshake_secs: float = HANDSHAKE_SECS) -> None:
        self.server = server
        self.limiter = server.limiter
        self.handshake_secs = handshake_secs
        self.context = context(tls)
        # One for all: what is read into it is taken out before anybody else reads.
        self.buffer = memoryview(bytearray(READ))
        self.handshakes: set[ServerTls] = set()
        self._tls = tls
        self._most = most

    def __call__(self) -> ServerTls:
        return ServerTls(self)

    def reload(self) -> None:
        """Read the files again, for the handshakes to come. Raises ConfigError; then the old ones stay in force.

        A new context, not the old one filled anew: OpenSSL would keep a new certificate whose key turns out not to fit.
        """
        self.context = context(self._tls)

    def begin(self, secured: ServerTls) -> bool:
        """Whether there is room for its handshake; if so it has to ``end``."""
        if len(self.handshakes) >= self._most:
            return False
        self.handshakes.add(secured)
        return True

    def end(self, secured: ServerTls) -> None:
        self.handshakes.discard(secured)

    def dismiss(self) -> None:
        """Cut off every handshake."""
        for secured in list(self.handshakes):
            secured.abort()


def context(tls: ListenTls) -> ssl.SSLContext:
    """TLS 1.2 or newer, HTTP/1.1 alone, with this certificate. Reads files. Raises ConfigError."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # A stricter system policy stays.
    made.minimum_version = max(made.minimum_version, ssl.TLSVersion.TLSv1_2)
    made.options |= ssl.OP_NO_RENEGOTIATION  # it would make writing wait for reading, and is free work for attackers
    made.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password of ours OpenSSL would ask for one at the terminal.
        made.load_cert_chain(tls.cert_file, tls.key_file or None, password=lambda: "")
    except (OSError, ValueError) as exc:
        raise ConfigError([f"server.tls: the certificate cannot be used: {exc}"]) from exc
    return made
