"""Bodies that the JSON scanner would be slow at are refused in steps, before its pass."""

from __future__ import annotations

import pytest

from proxy.wire.costs import MAX_BRACKETS, TooCostly, check_cost
from proxy.wire.patch import MAX_NAMES


def test_more_brackets_than_any_request_has_are_refused() -> None:
    with pytest.raises(TooCostly, match="10,000,000 objects and arrays"):
        list(check_cost(b'{"prompt":[' + b"[]," * MAX_BRACKETS + b"[]]}"))
    with pytest.raises(TooCostly, match="10,000,000 objects and arrays"):
        list(check_cost(b"[" * (MAX_BRACKETS // 2) + b"{" * (MAX_BRACKETS // 2 + 1)))


def test_as_many_brackets_as_are_allowed_pass() -> None:
    assert list(check_cost(b"[" * MAX_BRACKETS))


@pytest.mark.parametrize("space", [b"", b" \n\t "], ids=["close", "apart"])
@pytest.mark.parametrize("character", [b"\\n", b"x", b"\\u00e9"])
def test_a_name_over_the_limit_is_refused_at_any_place(character: bytes, space: bytes) -> None:
    name = character * (2 * MAX_NAMES // len(character) + 8)
    for before in (b"", b'"a":1,' * 300_000):
        with pytest.raises(TooCostly, match="256 KB"):
            list(check_cost(b"{" + before + b'"' + name + b'"' + space + b":1}"))


@pytest.mark.parametrize("end", [b'"}', b'\\": "}', b'","b":1}'], ids=["end", "escaped quote", "another member"])
def test_a_long_text_passes(end: bytes) -> None:
    for text in (b"x", b"\\n", b" "):
        assert list(check_cost(b'{"a":"' + text * (3 * MAX_NAMES) + end))
