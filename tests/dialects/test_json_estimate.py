from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.json_call import JsonRequestReader
from proxy.dialects.json_estimate import (
    MOST_BYTES,
    MOST_PIECES,
    MOST_TOKENS,
    Content,
    MemberCounter,
    Unknown,
    add_definitions,
    limit_of,
)
from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.table import DIALECTS

PAYLOAD = "QUJD" * 2000
KINDS = {"picture": "image", "sound": "audio", "secret": "sealed"}


def of_list(raw: bytes) -> Content:
    """Each element is a text of one byte, or unknown."""
    items = json.loads(raw)
    if not all(isinstance(item, str) and len(item) == 1 for item in items):
        raise Unknown
    return Content(len(items), 0, 10, 100)


COUNTER = MemberCounter(of_list, {key.encode(): kind for key, kind in KINDS.items()})  # type: ignore[misc]


def counted(value: Any, **dumps: Any) -> Content:
    found = Content(1, 1, 1, 1)
    COUNTER.add(REQUESTS.read(json.dumps({"first": 1, "x": value, "last": 1}, **dumps).encode()), "x", found)
    return Content(found.text - 1, found.tokens - 1, found.images - 1, found.audio - 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12345", Content(5)),
        ('"\n', Content(2)),
        ("", Content()),
        (None, Content()),
        ([1, 22, 333], Content(tokens=3)),
        ([[1], [2, 3]], Content(tokens=3)),
        ([], Content()),
        (["a", "b"], Content(2, 0, 10, 100)),
        (["ab"], Content(6)),
        ({"a": 1}, Content(8)),
        (12, Content(2)),
        ({"picture": PAYLOAD, "sound": PAYLOAD, "secret": PAYLOAD}, Content(42, 0, 1, 1)),
        ("x" * 2 * MOST_BYTES, Content(2 * MOST_BYTES)),
        ({"picture": "QUJD" * MOST_BYTES}, Content(15, 0, 1)),
    ],
)
def test_a_member_is_counted_by_its_shape(value: Any, expected: Content) -> None:
    found = counted(value)
    assert (found.text, found.tokens, found.images, found.audio) == (
        expected.text,
        expected.tokens,
        expected.images,
        expected.audio,
    )


def test_a_list_of_too_many_elements_counts_by_its_bytes() -> None:
    few, many = ["a"] * (MOST_PIECES + 1), ["a"] * (MOST_PIECES + 2)
    assert counted(few).text == len(few)
    assert counted(many, separators=(",", ":")).text == 4 * len(many) + 1


def test_a_missing_member_counts_nothing() -> None:
    found = Content()
    COUNTER.add(REQUESTS.read(b"{}"), "x", found)
    assert found.total(9, 9) == 0


def test_the_total_is_in_tokens() -> None:
    assert Content(9, 2, 3, 4).total(100, 1000) == 3 + 2 + 300 + 4000


def test_definitions_count_by_the_bytes_of_their_json() -> None:
    found = Content()
    add_definitions(REQUESTS.read(b'{"a":[{"b": 1}],"c":null,"d":"text"}'), ("a", "c", "d", "e"), found)
    assert found.text == len(b'[{"b": 1}]')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("5", 5), ("5.9", 5), ("0", 0), ("-1", -1), ("null", -1), ("[5]", -1), ("true", -1), ("1e300", MOST_TOKENS)),
        *(('"5"', 5), ('"5e3"', 5000), ('" +5 "', 5), ('"5 tokens"', -1), ('"-5"', -1), ('""', -1)),
        *(("1" * 33, MOST_TOKENS), ("1" * 20, MOST_TOKENS), ("4000." + "0" * 40, MOST_TOKENS)),
    ],
)
def test_a_limit_is_a_number_that_is_not_negative(value: str, expected: int) -> None:
    members = REQUESTS.read(b'{"most":%b}' % value.encode()).members
    assert limit_of(members, "most") == expected
    assert limit_of(members, "other") == -1


@pytest.mark.parametrize(
    "name",
    [name for name, each in DIALECTS.items() if isinstance(each.requests, JsonRequestReader) and each.generates],
)
def test_each_dialect_counts_its_messages_and_its_limit(name: str) -> None:
    requests = DIALECTS[name].requests
    call = requests.read(b'{"messages":[{"role":"user","content":"12345678"}],"max_tokens":70}')
    assert requests.prompt_tokens(call, 1, 1) == 2
    assert requests.output_tokens(call, 500, 9) == 70
    call = requests.read(b'{"messages":[]}')
    assert (requests.prompt_tokens(call, 1, 1), requests.output_tokens(call, 500, 9)) == (0, 500)
    assert requests.output_tokens(call, 0, 9) == 9
