"""Files in every shape that they may have, and what is wrong with others."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ConfigError
from proxy.services.discovery.file.parsing import FoundServices, missing, parse

A, B = "http://10.0.0.1:8080", "http://10.0.0.2:8080"


def urls(text: str) -> dict[str, list[str]]:
    return {name: [each.url for each in addresses] for name, addresses in parse(text.encode(), "consul.yml").items()}


def whole(text: str) -> list[tuple[str, float, int, str]]:
    """Of the service ``web``."""
    found = parse(text.encode(), "consul.yml")["web"]
    return [(each.url, each.weight, each.priority, each.region) for each in found]


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), "consul.yml")
    return caught.value.mistakes


@pytest.mark.parametrize(
    "text",
    [
        "web: [http://10.0.0.1:8080, http://10.0.0.2:8080]",
        "web: ['10.0.0.1:8080', '10.0.0.2:8080/']",
        "web: [{host: 10.0.0.1, port: 8080}, {address: 10.0.0.2, port: 8080}]",
        "web: [{url: http://10.0.0.1:8080}, {ip: 10.0.0.2, port: '8080'}]",
        "web: {addresses: [http://10.0.0.1:8080, http://10.0.0.2:8080]}",
        "web: {instances: [{host: 10.0.0.1, port: 8080}, {host: 10.0.0.2, port: 8080}]}",
        "services: {web: [http://10.0.0.1:8080, http://10.0.0.2:8080]}",
        "services: {web: {servers: [http://10.0.0.1:8080, http://10.0.0.2:8080]}}",
        "services: [{name: web, address: 10.0.0.1, port: 8080}, {name: web, host: 10.0.0.2, port: 8080}]",
        "services: [{name: web, addresses: [http://10.0.0.1:8080, http://10.0.0.2:8080]}]",
        "services: [{Name: web, Address: 10.0.0.1, Port: 8080}, {service: web, url: http://10.0.0.2:8080}]",
        "service: {name: web, addresses: [http://10.0.0.1:8080, http://10.0.0.2:8080]}",
        "service: [{name: web, address: 10.0.0.1, port: 8080}, {name: web, address: 10.0.0.2, port: 8080}]",
    ],
)
def test_shapes_of_a_file(text: str) -> None:
    assert urls(text) == {"web": [A, B]}


def test_consul_s_own_definition() -> None:
    """As developer.hashicorp.com/consul/docs/reference/service has it."""
    text = """
    service:
      id: web-1
      name: web
      address: 10.0.0.1
      port: 8080
      tags: [primary, v1, weight=2]
      meta: {region: eu, version: '4'}
      enable_tag_override: false
      check: {http: 'http://10.0.0.1:8080/health', interval: 10s, timeout: 1s}
      checks:
        - {id: mem, args: [/bin/check_mem], interval: 5s}
      weights: {passing: 5, warning: 1}
      kind: ''
    """
    assert whole(text) == [("http://10.0.0.1:8080", 5.0, 0, "eu")]


def test_consul_s_definitions_as_json_beside_settings_of_the_agent() -> None:
    services = [
        {"id": "red0", "name": "redis", "tags": ["primary"], "address": "", "port": 6000},
        {"id": "red1", "name": "redis", "tags": ["delayed", "secondary"], "address": "10.0.0.1", "port": 7000},
    ]
    text = json.dumps({"datacenter": "dc1", "server": True, "ports": {"dns": 8600}, "services": services})
    assert urls(text) == {"redis": ["http://127.0.0.1:6000", "http://10.0.0.1:7000"]}


def test_addresses_without_a_name() -> None:
    assert urls("addresses: [http://10.0.0.1:8080, {url: http://10.0.0.2:8080}]") == {"": [A, B]}


def test_several_services() -> None:
    assert urls("web: http://10.0.0.1:8080\napi:\n  host: 10.0.0.2\n  port: 8080\nempty:\n") == {"web": [A], "api": [B]}


def test_weight_priority_region_scheme_and_path() -> None:
    text = "web: [{host: a, port: 1, weight: 0.5, priority: 2, region: eu, scheme: https, path: /base}, b]"
    assert whole(text) == [("https://a:1/base", 0.5, 2, "eu"), ("http://b", 1.0, 0, "")]


@pytest.mark.parametrize(
    "given",
    [
        "weight: 3, priority: 1, region: eu, scheme: https",
        "tags: [weight=3, priority=1, region=eu, scheme=https, other, x=y]",
        "tags: 'weight=3, priority=1, region=eu, scheme=https'",
        "meta: {weight: '3', priority: '1', region: eu, scheme: https, version: 4}",
        "Weights: {Passing: 3, Warning: 1}, priority: 1, region: eu, scheme: https",
        "tags: [weight=9, region=us], meta: {weight: '3', priority: '1', region: eu}, scheme: https",
    ],
)
def test_settings_by_keys_meta_and_tags(given: str) -> None:
    assert whole(f"web: {{host: a, port: 1, {given}}}") == [("https://a:1", 3.0, 1, "eu")]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("web: '[::1]:80'", "http://[::1]:80"),
        ("web: '2001:db8::1'", "http://[2001:db8::1]"),
        ("web: {host: '2001:db8::1', port: 80}", "http://[2001:db8::1]:80"),
        ("web: {host: 'a:81'}", "http://a:81"),
        ("web: {port: 8080}", "http://127.0.0.1:8080"),
    ],
)
def test_hosts_in_other_forms(text: str, url: str) -> None:
    assert urls(text) == {"web": [url]}


def test_an_address_twice_is_one() -> None:
    assert whole("web: [{url: http://a, weight: 2}, http://a/]") == [("http://a", 2.0, 0, "")]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("web: 5", "web: expected an address such as http://10.0.0.1:8080, got a number"),
        ("web: [http://a, [http://b]]", "web[1]: expected an address such as http://10.0.0.1:8080, got a list"),
        ("web: [{weight: 2}]", "web[0]: has no address: set url, or address and port"),
        ("web: [{host: a, port: 70000}]", "web[0].port: expected a port from 1 to 65535"),
        ("web: [{host: a, port: true}]", "web[0].port: expected a port from 1 to 65535"),
        ("web: [{host: 5, port: 80}]", "web[0].host: expected text, got a number"),
        ("web: [{host: a, url: http://b}]", "web[0]: only one of url and host may be set"),
        ("web: [{url: http://a, port: 80}]", "web[0].url: is a URL, so that the port belongs into it"),
        ("web: [ftp://a]", "web[0]: expected a URL that begins with http:// or https://"),
        (
            "web: [http://user:secret@a]",
            "web[0]: must not contain a user or password; put credentials into apiKey or headers",
        ),
        ("web: [{host: a, wieght: 2}]", 'web[0]: unknown key "wieght"; did you mean "weight"?'),
        ("web: [{host: a, weight: -1}]", "web[0].weight: expected a number from 0 to 1000000"),
        ("web: [{host: a, weight: heavy}]", "web[0].weight: expected a number from 0 to 1000000"),
        ("web: [{host: a, weight: .nan}]", "web[0].weight: expected a number from 0 to 1000000"),
        ("web: [{host: a, priority: 1.5}]", "web[0].priority: expected a whole number"),
        ("web: [{host: a, priority: 101}]", "web[0].priority: expected a number from 0 to 100"),
        ("web: [{host: a, region: 5}]", "web[0].region: expected text, got a number"),
        ("web: [{host: a, scheme: ftp}]", 'web[0].scheme: expected "http" or "https"'),
        ("web: [{host: a, path: x}]", "web[0].path: expected a path that begins with a slash"),
        ("web: [{host: a, tags: [5]}]", "web[0].tags: expected a list of texts"),
        ("web: [{host: a, tags: [weight=x]}]", "web[0].tags: expected a number from 0 to 1000000"),
        ("web: [{host: a, meta: [x]}]", "web[0].meta: expected a mapping, got a list"),
        ("web: [{host: a, weights: 5}]", "web[0].weights: expected a mapping, got a number"),
        ("services: [http://a]", "services[0]: expected a mapping with a name, got text"),
        ("services: [{address: a, port: 80}]", "services[0].name: is missing"),
        ("services: [{name: 5, port: 80}]", "services[0].name: expected text"),
        ("service: {name: web}", "service: has no address: set url, or address and port"),
        ("services: 5", "services: expected a mapping with a name, got a number"),
        ("5: [http://a]", "5: expected text as the name of a service; put it in quotes"),
        ("- http://a", "expected a mapping (key: value) at the top"),
        ("web: [http://a\n", "line 2, column 1: did not find expected ',' or ']'"),
        ("web: [http://a]\nweb: [http://b]", 'line 2: duplicate key "web" (first on line 1)'),
    ],
)
def test_mistakes_name_the_file_and_the_key(text: str, mistake: str) -> None:
    assert f"consul.yml: {mistake}" in mistakes(text)


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes("web: [5, {host: a, port: 0}]\napi: [{weight: 1}]")) == 3


def test_a_service_that_is_not_in_the_file() -> None:
    assert missing({"b": (), "a": ()}, "web") == 'has no service "web" (it has: "a", "b")'
    assert missing({}, "web") == 'has no service "web" (it has: none)'
    many: FoundServices = {f"s{number:02}": () for number in range(11)}
    assert missing(many, "web").endswith('"s09", ...)')


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([A, "10.0.0.1", "a:80"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "host", "address", "port", "url", "weight", "tags", "meta", "weights", "addresses", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


def outcome(content: bytes) -> FoundServices | list[str]:
    """What was found, or the mistakes."""
    try:
        return parse(content, "consul.yml")
    except ConfigError as error:
        return error.mistakes


@given(top=st.dictionaries(st.sampled_from(["service", "services", "addresses", "web", "x y"]), VALUES, max_size=2))
def test_any_file_gives_addresses_or_mistakes(top: dict[str, Any]) -> None:
    found = outcome(yaml.safe_dump(top).encode())
    if isinstance(found, list):
        assert found
        assert all(line.startswith("consul.yml: ") and "\n" not in line for line in found)
        return
    for addresses in found.values():
        assert all(each.url.startswith(("http://", "https://")) for each in addresses)
        assert all(0 <= each.weight <= 1_000_000 and 0 <= each.priority <= 100 for each in addresses)


@given(content=st.binary(max_size=60))
def test_any_bytes_give_addresses_or_mistakes(content: bytes) -> None:
    found = outcome(content)
    assert found or isinstance(found, dict)


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_file_may_be_half_written(text: str) -> None:
    assert mistakes(text) == ["consul.yml: is empty; for no services at all, write {}"]


@pytest.mark.parametrize("text", ["{}", "# web: http://10.0.0.1:8080\n", "web:\n"])
def test_a_file_may_say_that_there_are_no_services(text: str) -> None:
    assert not any(urls(text).values())
