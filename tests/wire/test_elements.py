from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.elements import MAX_ELEMENTS, Span, elements, members_at

SPACE = st.text(" \t\n\r", max_size=2)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(['{"a":1}', "}, {", "[{", '\\"']),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=4)


def located(body: bytes, begin: int = 0, end: int | None = None) -> list[Span] | None:
    steps = elements(body, begin, len(body) if end is None else end)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            found: list[Span] | None = stop.value
            return found


@given(OBJECTS, st.lists(SPACE, min_size=12, max_size=12), st.booleans())
def test_the_spans_are_those_of_the_elements(objects: list[dict[str, Any]], space: list[str], ascii_only: bool) -> None:
    spaces = iter(space)
    texts = [json.dumps(each, ensure_ascii=ascii_only, separators=(", ", " : ")) for each in objects]
    inside = ",".join(f"{next(spaces)}{text}{next(spaces)}" for text in texts) or next(spaces)
    body = f'{{"x":[{inside}] }}'.encode("utf-8", "surrogatepass")
    found = located(body, 5, len(body) - 2)
    assert found is not None
    assert [body[begin:end].decode() for begin, end in found] == texts


@pytest.mark.parametrize("body", [b"[1]", b'[{},"a"]', b"[{},[]]", b"{}", b'"a"', b"null", b"[{},null]"])
def test_an_array_of_anything_else_has_none(body: bytes) -> None:
    assert located(body) is None


def test_an_array_of_too_many_objects_is_not_decoded() -> None:
    assert len(located(b"[" + b"{}," * (MAX_ELEMENTS - 1) + b"{}]") or ()) == MAX_ELEMENTS
    assert located(b"[" + b"{}," * MAX_ELEMENTS + b"{}]") is None
    assert located(b"[{}]") == [(1, 3)]  # the count begins anew


def test_the_members_of_an_element_have_their_place_in_it() -> None:
    body = b'[{"a":1}, {"role" : "user"}]'
    members = members_at(body, (10, 27))
    assert members is not None
    assert members.span("role") == (10, 16)
    assert members_at(b'[{"\\ud800":1}]', (1, 13)) is None
