"""Whose address counts, and which addresses are one client's."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.net.address import TrustedProxies, key_of, parsed, peer_of

TRUSTED = TrustedProxies(["10.0.0.0/8", "192.0.2.7", "2001:db8:ffff::/48"])

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


def peer(remote: str, *lines: str, trusted: TrustedProxies = TRUSTED) -> str:
    return peer_of(CIMultiDict([("x-forwarded-for", line) for line in lines]), remote, trusted)


def test_x_forwarded_for_is_ignored_without_trusted_proxies() -> None:
    assert peer("10.0.0.1", "203.0.113.9", trusted=TrustedProxies()) == "10.0.0.1"
    assert peer("", "203.0.113.9", trusted=TrustedProxies()) == ""


def test_x_forwarded_for_of_an_untrusted_peer_is_ignored() -> None:
    assert peer("203.0.113.1", "198.51.100.1") == "203.0.113.1"


def test_x_forwarded_for_of_a_trusted_proxy_is_used() -> None:
    assert peer("10.1.2.3", "203.0.113.9") == "203.0.113.9"


def test_entries_that_the_client_wrote_are_ignored() -> None:
    assert peer("10.1.2.3", "127.0.0.1, 10.9.9.9, 203.0.113.9") == "203.0.113.9"
    assert peer("10.1.2.3", "1.1.1.1", "203.0.113.9") == "203.0.113.9"


def test_a_chain_of_trusted_proxies_leads_to_the_client() -> None:
    assert peer("10.1.2.3", "203.0.113.9, 192.0.2.7, 2001:db8:ffff::1,10.0.0.9") == "203.0.113.9"
    assert peer("10.1.2.3", "203.0.113.9, 192.0.2.7", "10.0.0.9") == "203.0.113.9"


def test_a_chain_of_trusted_proxies_alone_ends_at_the_first_of_them() -> None:
    assert peer("10.1.2.3", "10.0.0.5, 10.0.0.6") == "10.0.0.5"


def test_a_trusted_proxy_without_x_forwarded_for_is_the_client() -> None:
    assert peer("10.1.2.3") == "10.1.2.3"
    assert peer("10.1.2.3", "") == "10.1.2.3"


@pytest.mark.parametrize(
    "garbage",
    ["unknown", "_hidden", "203.0.113.256", "203.0.113", "0x7f.1", "1.2.3.4:99999999", "[::1", "::1]:80", "1.2.3.4/8", "fe80::1%eth0", "１.2.3.4", "1.2.3.4\x00", "\udcff"],
)  # fmt: skip
def test_an_invalid_entry_ends_the_search_at_the_last_valid_address(garbage: str) -> None:
    assert peer("10.1.2.3", garbage) == "10.1.2.3"
    assert peer("10.1.2.3", f"203.0.113.9, {garbage}, 192.0.2.7") == "192.0.2.7"
    assert peer("10.1.2.3", f"203.0.113.9, {garbage}, ") == "10.1.2.3"


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8:0::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("\t203.0.113.9 ", "203.0.113.9"),
    ],
)
def test_addresses_are_read_in_all_the_ways_that_proxies_write_them(entry: str, address: str) -> None:
    assert peer("10.1.2.3", entry) == address


def test_a_peer_on_a_unix_socket_is_trusted_only_if_that_is_configured() -> None:
    assert peer("", "203.0.113.9") == ""
    assert peer("", "203.0.113.9", trusted=TrustedProxies(["unix"])) == "203.0.113.9"
    assert peer("10.0.0.1", "203.0.113.9", trusted=TrustedProxies(["unix"])) == "10.0.0.1"


def test_an_ipv4_peer_of_a_dual_stack_socket_is_trusted_as_such() -> None:
    assert peer("::ffff:10.1.2.3", "203.0.113.9") == "203.0.113.9"


def test_networks_may_have_host_bits_and_other_names_are_refused() -> None:
    assert TrustedProxies(["10.1.2.3/8"]).trusts("10.9.9.9")
    assert not TrustedProxies()
    with pytest.raises(ValueError):
        TrustedProxies(["proxy.example.org"])


@given(addresses, st.lists(st.one_of(addresses, st.text(max_size=12)), max_size=6))
def test_any_header_gives_the_peer_or_an_address(remote: str, entries: list[str]) -> None:
    found = peer(remote, *entries)
    assert found == remote or parsed(found) is not None
    if not TRUSTED.trusts(remote):
        assert found == remote


@given(st.lists(st.text(), max_size=4), st.ip_addresses(v=4, network="203.0.113.0/24").map(str))
def test_no_client_behind_a_trusted_proxy_chooses_its_own_address(written: list[str], real: str) -> None:
    assert peer("10.1.2.3", *written, real) == real


@given(st.ip_addresses(v=6, network="2001:db8::/32"), st.integers(0, 2**64 - 1))
def test_all_addresses_of_a_64_are_one_client(address: IPv6Address, suffix: int) -> None:
    neighbour = IPv6Address(int(address) >> 64 << 64 | suffix)
    assert key_of(str(address)) == key_of(str(neighbour)) == key_of(address.exploded)
    assert key_of(str(address)).endswith("/64")
    assert key_of(str(address)) != key_of(str(IPv6Address(int(address) ^ 1 << 64)))


@given(st.ip_addresses(v=4))
def test_ipv4_clients_have_a_key_per_address_in_every_spelling(address: IPv4Address) -> None:
    assert key_of(str(address)) == key_of(f"::ffff:{address}") == str(address)


@given(st.ip_addresses(v=4))
def test_ipv4_clients_behind_a_translator_have_a_key_per_address(address: IPv4Address) -> None:
    assert key_of(str(IPv6Address(int(IPv6Address("64:ff9b::")) | int(address)))) == str(address)


def test_link_local_addresses_have_a_key_each() -> None:
    assert key_of("fe80::1%eth0") == "fe80::1" != key_of("fe80::2%eth0")
    assert key_of("::1") == "::1"


def test_unix_socket_clients_share_a_key_and_other_names_have_their_own() -> None:
    assert key_of("") == "unix"
    assert key_of("no:address") == "no:address"
