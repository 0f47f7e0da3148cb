"""Which header lines pass between clients and services, as tables with reasons.

All lines pass but these. The verdict for a name is remembered for each spelling, as in ``net/headers.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from proxy.client.head import HeadMarks
from proxy.net.headers import LOOK, USUAL_CONNECTION, Header, Verdicts, joined

# In all tables: names in lower case, separated by spaces; one that ends with * is a prefix.

# RFC 9110 section 7.6.1. Proxy-Status (RFC 9209) is end-to-end.
_HOP_BY_HOP: Final = (
    "keep-alive proxy-connection proxy-authenticate proxy-authorization transfer-encoding upgrade http2-settings"
)

_NEVER_TO_SERVICE: Final = {
    "each connection has its own": _HOP_BY_HOP,
    "the gateway frames the request anew, without the trailers that aiohttp drops": "content-length trailer",
    "the gateway has answered it": "expect",
    "the gateway's own lines stand in the head": (
        "host x-request-id forwarded x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto"
    ),
    "CGI makes a proxy's address of it (https://httpoxy.org)": "proxy",
}
# Programs behind the gateway take these for the word of a proxy that they trust.
_NOT_FROM_CLIENTS: Final = {"only a trusted proxy may say it": "x-forwarded-* x-real-ip"}
_CREDENTIALS: Final = {"the credential is for the gateway": "authorization x-api-key api-key x-goog-api-key"}

_NEVER_TO_CLIENT: Final = {
    "each connection has its own": f"{_HOP_BY_HOP} te",
    "the gateway frames the answer anew": "content-length",
    "the gateway's own": "x-request-id",
}

_CONNECTION: Final = b"connection"
_TE: Final = b"te"
_TRAILERS_WANTED: Final = (b"TE: trailers", b"Connection: TE")  # RFC 9110 10.1.4


def _matcher(*tables: Mapping[str, str]) -> tuple[frozenset[bytes], tuple[bytes, ...]]:
    """Exact names, and prefixes."""
    names = [name.encode() for table in tables for line in table.values() for name in line.split()]
    exact = frozenset(name for name in names if not name.endswith(b"*"))
    return exact, tuple(name[:-1] for name in names if name.endswith(b"*"))


@lru_cache(maxsize=1024)
def request_verdicts(removed: frozenset[bytes], credentials: bool, trusted: bool) -> Verdicts:
    """Verdicts for a client's header lines. ``removed``: names (lower case) that the route's rules remove or set.

    ``credentials``: the client's credential goes on. ``trusted``: the peer is a trusted proxy.
    """
    exact, prefixes = _matcher(
        _NEVER_TO_SERVICE, {} if credentials else _CREDENTIALS, {} if trusted else _NOT_FROM_CLIENTS
    )

    def judge(name: bytes) -> bool | None:
        if name in (_CONNECTION, _TE):
            return None
        # Many servers read X_Forwarded_For as X-Forwarded-For (RFC 3875 4.1.18): both are the same name here.
        plain = name.replace(b"_", b"-")
        return not (name in removed or plain in exact or (prefixes and plain.startswith(prefixes)))

    return Verdicts(judge)


@lru_cache(maxsize=1024)
def answer_verdicts(removed: frozenset[bytes] = frozenset()) -> Verdicts:
    """Verdicts for a service's header lines. ``removed``: names (lower case) that the route's rules remove or set."""
    exact, _ = _matcher(_NEVER_TO_CLIENT)
    exact |= removed

    def judge(name: bytes) -> bool | None:
        return None if name == _CONNECTION else name not in exact

    return Verdicts(judge)


# Of an answer without rules.
_ANSWER: Final = answer_verdicts()
answer_mark: Final = HeadMarks(_ANSWER, searched=False).__getitem__


def answer_lines(raw: Sequence[Header]) -> bytes:
    """The lines of an answer that pass."""
    return passing_lines(raw, _ANSWER)


def passing_lines(raw: Sequence[Header], verdicts: Verdicts) -> bytes:
    """The header lines that pass: ``Name: value CRLF`` each."""
    lines, verdict_of = [], verdicts.__getitem__
    for name, value in raw:
        beginning = verdict_of(name)
        if beginning:
            lines.append(beginning + value)
        elif beginning is LOOK and value not in USUAL_CONNECTION:
            return _passing_slowly(raw, verdicts)
    return joined(lines)


def _passing_slowly(raw: Sequence[Header], verdicts: Verdicts) -> bytes:
    """For ``Connection`` that names fields: they end here, too (RFC 9110 7.6.1). And for ``TE``, which is renewed."""
    values = b",".join(value for name, value in raw if name.lower() == _CONNECTION)
    named = {option.strip(b" \t").lower() for option in values.split(b",")}
    lines = [start + value for name, value in raw if (start := verdicts[name]) and name.lower() not in named]
    if any(verdicts[name] is LOOK and name.lower() == _TE and b"trailers" in value.lower() for name, value in raw):
        lines += _TRAILERS_WANTED
    return joined(lines)


# RFC 9110 6.5.1: what a message is framed, routed, cached or authorized by is never taken from trailers.
_NEVER_IN_TRAILERS: Final = {
    "each connection has its own": f"{_HOP_BY_HOP} connection te trailer proxy-*",
    "framing and content": "content-length content-encoding content-type content-range",
    "control": "age cache-control date expect expires host location max-forwards pragma range retry-after vary warning",
    "credentials": "authorization cookie set-cookie www-authenticate authentication-info",
}


def _trailer_verdicts() -> Verdicts:
    exact, prefixes = _matcher(_NEVER_IN_TRAILERS)
    return Verdicts(lambda name: not (name in exact or name.startswith(prefixes)))


_TRAILERS: Final = _trailer_verdicts()


def trailer_lines(raw: Sequence[Header]) -> bytes:
    """The trailer fields of an answer that pass."""
    return passing_lines(raw, _TRAILERS)
