"""The forward proxy between us and a provider: which one, for whom not, and its CONNECT handshake.

``HTTPS_PROXY`` and ``NO_PROXY`` are read as curl and requests read them; where these two differ, the
docstrings tell which one is followed. CONNECT is RFC 9110 section 9.3.6.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from yarl import URL

from proxy.errors import ConfigError

HEAD_LIMIT = 16 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ACCEPTED = re.compile(rb"HTTP/1\.[01] 2\d\d(?: |$)")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def ascii_host(host: str) -> str:
    """A host as it goes on the wire: lower case, IDNA, IPv6 without brackets. Raises ``ValueError``."""
    encoded = URL.build(scheme="http", host=host.strip("[]").replace("%25", "%", 1)).raw_host or ""
    if "%" in encoded and ":" not in encoded:  # an IPv6 zone, or bytes that no name holds
        raise ValueError("a host name must not hold percent escapes")
    return encoded


def authority(host: str, port: int) -> str:
    """``host:port`` as in a request line: IPv6 in brackets, without its zone (RFC 6874)."""
    bare = host.partition("%")[0]
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


class Proxy(Struct, frozen=True):
    """A forward proxy; ``authorization`` is the whole header line, ``""`` if none is to be sent."""

    secure: bool
    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"<Proxy {'https' if self.secure else 'http'}://{authority(self.host, self.port)}>"

    @staticmethod
    def parse(url: str) -> Proxy:
        """From a proxy URL; one without a scheme is ``http://``, as for both.

        Without a port it is the scheme's (requests; curl takes 1080). Raises ``ValueError``.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"the scheme {parts.scheme}:// is not supported, only http:// and https://")
        host, port = ascii_host(parts.hostname or ""), parts.port
        if not host or port == 0:
            raise ValueError("no host, or no usable port")
        return Proxy(
            parts.scheme == "https",
            host,
            _DEFAULT_PORTS[parts.scheme] if port is None else port,
            _basic(parts.username, parts.password),
        )


def _basic(user: str | None, password: str | None) -> str:
    """RFC 7617 credentials from the percent-encoded userinfo of a URL."""
    if user is None and password is None:
        return ""
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


class Exemptions:
    """``NO_PROXY``: entries parted by commas or blanks, compared without regard to case.

    ``*`` exempts everything; ``example.com`` and ``.example.com`` that name and all below it (curl; requests
    would not take the second for the name itself); an address or a CIDR block only hosts that are
    addresses, as nothing is resolved for it; ``entry:port`` only that port. Loopback is not exempt
    unless listed. An entry that is none of these matches nothing.
    """

    def __init__(self, text: str) -> None:
        self._everything = False
        self._networks: list[tuple[Network, int | None]] = []
        self._names: list[tuple[str, int | None]] = []
        for entry in text.replace(",", " ").split():
            self._add(entry)

    def _add(self, entry: str) -> None:
        if entry == "*":
            self._everything = True
            return
        host, port = _split_port(entry)
        if (network := _network(host)) is not None:
            self._networks.append((network, port))
            return
        try:
            name = ascii_host(host.removeprefix("*").strip("."))
        except ValueError:
            return
        if name:
            self._names.append((name, port))

    def cover(self, host: str, port: int) -> bool:
        """Whether ``host`` (as ``ascii_host`` gives it) is to be reached without the proxy."""
        if self._everything:
            return True
        host = host.removesuffix(".")
        if (address := _address(host)) is not None:
            return any(address in network and only in (None, port) for network, only in self._networks)
        return any((host == name or host.endswith(f".{name}")) and only in (None, port) for name, only in self._names)


def _split_port(entry: str) -> tuple[str, int | None]:
    # More than one colon and no bracket: a bare IPv6 address or block.
    head, colon, tail = entry.rpartition(":")
    if colon and tail.isdecimal() and (":" not in head or head.endswith("]")):
        return head, int(tail)
    return entry, None


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Proxies:
    """The environment's choice, made once: its two variables, the lower-case name first, as both do."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raises ``ConfigError`` for an unusable proxy URL, without repeating it: it may hold a password."""
        name = "https_proxy" if "https_proxy" in environ else "HTTPS_PROXY"
        url = environ.get(name, "").strip()
        try:
            self._proxy = Proxy.parse(url) if url else None
        except ValueError as wrong:
            # ``from None``: the cause may quote the URL.
            reason = str(wrong) if str(wrong).startswith(("the scheme", "no host", "a host")) else "not a URL"
            raise ConfigError([f"environment variable {name}: {reason}"]) from None
        self._exempt = Exemptions(environ.get("no_proxy", environ.get("NO_PROXY", "")))

    def choose(self, host: str, port: int) -> Proxy | None:
        """The proxy for an https origin; ``None``: go there directly."""
        if self._proxy is None or self._exempt.cover(host, port):
            return None
        return self._proxy


class Tunnel(asyncio.Protocol):
    """Our side of CONNECT, up to the end of the proxy's answer."""

    def __init__(self) -> None:
        self._fault = ""
        self._head = bytearray()
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def establish(self, transport: asyncio.Transport, target: str, authorization: str) -> None:
        """Ask for ``target`` (host:port); ``ConnectionError`` unless the answer is a 2xx head alone."""
        request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"
        transport.write(request.encode("ascii"))
        await self._answered
        if self._fault:
            raise ConnectionError(self._fault)

    def data_received(self, data: bytes) -> None:
        if self._answered.done():
            self._settle("bytes follow the answer to CONNECT")
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end > HEAD_LIMIT or (end < 0 and len(self._head) > HEAD_LIMIT):
            self._settle(f"the answer to CONNECT has a head over {HEAD_LIMIT} bytes")
        elif end >= 0:
            self._settle(_verdict(bytes(self._head), end))
        elif not b"HTTP/1.".startswith(self._head[:7]):
            # Not HTTP at all: waiting for the end of its head would only run the clock down.
            self._settle(f"the answer to CONNECT is {bytes(self._head[:40])!r}")

    def eof_received(self) -> None:
        self._settle("the connection was closed early")

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(f"the connection was lost: {exc!r}" if exc else "the connection was closed early")

    def _settle(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._head.clear()
        if not self._answered.done():
            self._answered.set_result(None)


def _verdict(head: bytes, end: int) -> str:
    status_line = head.partition(b"\r\n")[0]
    if not _ACCEPTED.match(status_line):
        return f"the answer to CONNECT is {status_line[:100]!r}"
    if len(head) > end + 4:
        return "bytes follow the answer to CONNECT"
    return ""
