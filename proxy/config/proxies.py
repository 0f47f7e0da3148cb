"""Forward proxies from the environment.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` work as in curl and requests. Where these two differ,
docstrings say which one is followed. Everything that connects by HTTP uses this module.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from yarl import URL

from proxy.errors import ConfigError

PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
"""Names of the variables, in lower case."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TOLD = ("the scheme", "no host", "a host")  # complaints of ours, which do not quote the URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def ascii_host(host: str) -> str:
    """A host as on the wire: lower case, IDNA, IPv6 without brackets. Raises ``ValueError``."""
    encoded = URL.build(scheme="http", host=host.strip("[]").replace("%25", "%", 1)).raw_host or ""
    if "%" in encoded and ":" not in encoded:  # an IPv6 zone, or bytes that no name holds
        raise ValueError("a host name must not hold percent escapes")
    return encoded


def authority(host: str, port: int) -> str:
    """``host:port`` as in a request line: IPv6 in brackets, without its zone (RFC 6874)."""
    bare = host.partition("%")[0]
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


class Proxy(Struct, frozen=True):
    """A forward proxy; ``userinfo`` is percent-encoded, ``""`` without credentials."""

    secure: bool
    host: str
    port: int
    userinfo: str = ""

    def __repr__(self) -> str:
        return f"<Proxy {'https' if self.secure else 'http'}://{authority(self.host, self.port)}>"

    @property
    def url(self) -> str:
        """The URL with credentials, for libraries that connect themselves."""
        user = f"{self.userinfo}@" if self.userinfo else ""
        return f"{'https' if self.secure else 'http'}://{user}{authority(self.host, self.port)}"

    @property
    def authorization(self) -> str:
        """The whole header line (RFC 7617); ``""`` without credentials."""
        if not self.userinfo:
            return ""
        user, _, password = self.userinfo.partition(":")
        pair = f"{unquote(user)}:{unquote(password)}"
        return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"

    @staticmethod
    def parse(url: str) -> Proxy:
        """Parse a proxy URL; without a scheme it is ``http://``, as in both.

        Without a port, the scheme's default port is used (as in requests; curl uses 1080). Raises ``ValueError``.
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
            parts.netloc.rpartition("@")[0],
        )


class Exemptions:
    """``NO_PROXY``: entries separated by commas or spaces, compared without case.

    ``*`` exempts everything. ``example.com`` and ``.example.com`` exempt that name and all below it (as in curl; in
    requests the second does not match the name itself). An address or a CIDR block exempts only hosts that are
    addresses, as nothing is resolved. ``entry:port`` exempts only that port. Other entries match nothing.
    """

    def __init__(self, text: str) -> None:
        self.everything = False
        self._networks: list[tuple[Network, int | None]] = []
        self._names: list[tuple[str, int | None]] = []
        for entry in text.replace(",", " ").split():
            self._add(entry)

    def _add(self, entry: str) -> None:
        if entry == "*":
            self.everything = True
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
        """Whether ``host`` (from ``ascii_host``) is reached without a proxy."""
        if self.everything:
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
    """The proxies of an environment, parsed once. Lower-case names of variables take precedence, as in both.

    Loopback is never reached through a proxy, as in Go's ``net/http``: it would be the proxy's own.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._exempt = Exemptions(_value(environ, "NO_PROXY")[1])
        self._by_scheme: dict[str, Proxy | ConfigError | None] = {}
        for scheme in () if self._exempt.everything else _DEFAULT_PORTS:
            name, url = _value(environ, f"{scheme.upper()}_PROXY")
            if name not in environ:
                name, url = _value(environ, "ALL_PROXY")
            self._by_scheme[scheme] = _parsed(name, url)

    def choose(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for an origin with a host from ``ascii_host``; ``None``: connect directly.

        Raises ``ConfigError`` for an unusable proxy URL. Its text does not repeat the URL,
        which may contain a password.
        """
        proxy = self._by_scheme.get(scheme)
        if proxy is None or is_loopback(host) or self._exempt.cover(host, port):
            return None
        if isinstance(proxy, ConfigError):
            raise proxy
        return proxy


def proxy_url(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL for an absolute http or https ``url``, with credentials; ``None``: connect directly.

    Raises ``ConfigError`` as ``Proxies.choose`` does.
    """
    there = URL(url, encoded=True)
    host = there.raw_host or ""
    proxy = Proxies(environ).choose(there.scheme, host, there.port or 0) if host else None
    return None if proxy is None else proxy.url


def unusable(urls: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """Mistakes in proxy variables that requests to ``urls`` would run into."""
    found: dict[str, None] = {}
    for url in urls:
        try:
            proxy_url(url, environ)
        except ConfigError as error:
            found |= dict.fromkeys(error.mistakes)
    return list(found)


def is_loopback(host: str) -> bool:
    """Whether a host from ``ascii_host`` is this machine, independent of the resolver (RFC 6761, section 6.3)."""
    name = host.removesuffix(".")
    address = _address(name)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return name == "localhost" or name.endswith(".localhost")


def _value(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The name of the variable that applies, and its value."""
    name = name.lower() if name.lower() in environ else name
    return name, environ.get(name, "").strip()


def _parsed(name: str, url: str) -> Proxy | ConfigError | None:
    try:
        return Proxy.parse(url) if url else None
    except ValueError as wrong:
        reason = str(wrong) if str(wrong).startswith(_TOLD) else "not a URL"
        if name.upper() == "ALL_PROXY":
            reason += "; HTTPS_PROXY and HTTP_PROXY come before it, and NO_PROXY=* switches proxies off"
        return ConfigError([f"environment: {name}: {reason}"])
