"""What the gateway tells a service of the client: ``X-Forwarded-*`` and ``Forwarded`` (RFC 7239)."""

from __future__ import annotations

import re
from typing import Final

from multidict import CIMultiDictProxy, istr

from proxy.caches import Memo
from proxy.client.dial import DEFAULT_PORTS
from proxy.server.request import Request

_FOR: Final = istr("X-Forwarded-For")
_HOST: Final = istr("X-Forwarded-Host")
_PORT: Final = istr("X-Forwarded-Port")
_PROTO: Final = istr("X-Forwarded-Proto")
_FORWARDED: Final = istr("Forwarded")

LONGEST_HOST: Final = 261  # characters of a name and a port (RFC 1035 2.3.4); longer ones are not remembered

_IS_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110 5.6.2
_PORT_OF: Final = re.compile(r":(\d{1,5})$").search

Peer = tuple[str, str, bool]  # address of the peer, value of Host, whether over TLS


class ForwardedLines(Memo[Peer, bytes]):
    """The lines for requests that no proxy before this one has passed on, or none that is trusted."""

    def compute(self, key: Peer) -> bytes:
        remote, host, secure = key
        proto = "https" if secure else "http"
        lines = [f"X-Forwarded-For: {remote}"] if remote else []
        lines.append(f"X-Forwarded-Proto: {proto}")
        if host:
            lines += (f"X-Forwarded-Host: {host}", f"X-Forwarded-Port: {_port_of(host, proto)}")
        lines.append(f"Forwarded: {_element(remote, host, proto)}")
        return _encoded(lines)

    def is_cacheable(self, key: Peer) -> bool:
        return len(key[1]) <= LONGEST_HOST


def appended_lines(request: Request, host: str) -> bytes:
    """The lines for a request from a trusted proxy: its own ones, and the peer appended to the lists.

    What it says of host, port and scheme stays, as it knows what the client used.
    """
    headers, remote = request.headers, request.remote
    proto = "https" if request.secure else "http"
    clients = [*headers.getall(_FOR, ()), *([remote] if remote else ())]
    lines = [f"X-Forwarded-For: {', '.join(clients)}"] if clients else []
    lines.append(f"X-Forwarded-Proto: {headers.get(_PROTO, proto)}")
    named = headers.get(_HOST, host)
    if named:
        port = headers.get(_PORT) or _port_of(named, headers.get(_PROTO, proto))
        lines += (f"X-Forwarded-Host: {named}", f"X-Forwarded-Port: {port}")
    lines.append(f"Forwarded: {', '.join((*_before(headers), _element(remote, host, proto)))}")
    return _encoded(lines)


def _before(headers: CIMultiDictProxy[str]) -> list[str]:
    """Elements of the proxies before. A list without them would hide those that only X-Forwarded-For names."""
    given = headers.getall(_FORWARDED, None)
    if given is not None:
        return given
    addresses = (entry.strip() for value in headers.getall(_FOR, ()) for entry in value.split(","))
    return [f"for={_node(each)}" for each in addresses if each]


def _element(remote: str, host: str, proto: str) -> str:
    named = f";host={_quoted(host)}" if host else ""
    return f"for={_node(remote)}{named};proto={proto}"


def _node(address: str) -> str:
    """RFC 7239 6: an IPv6 address stands in brackets and quotes, without its zone."""
    if not address:
        return "unknown"
    if ":" in address and address[:1] != "[":
        address = f"[{address.partition('%')[0]}]"
    return _quoted(address)


def _quoted(text: str) -> str:
    """A token, or a quoted string (RFC 9110 5.6.4)."""
    if _IS_TOKEN(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _port_of(host: str, proto: str) -> int:
    found = _PORT_OF(host)
    return int(found[1]) if found else DEFAULT_PORTS.get(proto, DEFAULT_PORTS["http"])


def _encoded(lines: list[str]) -> bytes:
    """The lines as bytes, none with a line break: the parser has refused those, but nothing here depends on it."""
    block = "\r\n".join(each.translate(_BREAKS) for each in lines) + "\r\n"
    return block.encode("utf-8", "surrogateescape")


_BREAKS: Final = {ord("\r"): None, ord("\n"): None, 0: None}
