"""The head of a request for a service, from the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.config.service_checks import SESSION_COOKIE
from proxy.net.headers import Verdicts
from proxy.services.relay.forwarded import ForwardedLines, appended_lines
from proxy.services.relay.header_tables import passing_lines, request_verdicts

if TYPE_CHECKING:
    from proxy.net.address import TrustedProxies
    from proxy.server.request import Request
    from proxy.services.live_service import ServiceTarget
    from proxy.services.table.route import ServiceRoute

_SESSION: Final = f"{SESSION_COOKIE}=".encode()
BODILESS: Final = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))  # without a body no length is sent
EMPTY_BODY: Final = b"Content-Length: 0\r\n\r\n"  # the end of other heads: where a body is expected (RFC 9110 8.6)


class RequestRules(Struct, frozen=True, eq=False):
    """Header rules of one route for requests, compiled. ``own_removed``: names (lower case) of the gateway's own lines
    that the rules remove or replace. ``lines``: those that the rules add.
    """

    direct: Verdicts
    proxied: Verdicts  # from a trusted proxy
    lines: bytes
    own_removed: frozenset[bytes]

    @staticmethod
    def of(route: ServiceRoute, credentials: bool) -> RequestRules:
        """``credentials``: the client's credential goes on."""
        changes = route.request_headers
        return RequestRules(
            request_verdicts(changes.removed, credentials, trusted=False),
            request_verdicts(changes.removed, credentials, trusted=True),
            changes.lines,
            changes.removed & _OWN,
        )


_OWN: Final = frozenset(
    b"forwarded x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id".split()
)


class RequestHeads:
    """Makes the heads of all requests. ``pseudonym`` names this process in ``Via``."""

    def __init__(self, trusted: TrustedProxies, pseudonym: str) -> None:
        self._trusted = trusted
        self._direct = not trusted  # there are no trusted proxies
        self._forwarded = ForwardedLines().__getitem__
        self._via11, self._via10 = (f"Via: {version} {pseudonym}\r\n".encode() for version in ("1.1", "1.0"))

    def lines(self, request: Request, host: str, id_line: bytes, rules: RequestRules) -> bytes:
        """The header lines for every address of the service, but those for ``Host`` and framing.

        ``host``: the client's. Lines of the gateway follow those of the client, as Via requires it.
        """
        remote = request.remote
        if self._direct or not self._trusted.trusts(remote):
            passing = passing_lines(request.raw_headers, rules.direct)
            forwarded = self._forwarded((remote, host, request.secure))
        else:
            passing = passing_lines(request.raw_headers, rules.proxied)
            forwarded = appended_lines(request, host)
        if passing.find(_SESSION) >= 0:  # faster than ``in``, which tries a number first
            passing = _without_session(passing)
        via = self._via11 if request.http11 else self._via10
        if rules.own_removed:
            own = _without(forwarded + id_line, rules.own_removed)
            return b"".join((passing, via, own, rules.lines))
        return b"".join((passing, via, forwarded, id_line, rules.lines))


def start_of(method: str, target: ServiceTarget, path: str, query: str, host: str) -> bytes:
    """Request line and ``Host``, which comes first (RFC 9110 7.2). Bytes that are no ASCII are those of the client."""
    text = f"{method} {target.path}{path}{'?' if query else ''}{query} HTTP/1.1\r\nHost: {host}\r\n"
    return text.encode("utf-8", "surrogateescape")


def _without(lines: bytes, names: frozenset[bytes]) -> bytes:
    kept = (each for each in lines.splitlines(keepends=True) if each.partition(b":")[0].lower() not in names)
    return b"".join(kept)


def _without_session(lines: bytes) -> bytes:
    """The lines without the session of the dashboard: a service could use it."""
    return b"".join(map(_cleared, lines.splitlines(keepends=True)))


def _cleared(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    if name.lower() != b"cookie":
        return line
    kept = [each for each in value.strip().split(b";") if not each.strip().startswith(_SESSION)]
    return b"%b: %b\r\n" % (name, b";".join(kept).strip()) if kept else b""
