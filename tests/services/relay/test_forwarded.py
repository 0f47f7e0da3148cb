from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.services.relay.forwarded import LONGEST_HOST, ForwardedLines, appended_lines

# RFC 7239 4, with values as RFC 9110 5.6.2 and 5.6.4 write them.
_PAIR = r'[!#$%&\'*+.^_`|~0-9A-Za-z-]+=([!#$%&\'*+.^_`|~0-9A-Za-z-]+|"([^"\\]|\\.)*")'
ELEMENTS = re.compile(rf"{_PAIR}(;{_PAIR})*(, {_PAIR}(;{_PAIR})*)*").fullmatch


class FromProxy:
    """The part of a request that is read."""

    def __init__(self, remote: str, *headers: tuple[str, str], secure: bool = False) -> None:
        self.remote = remote
        self.secure = secure
        self.headers = CIMultiDictProxy(CIMultiDict(headers))


def lines(remote: str, host: str, secure: bool = False) -> list[str]:
    return ForwardedLines()[remote, host, secure].decode("utf-8", "surrogateescape").split("\r\n")[:-1]


def appended(remote: str, host: str, *headers: tuple[str, str], secure: bool = False) -> list[str]:
    return appended_lines(FromProxy(remote, *headers, secure=secure), host).decode().split("\r\n")[:-1]  # type: ignore[arg-type]


def test_the_client_of_a_direct_request_is_its_peer() -> None:
    assert lines("192.0.2.1", "api.example.com:8080") == [
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: api.example.com:8080",
        "X-Forwarded-Port: 8080",
        'Forwarded: for=192.0.2.1;host="api.example.com:8080";proto=http',
    ]


@pytest.mark.parametrize(("secure", "port"), [(False, "80"), (True, "443")])
def test_a_host_without_a_port_has_that_of_its_scheme(secure: bool, port: str) -> None:
    assert f"X-Forwarded-Port: {port}" in lines("192.0.2.1", "example.com", secure)


def test_an_ipv6_address_stands_in_brackets_in_forwarded_only() -> None:
    found = lines("2001:db8::1%eth0", "[2001:db8::2]:80")
    assert found[0] == "X-Forwarded-For: 2001:db8::1%eth0"
    assert found[-1] == 'Forwarded: for="[2001:db8::1]";host="[2001:db8::2]:80";proto=http'


def test_a_peer_without_an_address_is_unknown() -> None:
    assert lines("", "") == ["X-Forwarded-Proto: http", "Forwarded: for=unknown;proto=http"]


def test_a_trusted_proxy_is_appended_to_what_it_says() -> None:
    assert appended(
        "10.0.0.1",
        "gateway:1234",
        ("X-Forwarded-For", "192.0.2.1, 192.0.2.2"),
        ("x-forwarded-for", "192.0.2.3"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "example.com"),
        ("Forwarded", "for=192.0.2.1;secret=x"),
    ) == [
        "X-Forwarded-For: 192.0.2.1, 192.0.2.2, 192.0.2.3, 10.0.0.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: example.com",
        "X-Forwarded-Port: 443",
        'Forwarded: for=192.0.2.1;secret=x, for=10.0.0.1;host="gateway:1234";proto=http',
    ]


def test_elements_are_made_of_addresses_that_only_the_older_header_names() -> None:
    found = appended("10.0.0.1", "g", ("X-Forwarded-For", "192.0.2.1, 2001:db8::1"))
    assert found[-1] == 'Forwarded: for=192.0.2.1, for="[2001:db8::1]", for=10.0.0.1;host=g;proto=http'


def test_a_trusted_proxy_that_says_nothing_is_the_client() -> None:
    assert appended("10.0.0.1", "g:1") == lines("10.0.0.1", "g:1")


@given(st.text(max_size=300), st.booleans())
def test_no_host_breaks_out_of_its_line(host: str, secure: bool) -> None:
    block = ForwardedLines().compute(("192.0.2.1", host, secure))
    assert len(re.split(rb"\r\n|\r|\n", block)) == len(lines("192.0.2.1", "x" if host else "")) + 1
    assert b"\0" not in block


@given(
    st.from_regex(r"[ -~]{1,40}", fullmatch=True), st.lists(st.from_regex(r"[ -~]{0,40}", fullmatch=True), max_size=3)
)
def test_forwarded_is_well_formed_whatever_came(host: str, before: list[str]) -> None:
    found = appended("10.0.0.1", host, *(("X-Forwarded-For", each) for each in before))
    assert ELEMENTS(found[-1].removeprefix("Forwarded: "))


def test_hosts_that_are_too_long_are_not_remembered() -> None:
    memo = ForwardedLines()
    assert memo["192.0.2.1", "x" * (LONGEST_HOST + 1), False]
    assert memo["192.0.2.1", "x", False]
    assert len(memo) == 1
