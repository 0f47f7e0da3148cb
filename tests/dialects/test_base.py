from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.table import CHAT
from tests.support.answers import answered_by, compact, unspliced

MEMBER = b'"_router":' + compact(answered_by())

with_metadata = CHAT.writer.with_metadata

blank = st.text(" \t\r\n", max_size=3)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
objects = st.dictionaries(st.text(), values, max_size=5)


@given(objects, blank, blank, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_an_object_gets_one_more_member_and_keeps_every_other_byte(
    value: dict[str, Any], before: str, after: str, indent: Any, ascii_only: bool
) -> None:
    text = before + json.dumps(value, indent=indent, ensure_ascii=ascii_only) + after
    body = text.encode("utf-8", "surrogatepass")
    whole = with_metadata(body, MEMBER)
    decoded = json.loads(whole.decode("utf-8", "surrogatepass"))
    assert decoded == value | {"_router": answered_by()}
    assert [*decoded][-1] == "_router" or "_router" in value
    assert unspliced(whole) == (body, answered_by())


@given(values.filter(lambda value: not isinstance(value, dict)), blank)
def test_json_that_is_no_object_is_unchanged(value: Any, before: str) -> None:
    body = before.encode() + json.dumps(value).encode()
    assert with_metadata(body, MEMBER) == body


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b"{}", b'{"x":1}'),
        (b"{ \n}\n", b'{ \n"x":1}\n'),
        (b'\n{"a":"}"}', b'\n{"a":"}","x":1}'),
        (b'{"a":{}}', b'{"a":{},"x":1}'),
        (b'{"a":{}\n}\r\n', b'{"a":{}\n,"x":1}\r\n'),
        (b'[{"a":1}]', b'[{"a":1}]'),
        (b'"{}"', b'"{}"'),
        (b"", b""),
    ],
)
def test_a_member_goes_before_the_last_brace(body: bytes, whole: bytes) -> None:
    assert with_metadata(body, b'"x":1') == whole


def test_the_last_of_several_gateways_sets_the_metadata() -> None:
    once = with_metadata(b'{"a":1}', b'"_router":{"provider":"theirs"}')
    assert json.loads(with_metadata(once, MEMBER))["_router"] == answered_by()
