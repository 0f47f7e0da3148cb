"""Web origins that may call the API (``server.corsOrigins``), and the CORS header lines for their answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs

if TYPE_CHECKING:
    from proxy.server.request import Request

ASKED_METHOD: Final = hdrs.ACCESS_CONTROL_REQUEST_METHOD
REMEMBERED: Final = 1000  # origins that matched a pattern

_EXPOSED: Final = (
    b"Vary: Origin\r\n"
    b"Access-Control-Expose-Headers: x-request-id, x-router-provider, x-router-model, x-router-attempts,"
    b" x-router-fallback-used, x-router-errors, x-router-decision, x-router-budget, x-router-cache,"
    b" age, retry-after,"
    b" x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset\r\n"
)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_LABELS: Final = r"(?:[a-z0-9_-]+\.)+"
_HOST: Final = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])"
_PORT: Final = r"(?::[0-9]{1,5})?"


class CorsOrigins:
    """Exact origins, patterns, ``null`` and ``*``, as ``config.checks.origin`` admits them.

    In a pattern ``*.`` at the start of the host matches one or more labels, ``*`` as the host any host, and ``*`` as
    the port any or none.
    """

    def __init__(self, configured: Iterable[str]) -> None:
        plain = [_plain(origin) for origin in configured]
        self._any = _allowed(b"*") if "*" in plain else b""
        self._exact = {origin: _allowed(origin.encode()) for origin in plain if "*" not in origin}
        patterns = [_pattern(origin) for origin in plain if "*" in origin and origin != "*"]
        self._matches = re.compile("|".join(patterns)).fullmatch if patterns else None

    def lines(self, origin: str) -> bytes:
        """The header lines for a request from ``origin``; ``b""`` if it is not allowed."""
        found = self._exact.get(origin)
        if found is not None:
            return found
        # A match has no character that could end a header line.
        if self._matches is not None and self._matches(origin):
            found = _allowed(origin.encode())
            if len(self._exact) < REMEMBERED:
                self._exact[origin] = found
            return found
        return self._any


def is_preflight(request: Request) -> bool:
    """Whether a browser asks what a page of another origin may do (Fetch 3.2.2)."""
    headers = request.headers
    return request.method == "OPTIONS" and ASKED_METHOD in headers and hdrs.ORIGIN in headers


def _plain(origin: str) -> str:
    """As a browser writes it (RFC 6454 6.1): without a default port."""
    origin = origin.lower().rstrip("/")
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], "/"))


def _pattern(origin: str) -> str:
    scheme, _, place = origin.partition("://")
    host, port = (place[:-2], _PORT) if place.endswith(":*") else (place, "")
    if host == "*" or host.startswith("*:"):
        return f"{re.escape(scheme)}://{_HOST}{re.escape(host[1:])}{port}"
    labels = _LABELS if host.startswith("*.") else ""
    return f"{re.escape(scheme)}://{labels}{re.escape(host.removeprefix('*.'))}{port}"


def _allowed(origin: bytes) -> bytes:
    # Without Access-Control-Allow-Credentials: no origin may use credentials that a browser sends by itself.
    return b"Access-Control-Allow-Origin: %b\r\n%b" % (origin, _EXPOSED)
