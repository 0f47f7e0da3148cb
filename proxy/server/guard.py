"""Checks Host and Origin, so that no web page and no rebound DNS name can use a local gateway.

The API allows configured origins (CORS), the control plane only its own. DNS rebinding needs a name, so IP addresses
are always allowed as Host; names are allowed if they are the gateway's own, or configured. A request to a service may
have the name of its route, too, and the service decides what pages of other origins may do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from aiohttp import hdrs

from proxy.config.exposure import is_local
from proxy.config.schema import ServerSettings as Settings
from proxy.errors import ClientFault
from proxy.net.headers import ascii_value
from proxy.server.origins import CorsOrigins, is_preflight
from proxy.server.request import Request
from proxy.server.security import NOSNIFF

REMEMBERED = 1000

# Kubernetes, load balancers and container runtimes request these by any name or address.
PROBES = frozenset(("/health", "/health/live", "/ready"))

# RFC 9110 7.2 and RFC 3986 3.2.2: a literal in brackets or a name, and a port.
_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d*)?").fullmatch

# RFC 9110 5.6.1 and 5.6.2: field names as a browser lists them. They are echoed, so nothing else may pass.
_FIELD_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*").fullmatch
MAX_ASKED = 4096

# Fetch 3.2.2. A preflight has no credential, and allowed origins do not depend on one.
_PREFLIGHT = (
    b"Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nAccess-Control-Max-Age: 600\r\n"
)
_PRIVATE_NETWORK = b"Access-Control-Allow-Private-Network: true\r\n"  # WICG: from a public page


class HostOriginGuard:
    """``check`` comes before anything else of a request."""

    def __init__(self, settings: Settings, *, local: bool, protect_metrics: bool = False) -> None:
        """``local``: the listener is a unix socket, which no web page reaches.

        ``protect_metrics``: a scrape needs the admin token. Then, and if the whole network may scrape, any Host may
        scrape: a page behind a rebound name would learn nothing more, and scrapers use names of their own.
        """
        self._names = frozenset(
            ("localhost", settings.host.lower(), *(host.lower() for host in settings.allowed_hosts))
        )
        # "*.example.org" as ".example.org"
        suffixes = (host[1:].lower() for host in settings.allowed_hosts if host.startswith("*."))
        self._suffixes = (".localhost", *suffixes)
        self._any_host = local or "*" in settings.allowed_hosts
        scraped_by_any_name = protect_metrics or not is_local(settings)
        self._any_host_at = PROBES | {"/metrics"} if scraped_by_any_name else PROBES
        self._loopback = is_local(settings) and not local
        self._own_schemes = ("https",) if settings.tls is not None else ("http", "https")  # TLS may end at a proxy
        self._origins = CorsOrigins(settings.cors_origins)
        self._good: set[str] = set()  # Host values that passed, so that they are parsed once

    def check(self, request: Request) -> bytes:
        """Header lines of CORS for the answer, usually none. Raises ClientFault (403, 421)."""
        headers = request.headers
        host = headers.get(hdrs.HOST, "")
        if host not in self._good:
            self._check_host(host, request)
        private = request.path.startswith(_PRIVATE) and _is_private(request.path)
        if private and headers.get("Sec-Fetch-Site") == "cross-site":
            raise _foreign(
                "The control plane takes no requests from other sites.", headers.get(hdrs.ORIGIN, "(not named)")
            )
        origin = headers.get(hdrs.ORIGIN) if request.rare else None
        return b"" if origin is None else self._check_origin(origin, host, private)

    def check_relayed(self, request: Request, host: str, *, named: bool, needs_credential: bool) -> bytes:
        """The same for a request that goes on to a service. The lines are for errors of the gateway only.

        ``host``: the value of ``Host``. ``named``: its route names it. ``needs_credential``: only clients that know a
        credential are admitted. Any page that a user visits can send requests from the user's machine. So a gateway
        that only this machine reaches takes none of an origin that is not configured, unless the page knows a
        credential.
        """
        if host not in self._good and not (named and _HOST(host)):
            self._check_host(host, request)
        origin = request.headers.get(hdrs.ORIGIN) if request.rare else None
        if origin is None:
            return b""
        if self._loopback and not needs_credential:
            return self._check_origin(origin, host, private=False)
        return self._origins.lines(origin)

    def preflight(self, request: Request) -> bytes:
        """Header lines that answer a CORS preflight, of a request that was checked; ``b""`` if it is none."""
        headers, cors = request.headers, request.response_lines
        if not cors or not is_preflight(request):
            return b""
        asked = headers.get("Access-Control-Request-Headers", "")
        lines = [cors, _PREFLIGHT, NOSNIFF]
        if len(asked) <= MAX_ASKED and _FIELD_NAMES(asked):
            lines.append(b"Access-Control-Allow-Headers: %b\r\n" % asked.encode())
        if headers.get("Access-Control-Request-Private-Network") == "true":
            lines.append(_PRIVATE_NETWORK)
        return b"".join(lines)

    def _check_host(self, host: str, request: Request) -> None:
        if not (self._any_host or self._is_ours(host)):
            # An HTTP/1.0 request may lack the Host (RFC 9112 3.2), and no browser sends such a request.
            nameless = hdrs.HOST not in request.headers and not request.http11
            if nameless or request.path in self._any_host_at:
                return  # other requests with this Host are still refused
            raise ClientFault(
                "The Host of this request is not one of the gateway's names; add it to server.allowedHosts"
                " (ALLOWED_HOSTS).",
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
        return name in self._names or name.endswith(self._suffixes) or _is_address(name, ip_address)

    def _check_origin(self, origin: str, host: str, private: bool) -> bytes:
        scheme, _, place = origin.partition("://")
        own = place == host and scheme in self._own_schemes and host != ""
        if private:
            if not own:
                raise _foreign("The control plane takes no requests from other web origins.", origin)
            return b""
        cors = self._origins.lines(origin)
        if not cors and not own:
            raise _foreign("Requests from this web origin are not allowed; add it to server.corsOrigins.", origin)
        return cors


_PRIVATE = ("/admin", "/auth")


def _is_private(path: str) -> bool:
    """Whether the path belongs to the control plane, which serves its own pages only. Its paths match exactly."""
    return path.startswith(("/admin/", "/auth/")) or path in ("/admin", "/auth")


def _foreign(message: str, origin: str) -> ClientFault:
    """The log line names the origin, so that the operator knows what to add."""
    return ClientFault(message, status=403, code="origin_not_allowed", detail=f"Origin: {_shown(origin)}")


def _shown(value: str) -> str:
    """A header value for the log: printable ASCII, and no longer than a host name may be (RFC 1035 2.3.4)."""
    return ascii_value(value, 255).decode()


def _is_address(text: str, kind: Callable[[str], object]) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
