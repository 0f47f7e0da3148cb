"""Which IP addresses are public: a client may make the gateway connect to no other.

Sources: the special-purpose registries of IANA (iana-ipv4-special-registry, iana-ipv6-special-registry; RFC 6890),
iana-ipv6-unicast-address-assignments. ``ipaddress.is_global`` is not enough: it passes multicast, 6to4, ISATAP and
NAT64, which lead to private IPv4 addresses, and its tables differ between versions of Python.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_SPECIAL_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network: Linux takes 0.0.0.0 for loopback
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared with a carrier; metadata of Alibaba Cloud
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's host of a virtual machine, which trusts it. The address itself is public
            "169.254.0.0/16",  # link-local: metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments; metadata of Oracle Cloud
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4, deprecated
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
# All that is allocated as global unicast. Outside are loopback, link-local, unique local (fd00:ec2::254 is metadata of
# AWS), mapped and compatible IPv4, site-local, multicast, the local NAT64 prefix of RFC 8215.
_UNICAST: Final = IPv6Network("2000::/3")
_SPECIAL_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, which carries IPv4, ORCHID, benchmarks
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which carries IPv4
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address
_ISATAP: Final = frozenset((0x0000_5EFE, 0x0200_5EFE))  # RFC 5214 6.1: begin the half that ends with an IPv4 address


def is_public(address: str) -> bool:
    """Whether an IP address, as the system's resolver writes it, is one of a host on the public internet.

    What is no address is not public, and neither is one with a zone. A NAT64 prefix of a network's own cannot be told
    from other addresses.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_public_4(parsed) if isinstance(parsed, IPv4Address) else _is_public_6(parsed)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in _SPECIAL_4)


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    number = int(address)
    last = IPv4Address(number & 0xFFFF_FFFF)
    if address in _NAT64:  # networks without IPv4 reach all of it this way
        return _is_public_4(last)
    if address not in _UNICAST or any(address in network for network in _SPECIAL_6):
        return False
    return number >> 32 & 0xFFFF_FFFF not in _ISATAP or _is_public_4(last)
