"""Reading bodies: merge patches, masked values, and no other error than a mistake with its field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.secret import MASKED
from proxy.control.services import bodies
from proxy.errors import ClientFault

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
MEMBERS = st.sampled_from(
    ("name", "url", "weight", "addresses", "id", "path", "service", "health", "drained", "priority", "headers", "x")
)
BODIES = st.dictionaries(MEMBERS, JSON, max_size=5)


def refusal(reader: Callable[[dict[str, Any]], object], body: dict[str, Any]) -> ClientFault | None:
    try:
        reader(body)
    except ClientFault as fault:
        return fault
    return None


@pytest.mark.parametrize(
    ("target", "patch", "result"),  # RFC 7396, appendix A
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_are_those_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert bodies.merged(target, patch) == result


def test_what_is_masked_is_as_before_and_only_that() -> None:
    before = {"set": {"a": "secret", "b": "other"}, "list": ["x"]}
    given = {"set": {"a": MASKED, "b": "new", "c": MASKED}, "list": [MASKED]}
    found = bodies.unmasked(given, before)
    assert found == {"set": {"a": "secret", "b": "new", "c": MASKED}, "list": [MASKED]}
    assert bodies.is_masked(found)
    assert not bodies.is_masked(before)


@given(BODIES)
def test_any_body_is_read_or_refused_with_its_mistakes(body: dict[str, Any]) -> None:
    readers = (
        bodies.read_new_service,
        bodies.read_new_route,
        bodies.read_address,
        lambda given: bodies.read_service_settings("a", given),
        lambda given: bodies.read_route_settings("a", given),
        lambda given: bodies.read_address_change("http://a:1", given),
        lambda given: bodies.read_weight("a", given),
    )
    for fault in (refusal(reader, body) for reader in readers):
        assert fault is None or (fault.status, fault.code) == (400, "invalid_parameters")


@given(st.lists(st.text(min_size=1, max_size=10), min_size=1, max_size=60))
def test_many_mistakes_are_counted(names: list[str]) -> None:
    with pytest.raises(ClientFault) as caught:
        bodies.read_weight("a", {f"x{name}": 1 for name in names})
    assert len(caught.value.message) < 20 * 200


def test_a_url_has_one_form() -> None:
    assert bodies.read_url("http://a:80/base/") == bodies.read_url("http://a:80/base")
    with pytest.raises(ClientFault) as caught:
        bodies.read_url("ftp://a")
    assert caught.value.param == "url"


def test_a_file_whose_name_is_too_long_is_not_there() -> None:
    with pytest.raises(ClientFault, match="no such file"):
        bodies.read_service_settings("a", {"tls": {"keyFile": "x" * 4000}})


def test_a_change_of_an_address_leaves_out_what_is_not_named() -> None:
    change = bodies.read_address_change("http://a:1", {"region": "eu"})
    assert change == bodies.AddressBody(others={"region": "eu"})
    assert bodies.read_address_change("http://a:1", {"weight": None}).weight is None
    assert bodies.read_address_change("http://a:1", {"drained": False}).drained is False
