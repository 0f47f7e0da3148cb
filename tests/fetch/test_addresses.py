from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import example, given
from hypothesis.strategies import ip_addresses

from proxy.fetch.addresses import is_public

NAT64 = IPv6Network("64:ff9b::/96")  # public where the address within is
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
    *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8"),
    *("::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1"),
    *("2001:0:7f00:1::", "2001:2::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1"),
    *("2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
    *("fe80::1%lo", "2606:4700::1111%1", "fec0::1", "ff02::1", "ff0e::1"),
    *("", "localhost", "example.com", "127.1", "0x7f000001", "2130706433", "017700000001", "127.0.0.1:80", "[::1]"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *("128.0.0.0", "168.63.129.15", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "223.255.255.255"),
    *("2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "64:ff9b::8.8.8.8"),
    *("2606:4700::5efe:808:808",),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address(address: str) -> None:
    assert is_public(address)


@given(ip_addresses())
@example(ip_address("198.51.100.1"))
@example(ip_address("fd00::1"))
def test_what_pythons_table_calls_private_is_never_public(address: IPv4Address | IPv6Address) -> None:
    special = (
        *(address.is_private, address.is_loopback, address.is_link_local, address.is_multicast),
        *(address.is_reserved, address.is_unspecified, not address.is_global),
    )
    if any(special) and address not in NAT64:
        assert not is_public(str(address))


@given(ip_addresses(v=4))
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("8.8.8.8"))
def test_an_ipv4_address_within_an_ipv6_one_is_judged(address: IPv4Address) -> None:
    inner, public = int(address), is_public(str(address))
    assert is_public(str(IPv6Address(int(IPv6Address("64:ff9b::")) | inner))) == public
    assert is_public(str(IPv6Address(int(IPv6Address("2606:4700::5efe:0:0")) | inner))) == public
    for prefix in ("::ffff:0:0", "::", "::ffff:0:0:0", "64:ff9b:1::"):
        assert not is_public(str(IPv6Address(int(IPv6Address(prefix)) | inner)))
    assert not is_public(str(IPv6Address(0x2002 << 112 | inner << 80)))
