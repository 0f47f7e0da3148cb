"""From records to addresses, for any records."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.checks import base_url
from proxy.config.service_schema import DnsSource
from proxy.services.discovery.dns.records import HIGHEST_PRIORITY, SrvRecord, of_hosts, of_services, usable

SRV = DnsSource(srv="_http._tcp.web.example")
HOST = DnsSource(host="web.example", port=8080)

TARGETS = ["", "a.example", "b.example", "c.example"]
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
RECORDS = st.lists(
    st.builds(
        SrvRecord,
        st.integers(0, 65535),
        st.integers(0, 65535),
        st.integers(0, 65535),
        st.sampled_from(TARGETS),
    ),
    max_size=8,
)
HOSTS = st.dictionaries(st.sampled_from(TARGETS[1:]), st.lists(ADDRESSES, max_size=4))


def shown(records: list[SrvRecord], hosts: dict[str, list[str]] | None) -> list[tuple[str, float, int]]:
    return [(each.url, each.weight, each.priority) for each in of_services(records, hosts, SRV)]


def test_priority_weight_and_port_of_each_record() -> None:
    records = [SrvRecord(20, 1, 81, "b.example"), SrvRecord(10, 5, 80, "a.example")]
    hosts = {"a.example": ["192.0.2.1"], "b.example": ["2001:db8::1"]}
    assert shown(records, hosts) == [("http://192.0.2.1:80", 5.0, 10), ("http://[2001:db8::1]:81", 1.0, 20)]


def test_addresses_of_one_target_share_its_weight() -> None:
    hosts = {"a.example": ["192.0.2.2", "192.0.2.1", "192.0.2.2"]}
    records = [SrvRecord(0, 5, 80, "a.example")]
    assert shown(records, hosts) == [("http://192.0.2.1:80", 2.5, 0), ("http://192.0.2.2:80", 2.5, 0)]


def test_weights_that_are_all_zero_are_equal() -> None:
    records = [SrvRecord(0, 0, 80, "a.example"), SrvRecord(0, 0, 80, "b.example")]
    assert [weight for _, weight, _ in shown(records, None)] == [1.0, 1.0]


def test_a_weight_of_zero_beside_others_is_a_small_chance() -> None:
    records = [SrvRecord(0, 0, 80, "a.example"), SrvRecord(0, 50, 80, "b.example"), SrvRecord(1, 0, 80, "c.example")]
    assert [weight for _, weight, _ in shown(records, None)] == [0.5, 50.0, 1.0]


def test_high_priorities_keep_their_order() -> None:
    records = [SrvRecord(priority, 1, 80, target) for priority, target in ((5, "a.example"), (65535, "b.example"))]
    assert [priority for *_, priority in shown(records, None)] == [0, 1]


def test_a_service_that_is_decidedly_not_there_has_no_addresses() -> None:
    assert shown([SrvRecord(0, 0, 0, "")], {}) == []


def test_targets_keep_their_names_where_certificates_are_verified() -> None:
    source = DnsSource(srv="_https._tcp.web.example", scheme="https", path="/base")
    [found] = of_services([SrvRecord(0, 1, 8443, "A.example")], None, source)
    assert found.url == "https://A.example:8443/base"
    source = DnsSource(host="web.example.", port=8443, scheme="https")
    [found] = of_hosts(None, source)
    assert found.url == "https://web.example:8443"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1"])
def test_addresses_that_no_request_can_go_to_are_left_out(address: str) -> None:
    """Resolvers that block names answer with 0.0.0.0, which would be this machine."""
    assert not usable(address)
    assert of_hosts([address], HOST) == []


def test_addresses_of_a_host_are_in_an_order_of_their_own() -> None:
    found = of_hosts(["192.0.2.10", "2001:db8::1", "192.0.2.9"], HOST)
    assert [each.url for each in found] == [
        "http://192.0.2.9:8080",
        "http://192.0.2.10:8080",
        "http://[2001:db8::1]:8080",
    ]


@given(records=RECORDS, hosts=HOSTS)
def test_any_records_give_valid_addresses_in_the_order_of_their_priorities(
    records: list[SrvRecord], hosts: dict[str, list[str]]
) -> None:
    found = of_services(records, hosts, SRV)
    assert len({each.url for each in found}) == len(found)
    known = {address for addresses in hosts.values() for address in addresses}
    for each in found:
        assert base_url(each.url) == each.url
        assert 0 < each.weight <= 1_000_000
        assert 0 <= each.priority <= HIGHEST_PRIORITY
        assert str(ip_address(urlsplit(each.url).hostname or "")) in {str(ip_address(text)) for text in known}
    assert [each.priority for each in found] == sorted(each.priority for each in found)
    expected = {
        (record.port, address)
        for record in records
        if record.port
        for address in hosts.get(record.target, ())
        if usable(address)
    }
    assert len(found) == len(expected)


@given(records=RECORDS, hosts=HOSTS, chance=st.randoms())
def test_the_order_of_an_answer_makes_no_difference(
    records: list[SrvRecord], hosts: dict[str, list[str]], chance: object
) -> None:
    other = [*records]
    chance.shuffle(other)  # type: ignore[attr-defined]
    turned = {name: addresses[::-1] for name, addresses in hosts.items()}
    assert of_services(records, hosts, SRV) == of_services(other, turned, SRV)


@given(records=RECORDS)
def test_shares_within_a_priority_are_those_of_the_records(records: list[SrvRecord]) -> None:
    by_priority: dict[int, list[SrvRecord]] = defaultdict(list)
    for each in {(each.target, each.port): each for each in records if each.target and each.port}.values():
        by_priority[each.priority].append(each)
    distinct = [each for some in by_priority.values() for each in some]
    weights = {urlsplit(each.url): each.weight for each in of_services(distinct, None, SRV)}
    by_place = {(place.hostname, place.port): weight for place, weight in weights.items()}
    for some in by_priority.values():
        weighted = [each for each in some if each.weight]
        for each in weighted:
            assert by_place[each.target, each.port] == each.weight
        lightest = min((each.weight for each in weighted), default=None)
        for each in some:
            if not each.weight:
                assert by_place[each.target, each.port] == (1.0 if lightest is None else lightest / 100)


@given(addresses=st.lists(ADDRESSES, max_size=6), scheme=st.sampled_from(["http", "https"]))
def test_any_host_gives_valid_addresses(addresses: list[str], scheme: Literal["http", "https"]) -> None:
    source = DnsSource(host="web.example", port=443, scheme=scheme, path="/v1")
    found = of_hosts(addresses, source)
    assert len(found) == len({ip_address(each) for each in addresses if usable(each)})
    assert all(base_url(each.url) == each.url and each.url.endswith(":443/v1") for each in found)
