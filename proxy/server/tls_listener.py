"""The TLS side of a listener: certificate, handshake limit and read buffer of all its connections."""

from __future__ import annotations

import ssl
import time

from proxy.config.schema import ListenTls
from proxy.errors import ConfigError
from proxy.server import peer_certificate
from proxy.server.peer_certificate import PeerCertificateError
from proxy.server.server import Server
from proxy.server.tls import ServerTls

HANDSHAKE_SECS = 10.0
READ = 64 * 1024


class TlsListener:
    """The protocol factory of a TLS listener. At most ``most`` handshakes run at once.

    Raises ConfigError if the certificate or the CA of client certificates cannot be used.
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
        """Read all files again, for later handshakes. Raises ConfigError; then nothing has changed.

        The context is new: OpenSSL would keep a certificate in the old one even if its key does not fit. Sessions of
        the old one cannot be resumed, so a client of a CA that was removed is refused.
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

    def name_in(self, tls: ssl.SSLObject) -> str:
        """The name in the client's certificate; ``""``: there is none. Raises PeerCertificateError."""
        return peer_certificate.name_in(tls, time.time()) if self._tls.client_ca else ""

    def handshake_failed(self, error: ssl.SSLError, address: str) -> None:
        code, message = peer_certificate.refusal(error)
        self.limiter.rejected(code)
        if message:
            self.server.faults.report(code, message, address)

    def certificate_refused(self, error: PeerCertificateError, address: str) -> None:
        """A certificate that OpenSSL accepts is refused."""
        self.limiter.rejected(peer_certificate.INVALID)
        self.server.faults.report(peer_certificate.INVALID, peer_certificate.not_accepted(error), address)

    def dismiss(self) -> None:
        """Abort every handshake."""
        for connection in list(self.handshakes):
            connection.abort()


def context(tls: ListenTls) -> ssl.SSLContext:
    """TLS 1.2 or newer, HTTP/1.1 alone, with these certificates. Reads files. Raises ConfigError."""
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
    if tls.client_ca:
        _verify_clients(made, tls)
    return made


def _verify_clients(context: ssl.SSLContext, tls: ListenTls) -> None:
    try:
        context.load_verify_locations(tls.client_ca)
    except (OSError, ValueError) as exc:
        reason = "it has no certificate" if isinstance(exc, ssl.SSLError) else exc
        raise ConfigError([f"server.tls.clientCa: {tls.client_ca} cannot be used: {reason}"]) from exc
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # the bundle may name an intermediate CA only
    context.verify_mode = ssl.CERT_REQUIRED if tls.client_auth == "require" else ssl.CERT_OPTIONAL
