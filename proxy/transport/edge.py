"""Who may speak to us from where: Host and Origin, so that no web page and no rebound name uses a local gateway.

DNS rebinding needs a name, so IP literals are always fine; names are fine if they are ours or configured.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from proxy.config.schema import Server as Settings
from proxy.errors import ClientFault
from proxy.transport.server import Request

REMEMBERED = 1000

# RFC 9110 7.2 and RFC 3986 3.2.2: a literal in brackets or a name, and a port.
_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d*)?").fullmatch

_PREFLIGHT = b"Access-Control-Allow-Methods: GET, POST, DELETE, OPTIONS\r\nAccess-Control-Max-Age: 600\r\n"
_EXPOSED = (
    b"Vary: Origin\r\n"
    b"Access-Control-Expose-Headers: x-request-id, x-router-provider, x-router-model, x-router-attempts,"
    b" retry-after\r\n"
)


class Edge:
    """``check`` every request before anything else is done for it."""

    def __init__(self, settings: Settings, *, local: bool) -> None:
        """``local``: the listener is a unix socket, which no web page reaches."""
        self._names = frozenset(
            ("localhost", settings.host.lower(), *(host.lower() for host in settings.allowed_hosts))
        )
        self._any_host = local
        self._origins = frozenset(origin.rstrip("/") for origin in settings.cors_origins)
        self._good: set[str] = set()  # Host values that passed, to spare the parsing

    def check(self, request: Request) -> bytes:
        """The CORS lines that the answer needs, usually none. Raises ClientFault (403, 421)."""
        headers = request.headers
        host = headers.get("Host", "")
        if host not in self._good:
            self._check_host(host)
        origin = headers.get("Origin")
        return b"" if origin is None else self._check_origin(origin, host)

    def preflight(self, request: Request, cors: bytes) -> bool:
        """Answer a CORS preflight; ``False`` if this is none."""
        if request.method != "OPTIONS" or not cors or "Access-Control-Request-Method" not in request.headers:
            return False
        asked = request.headers.get("Access-Control-Request-Headers", "")
        allowed = b"Access-Control-Allow-Headers: %b\r\n" % asked.encode("ascii", "ignore") if asked else b""
        request.reply.send(204, cors + allowed + _PREFLIGHT)
        return True

    def _check_host(self, host: str) -> None:
        if not (self._any_host or self._is_ours(host)):
            raise ClientFault(
                "The Host of this request is not one of the gateway's names; add it to server.allowedHosts.",
                status=421,
                code="host_not_allowed",
            )
        if len(self._good) < REMEMBERED:
            self._good.add(host)

    def _is_ours(self, host: str) -> bool:
        found = _HOST(host)
        if found is None:
            return False
        literal, name = found.groups()
        if literal is not None:
            return _is_address(literal, IPv6Address)
        name = name.removesuffix(".").lower()
        return name in self._names or name.endswith(".localhost") or _is_address(name, ip_address)

    def _check_origin(self, origin: str, host: str) -> bytes:
        if origin in self._origins or "*" in self._origins:
            return b"Access-Control-Allow-Origin: %b\r\n%b" % (origin.encode("ascii", "ignore"), _EXPOSED)
        if origin.partition("://")[2] == host:
            return b""
        raise ClientFault(
            "Requests from this web origin are not allowed; add it to server.corsOrigins.",
            status=403,
            code="origin_not_allowed",
        )


def _is_address(text: str, kind: Callable[[str], object]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
