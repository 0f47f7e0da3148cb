"""Router fields and router headers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.errors import ClientFault
from proxy.wire.criteria import FIELDS, HEADERS, NONE, Criteria, of_headers, of_members, stated
from proxy.wire.patch import parse


def of_body(**members: Any) -> Criteria:
    found = parse(json.dumps(members).encode())
    return of_members(found, stated(found))


@pytest.mark.parametrize(
    ("members", "criteria"),
    [
        ({"tags": ["code", "math", "code"]}, Criteria(tags=("code", "math"))),
        ({"tags": ["caf\u00e9"]}, Criteria(tags=("caf\u00e9",))),
        ({"tags": []}, NONE),
        ({"type": "fast"}, Criteria(type="fast")),
        ({"min_context_size": 64000}, Criteria(min_context_size=64000)),
        ({"min_context_size": 0}, NONE),
        ({"json_response": True}, Criteria(json_response=True)),
        ({"prefer_fast": True}, Criteria(prefer_fast=True)),
        ({"prefer_fast": False}, NONE),
        ({"min_success_rate": 0.75}, Criteria(min_success_rate=0.75)),
        ({"min_success_rate": 1}, Criteria(min_success_rate=1.0)),
        (dict.fromkeys(FIELDS), NONE),
    ],
)
def test_each_field_is_read_from_a_body(members: dict[str, Any], criteria: Criteria) -> None:
    assert of_body(**members) == criteria


def test_empty_criteria_are_always_the_same_object() -> None:
    assert of_body() is of_body(tags=[]) is of_headers({}) is of_headers({"x-router-tags": " , "}) is NONE


@pytest.mark.parametrize(
    ("name", "value"),
    [("tags", "code"), ("tags", [1]), ("tags", {}), ("type", 1), ("type", ["fast"]), ("min_context_size", "64000"),
     ("min_context_size", -1), ("min_context_size", 1.5), ("min_context_size", 10**15), ("json_response", "true"), ("prefer_fast", 1),
     ("min_success_rate", "0.5"), ("min_success_rate", True), ("min_success_rate", [])],
)  # fmt: skip
def test_a_wrong_type_is_refused_with_the_name_of_the_field(name: str, value: Any) -> None:
    with pytest.raises(ClientFault) as caught:
        of_body(**{name: value})
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_type", name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tags", [""]), ("tags", ["x"] * 65), ("tags", ["x" * 201]), ("type", ""), ("type", "x" * 201),
     ("min_success_rate", -0.1), ("min_success_rate", 1.01), ("min_success_rate", 1e300)],
)  # fmt: skip
def test_a_value_out_of_bounds_is_refused_with_the_name_of_the_field(name: str, value: Any) -> None:
    with pytest.raises(ClientFault) as caught:
        of_body(**{name: value})
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_value", name)


@pytest.mark.parametrize(
    ("header", "value", "criteria"),
    [
        ("x-router-tags", "math, code,,", Criteria(tags=("code", "math"))),
        ("x-router-type", "reasoning", Criteria(type="reasoning")),
        ("x-router-min-context-size", " 64000 ", Criteria(min_context_size=64000)),
        ("x-router-json-response", "True", Criteria(json_response=True)),
        ("x-router-prefer-fast", "1", Criteria(prefer_fast=True)),
        ("x-router-prefer-fast", "false", NONE),
        ("x-router-min-success-rate", "0.9", Criteria(min_success_rate=0.9)),
        ("x-router-min-success-rate", ".5", Criteria(min_success_rate=0.5)),
        ("x-router-min-success-rate", "1.0", Criteria(min_success_rate=1.0)),
        ("x-router-type", "", NONE),
    ],
)
def test_each_field_is_read_from_a_header(header: str, value: str, criteria: Criteria) -> None:
    assert of_headers({header: value}) == criteria
    assert of_headers(CIMultiDict([("Accept", "*/*"), (header.title(), value)])) == criteria


def test_the_error_names_a_refused_header_in_lower_case() -> None:
    with pytest.raises(ClientFault) as caught:
        of_headers(CIMultiDict({"X-Router-Prefer-Fast": "yes"}))
    assert caught.value.param == "x-router-prefer-fast"
    assert type(caught.value.param) is str  # an error is encoded as JSON


def test_other_headers_do_not_change_the_criteria_of_the_body() -> None:
    body = Criteria(type="fast")
    assert of_headers(CIMultiDict({"X-Router-Metadata": "true", "Host": "h"}), body, ("type",)) is body


@pytest.mark.parametrize(
    ("header", "value"),
    [("x-router-min-context-size", "64k"), ("x-router-min-context-size", "-1"), ("x-router-min-context-size", "\u0663"), ("x-router-prefer-fast", "yes"),
     ("x-router-min-success-rate", "1.5"), ("x-router-min-success-rate", "nan"), ("x-router-min-success-rate", "."), ("x-router-tags", "x" * 201)],
)  # fmt: skip
def test_a_wrong_header_is_refused_by_its_name(header: str, value: str) -> None:
    with pytest.raises(ClientFault) as caught:
        of_headers({header: value})
    assert (caught.value.status, caught.value.param) == (400, header)


def test_the_body_overrides_the_headers_field_by_field() -> None:
    members = parse(b'{"tags":["code"],"prefer_fast":false,"type":null}')
    headers = {
        "x-router-tags": "math",
        "x-router-prefer-fast": "true",
        "x-router-type": "fast",
        "x-router-json-response": "true",
    }
    found = of_headers(headers, of_members(members, stated(members)), stated(members))
    assert found == Criteria(tags=("code",), json_response=True)


def test_every_field_has_its_header() -> None:
    assert set(HEADERS.values()) == FIELDS
    assert set(HEADERS) == {"x-router-" + name.replace("_", "-") for name in FIELDS}


@given(
    st.sampled_from(sorted(FIELDS)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        st.lists,
        max_leaves=4,
    ),
)
def test_any_value_is_read_or_refused(name: str, value: Any) -> None:
    with suppress(ClientFault):
        assert isinstance(of_body(**{name: value}), Criteria)


@given(st.sampled_from(sorted(HEADERS)), st.text())
def test_any_header_value_is_read_or_refused(header: str, value: str) -> None:
    with suppress(ClientFault):
        assert isinstance(of_headers({header: value}), Criteria)
