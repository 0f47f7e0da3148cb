"""Security header lines: for answers over TLS, and for HTML pages."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

from proxy.server.reply import Reply

NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"
# RFC 6797 section 7.2: never over plain HTTP. A year, and without subdomains, which may be other servers.
HSTS = b"Strict-Transport-Security: max-age=31536000\r\n"

_PAGE = (
    b"Content-Type: text/html; charset=utf-8\r\n"
    + NOSNIFF
    + b"X-Frame-Options: DENY\r\n"
    + b"Referrer-Policy: no-referrer\r\n"
    + b"Cross-Origin-Opener-Policy: same-origin\r\n"
    + b"Cross-Origin-Resource-Policy: same-origin\r\n"
    + b"Cache-Control: no-store\r\n"
)


def page_lines(
    *, scripts: Sequence[bytes] = (), styles: Sequence[bytes] = (), workers: Sequence[str] = ("'none'",)
) -> bytes:
    """The header lines of an HTML page, to be made once at start.

    ``scripts`` and ``styles`` are the exact contents of its inline ``<script>`` and ``<style>`` elements, ``workers``
    the sources of its workers. All else is loaded from and sent to the gateway only, and framing is forbidden
    (Content Security Policy Level 3).
    """
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_sources(scripts)}",
            f"style-src {_sources(styles)}",
            f"worker-src {' '.join(workers)}",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
    return _PAGE + b"Content-Security-Policy: %b\r\n" % policy.encode()


def _sources(inline: Sequence[bytes]) -> str:
    hashes = (f"'sha256-{b64encode(sha256(text).digest()).decode()}'" for text in inline)
    return " ".join(("'self'", *hashes))


class SecureReply(Reply):
    """An answer over TLS."""

    __slots__ = ()

    security = HSTS
