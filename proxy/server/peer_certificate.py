"""The client's certificate (``server.tls.clientCa``): the name in it, and why one is refused.

OpenSSL has verified it. Revocation is not checked.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

LONGEST_NAME: Final = 200  # as of a name in the configuration

INVALID: Final = "client_certificate_invalid"
MISSING: Final = "client_certificate_missing"
FAILED: Final = "tls_handshake_failed"

_KINDS: Final = ("URI", "DNS")  # of subjectAltName, in order of precedence


class PeerCertificateError(ValueError):
    """The certificate is refused. The message repeats none of its content."""


def name_in(tls: ssl.SSLObject, now: float) -> str:
    """The name of the client behind ``tls``; ``""`` if it has sent no certificate. Raises PeerCertificateError.

    ``now``: Unix seconds.
    """
    try:
        found = tls.getpeercert()
    except (ssl.SSLError, ValueError):  # text in an unknown encoding
        raise PeerCertificateError("it cannot be read") from None
    return name_of(found, now) if found else ""


def name_of(certificate: Mapping[str, Any], now: float) -> str:
    """The first URI of subjectAltName, else its first DNS name in lower case, else the common name.

    ``certificate`` is as ``SSLSocket.getpeercert`` returns it. A name that is too long is refused rather than cut:
    two clients must not become one. Raises PeerCertificateError.
    """
    if now >= ssl.cert_time_to_seconds(certificate["notAfter"]):  # a resumed session is not verified again
        raise PeerCertificateError("it has expired")
    kind, name = next(_names(certificate), ("", ""))
    if not name:
        raise PeerCertificateError("it has no name: neither a URI nor a DNS name in subjectAltName, nor a common name")
    if len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise PeerCertificateError(f"its name is not printable text of up to {LONGEST_NAME} characters")
    return name.lower() if kind == "DNS" else name


def refusal(error: ssl.SSLError) -> tuple[str, str]:
    """The code of a failed handshake, and the log line; ``""``: none, as the certificate is not the cause."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return INVALID, not_accepted(error.verify_message)
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return MISSING, "A client was refused: it sent no certificate, and server.tls.clientAuth requires one."
    return FAILED, ""


def not_accepted(reason: object) -> str:
    """The log line about a certificate."""
    return f"A client was refused: its certificate is not accepted by server.tls.clientCa: {reason}."


def _names(certificate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    alternatives = certificate.get("subjectAltName", ())
    for kind in _KINDS:
        yield from (each for each in alternatives if each[0] == kind)
    yield from (each for names in reversed(certificate.get("subject", ())) for each in names if each[0] == "commonName")
