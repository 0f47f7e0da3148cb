"""What Consul answers, as addresses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.service_schema import ConsulSource, ServerAddress
from proxy.services.discovery.consul.instances import PORTION, InstancesUnreadable, read_instances

WEB = ConsulSource(service="web")


def instance(*states: str, node: str = "192.0.2.1", **service: Any) -> dict[str, Any]:
    made = {"ID": "web-1", "Service": "web", "Address": "10.0.0.1", "Port": 8080, "Tags": [], "Meta": None, **service}
    return {"Node": {"Node": "n", "Address": node}, "Service": made, "Checks": [{"Status": each} for each in states]}


def returned(body: bytes, source: ConsulSource) -> tuple[tuple[list[ServerAddress], str], int]:
    """What reading returns, and how many portions there were before the last one."""
    reading, portions = read_instances(body, source), 0
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value, portions
        portions += 1


def read(*instances: dict[str, Any], source: ConsulSource = WEB) -> tuple[list[ServerAddress], str]:
    return returned(json.dumps(instances).encode(), source)[0]


def only(*instances: dict[str, Any], source: ConsulSource = WEB) -> ServerAddress:
    addresses, note = read(*instances, source=source)
    assert note == ""
    (found,) = addresses
    return found


def test_an_instance_is_an_address() -> None:
    assert only(instance("passing", "passing")) == ServerAddress("http://10.0.0.1:8080")


def test_tags_say_more() -> None:
    tags = ["v1", "weight=0.5", "priority=2", "region=eu", "scheme=https", "weight", "other=1"]
    assert only(instance(Tags=tags)) == ServerAddress("https://10.0.0.1:8080", 0.5, 2, "eu")


def test_meta_says_the_same_and_tags_come_first() -> None:
    meta = {"weight": "3", "priority": "1", "region": "us", "scheme": "https", "version": "7"}
    assert only(instance(Meta=meta)) == ServerAddress("https://10.0.0.1:8080", 3.0, 1, "us")
    assert only(instance(Meta=meta, Tags=["weight=5", "region=eu"])).weight == 5
    assert only(instance(Meta=meta, Tags=["weight=5", "region=eu"])).region == "eu"


def test_consuls_own_weights_count_where_no_tag_says_more() -> None:
    weights = {"Passing": 10, "Warning": 2}
    warned = ConsulSource(service="web", passing_only=False)
    assert only(instance("passing", Weights=weights)).weight == 10
    assert only(instance("passing", "warning", Weights=weights), source=warned).weight == 2
    assert only(instance("warning", Weights=weights, Tags=["weight=7"]), source=warned).weight == 7


def test_only_instances_in_the_wanted_state_are_used() -> None:
    every = [instance(state, Port=port) for port, state in enumerate(("passing", "warning", "critical", "odd"), 1)]
    assert [each.url[-2:] for each in read(*every)[0]] == [":1"]
    warned = ConsulSource(service="web", passing_only=False)
    assert [each.url[-2:] for each in read(*every, source=warned)[0]] == [":1", ":2"]


def test_the_address_of_the_node_stands_in() -> None:
    assert only(instance(Address="")).url == "http://192.0.2.1:8080"


def test_ipv6_addresses_get_brackets() -> None:
    assert only(instance(Address="2001:db8::1")).url == "http://[2001:db8::1]:8080"


def test_the_settings_add_scheme_path_and_tags() -> None:
    source = ConsulSource(service="web", scheme="https", path="/v2", tags=["Blue", "v1"])
    found = only(instance(Tags=["v1", "blue", "x"]), instance(Tags=["blue"], Port=2), source=source)
    assert found.url == "https://10.0.0.1:8080/v2"


def test_instances_that_cannot_be_used_are_left_out_and_named() -> None:
    bad = [instance(Port=0, ID="a"), instance(Address="no host/", ID="b"), instance(Port=70000, ID="c")]
    addresses, note = read(instance(), *bad, instance(Port=0, ID="d"))
    assert [each.url for each in addresses] == ["http://10.0.0.1:8080"]
    assert note.startswith("a: has no port; b: ")
    assert note.endswith("and 1 more")


@pytest.mark.parametrize("tag", ["weight=heavy", "weight=-1", "weight=nan", "weight=1e7", "priority=101", "scheme=ftp"])
def test_a_tag_that_cannot_be_read_counts_as_missing(tag: str) -> None:
    addresses, note = read(instance(Tags=[tag]))
    assert addresses == [ServerAddress("http://10.0.0.1:8080")]
    assert note.startswith(f"web-1: {tag}")


def test_addresses_are_unique_and_in_order() -> None:
    addresses, _ = read(instance(Port=2), instance(Port=1), instance(Port=2, Tags=["weight=9"]))
    assert addresses == [ServerAddress("http://10.0.0.1:1"), ServerAddress("http://10.0.0.1:2")]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "Address": st.one_of(st.just(""), st.text(max_size=30), st.ip_addresses().map(str)),
                "Port": st.integers(-1, 70_000),
                "Tags": st.none()
                | st.lists(
                    st.text(max_size=10)
                    | st.builds(
                        "{}={}".format, st.sampled_from(["weight", "priority", "region", "scheme"]), st.text(max_size=8)
                    )
                ),
                "Meta": st.none()
                | st.dictionaries(st.sampled_from(["weight", "priority", "region", "x"]), st.text(max_size=8)),
                "Weights": st.none()
                | st.fixed_dictionaries({"Passing": st.integers(-5, 10**7), "Warning": st.integers(0, 9)}),
            }
        ),
        max_size=5,
    )
)
def test_whatever_instances_say_addresses_are_sound(services: list[dict[str, Any]]) -> None:
    addresses, _ = read(*(instance("passing", **each) for each in services))
    for each in addresses:
        assert 0 <= each.weight <= 1_000_000
        assert 0 <= each.priority <= 100
        assert each.url.startswith(("http://", "https://"))
        assert each.url.isascii()
    assert len({each.url for each in addresses}) == len(addresses)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_answer_are_refused(body: bytes) -> None:
    try:
        (addresses, _), _ = returned(body, WEB)
    except InstancesUnreadable:
        return
    assert addresses == []


def test_members_that_are_unknown_or_null_do_no_harm() -> None:
    finding = {
        "Node": {"Address": "192.0.2.1", "New": 1},
        "Service": {"Port": 1, "Tags": None, "Proxy": {}},
        "Checks": None,
    }
    assert only(finding).url == "http://192.0.2.1:1"


def test_many_instances_are_read_in_portions() -> None:
    body = json.dumps([instance("passing", Port=1 + number) for number in range(2 * PORTION + 1)]).encode()
    (addresses, _), portions = returned(body, WEB)
    assert len(addresses) == 2 * PORTION + 1
    assert portions == 2
