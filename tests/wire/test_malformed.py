"""Sentences for bodies that are no JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.call import REQUESTS
from proxy.errors import ClientFault
from proxy.wire.malformed import LOOKED_AT, explain


def sentence(body: bytes) -> str:
    with pytest.raises(ClientFault) as caught:
        REQUESTS.read(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'\xef\xbb\xbf{"model":"m"}', "byte order mark"),
        ('{"model":"m"}'.encode("utf-16"), "UTF-16"),
        ('{"model":"m"}'.encode("utf-16-le"), "UTF-16"),
        (b"", "empty"),
        (b'{"a":"x\\ud83d y"}', "half of a surrogate pair, as of an emoji that was cut in two, at byte 7"),
        (b'{"a":"\\ude00"}', "surrogate pair, as of an emoji that was cut in two, at byte 6"),
        (b'{"\\ud83d":1}', "at byte 2"),
        (b'{"a":"\\uD83D\\uDE00 \\ud83d\\ud83d\\ude00"}', "at byte 19"),
        (b'{"a":"\\\\ud83d\\ud83d"}', "at byte 13"),
        (b'{"a":"\xed\xa0\xbd"}', "not valid UTF-8 at byte 6"),
        (b'{"a":"\xf0\x9f"}', "not valid UTF-8 at byte 6"),
        (b'{"a":', "ends too early"),
        (b'{"a":1,}', "trailing comma in object (byte 7)"),
    ],
)
def test_the_error_of_an_invalid_body_names_the_cause_and_the_place(body: bytes, expected: str) -> None:
    assert expected in sentence(body)


def test_a_large_body_is_not_searched_to_its_end() -> None:
    body = b'{"a":"' + b"x" * LOOKED_AT + b'\\ud83d"}'
    assert "half of a surrogate pair" in sentence(body)
    assert "at byte" not in sentence(body)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from('\\u"d8\ud83d\ude00'), max_size=20))
def test_whole_surrogate_pairs_and_escaped_backslashes_are_valid(text: str) -> None:
    body = json.dumps({"a": text}).encode()
    try:
        text.encode("utf-8")
        whole = True
    except UnicodeEncodeError:
        whole = json.loads(body)["a"].encode("utf-16", "surrogatepass").decode("utf-16", "replace").count("�") == (
            text.count("�")
        )
    assert ("surrogate" in explain(body, "why")) is not whole


@given(st.binary(max_size=40), st.text(max_size=10))
def test_any_body_gets_a_sentence(body: bytes, reason: str) -> None:
    assert explain(body, reason).endswith(".")
