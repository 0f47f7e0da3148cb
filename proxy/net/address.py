"""The address of a client: the peer of the connection, or the one that a trusted proxy names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from multidict import MultiMapping

Address = IPv4Address | IPv6Address

UNIX = "unix"  # in server.trustedProxies, and as the key of clients without an address
REMEMBERED = 4096

_TRANSLATED = IPv6Network("64:ff9b::/96")

# What proxies write: an address alone, or with a port, where one of version 6 stands in brackets.
# No longer than an address can be, as what was parsed is remembered.
_ENTRY = re.compile(
    r"(?P<four>[0-9.]{7,15})(?::\d{1,5})?|\[(?P<six>[0-9A-Fa-f.:]{2,45})\](?::\d{1,5})?|(?P<plain>[0-9A-Fa-f.:]{2,45})"
)


class TrustedProxies:
    """``server.trustedProxies``: proxies whose ``X-Forwarded-For`` is used."""

    __slots__ = ("_networks", "_unix")

    def __init__(self, names: Iterable[str] = ()) -> None:
        """``names`` are addresses, networks, or ``unix``. Raises ``ValueError`` for anything else."""
        named = set(names)
        self._unix = UNIX in named
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(name, strict=False) for name in sorted(named - {UNIX})
        )

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def trusts(self, address: str) -> bool:
        """``""`` is the peer on a unix socket."""
        if not address:
            return self._unix
        found = parsed(address)
        return found is not None and any(found in network for network in self._networks)


def peer_of(headers: MultiMapping[str], remote: str, trusted: TrustedProxies) -> str:
    """The client's address: ``remote``, or the one that a trusted proxy names in ``X-Forwarded-For``.

    Each proxy appends its peer, so the list is read from its end while it leads from one trusted proxy to the next.
    Entries before the first other address cannot be trusted. An entry that is no address ends the search at the proxy
    that sent it.
    """
    if not trusted:
        return remote
    here = remote
    for entry in reversed(",".join(headers.getall("X-Forwarded-For", ())).split(",")):
        if not trusted.trusts(here):
            break
        found = _entry(entry)
        if found is None:
            break
        here = str(found)
    return here


def key_of(address: str) -> str:
    """The key of a client's limits: its address, and for IPv6 its /64 network.

    An IPv6 client has a /64 at least (RFC 6177), which is more addresses than there can be buckets. An IPv4 client
    behind a translator (64:ff9b::/96, RFC 6052) counts by its own address.
    """
    if ":" not in address:
        return address or UNIX
    return _network_of(address)


@lru_cache(REMEMBERED)
def parsed(text: str) -> Address | None:
    """An address without its zone, IPv4 within IPv6 as IPv4 (RFC 4291, section 2.5.5.2); ``None`` for what is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(REMEMBERED)
def _network_of(text: str) -> str:
    address = parsed(text)
    if address is None:
        return text
    # All neighbours on a link share fe80::/64, and this machine has ::1 alone.
    if isinstance(address, IPv4Address) or address.is_link_local or address.is_loopback:
        return str(address)
    if address in _TRANSLATED:
        return str(IPv4Address(int(address) & 0xFFFFFFFF))
    return str(IPv6Network((address, 64), strict=False))


def _entry(text: str) -> Address | None:
    found = _ENTRY.fullmatch(text.strip(" \t"))
    return None if found is None else parsed(found["four"] or found["six"] or found["plain"])
