"""Checks of where services are found."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.discovery_checks import is_dns_name, split_dns_server
from proxy.config.service_schema import DnsSource
from proxy.errors import ConfigError
from proxy.services.specs import read_service


@pytest.mark.parametrize(
    "text", ["_http._tcp.web.example", "web", "web.example.", "a1-b.example", "x" * 63 + ".example"]
)
def test_names(text: str) -> None:
    assert is_dns_name(text)


@pytest.mark.parametrize("text", ["", ".", "a b", "-a", "a..b", "x" * 64, "a/b", "é", "a:80", ".a", "a." * 130])
def test_what_is_no_name(text: str) -> None:
    assert not is_dns_name(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:8600", ("2001:db8::1", 8600)),
        ("consul.example:8600", ("consul.example", 8600)),
    ],
)
def test_servers(text: str, place: tuple[str, int]) -> None:
    assert split_dns_server(text) == place


@pytest.mark.parametrize("text", ["a:b", "a:0", "a:99999", "http://a", "a/b", "u@a", "[::1", "a?b"])
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ValueError, match="expected a host, or host:port"):
        split_dns_server(text)


@pytest.mark.parametrize(
    ("dns", "mistake"),
    [
        ({}, "dns.srv: is missing, and so is host: one of them is needed"),
        ({"srv": "_a._tcp.b", "host": "b", "port": 80}, "dns.host: only one of srv and host may be set"),
        ({"host": "b"}, "dns.port: is missing: the addresses of a host need it"),
        ({"srv": "_a._tcp.b", "port": 80}, "dns.port: has no effect: SRV records have ports"),
        ({"srv": "a b"}, "dns.srv: is not a name in DNS"),
        ({"host": "http://b", "port": 80}, "dns.host: is not a name in DNS"),
    ],
)
def test_mistakes_of_a_source(dns: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_service({"dns": dns})
    assert mistake in caught.value.mistakes


def test_sources_without_mistakes() -> None:
    assert read_service({"dns": {"srv": "_a._tcp.b"}}).dns == DnsSource(srv="_a._tcp.b")
    assert read_service({"dns": {"host": "b", "port": 80}}).dns == DnsSource(host="b", port=80)
