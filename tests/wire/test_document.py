from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.wire.document import (
    NumberTooLarge,
    decode,
    decode_finite,
    encode,
    encode_for_parsers,
    is_json,
    is_utf8,
    read,
    without_halves,
)

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(documents)
@example("\ud83d")
@example({"\ude00": [10**30, "\ud83d\ude00"]})
def test_any_json_is_decoded(document: object) -> None:
    text = json.dumps(document)
    assert decode(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "a"), ("\ud83d\ude00", "😀"), ("a\ud83db", "a\ufffdb"), ("\ude00\ud83d", "\ufffd\ufffd"), ("😀", "😀")],
)
def test_halves_of_surrogate_pairs_are_joined_or_replaced(text: str, expected: str) -> None:
    assert without_halves(text) == expected


@given(documents)
@example("a\ud83d")
@example({"\ude00": [10**30, "\ud83d\ude00"]})
def test_what_was_decoded_is_encoded_as_the_same_json(document: object) -> None:
    decoded = decode(json.dumps(document).encode())
    assert json.loads(encode(decoded)) == decoded


@pytest.mark.parametrize(
    "data", [b'{"a":1e999}', b"-1e999", b'"\\ud83d"', b'{"choices":[{"delta":{"content":"\\ude00"}}]}']
)
def test_json_that_msgspec_refuses_is_decoded(data: bytes) -> None:
    assert is_json(data)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400 + ".0"])
def test_numbers_that_would_become_null_are_refused_where_a_document_is_encoded_again(number: str) -> None:
    with pytest.raises(NumberTooLarge, match=number[:5]):
        decode_finite(b'{"a":[%b]}' % number.encode())
    assert decode_finite(b'["\\ud83d",1e308]') == ["\ud83d", 1e308]


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"{", b"nothing", b"[1,]", b'{"a":1,}', b"{'a':1}", b"NaN", b'{"a":Infinity}', b"[-Infinity]", b'"\xff"',
     b'{"a":"\xed\xa0\xbd"}', b'"a\nb"', b"1 2", b"[01]", b"\xef\xbb\xbf{}", b"[" * 100_000 + b"]" * 100_000,
     b"1" * 5000, b'{"a":' * 100_000],
)  # fmt: skip
def test_text_that_no_client_accepts_is_not_json(data: bytes) -> None:
    assert not is_json(data)
    for decoder in (decode, decode_finite):
        with pytest.raises(ValueError):
            decoder(data)


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_anything_is_json_or_a_value_error(data: bytes) -> None:
    if is_json(data):
        assert is_utf8(data)
        json.loads(data)


@given(st.binary())
def test_utf8_is_checked_as_python_does(data: bytes) -> None:
    try:
        data.decode()
        assert is_utf8(data)
    except UnicodeDecodeError:
        assert not is_utf8(data)


LENIENT = [b"NaN", b'{"a":Infinity}', b"[-Infinity]", b'"\xff"', b'{"a":"\xed\xa0\xbd"}', b'"a\nb"', b'{"a":"\x00"}']


@pytest.mark.parametrize("data", LENIENT)
def test_lenient_json_is_distinguished_from_strict_json(data: bytes) -> None:
    found, strict = read(data)
    assert not strict
    assert json.dumps(found) == json.dumps(json.loads(data.decode("utf-8", "replace"), strict=False))
    assert read(b'{"a":1}') == ({"a": 1}, True)


@given(st.binary() | st.text().map(str.encode) | documents.map(lambda document: json.dumps(document).encode()))
@example(b"[" * 100_000)
@example(b"1" * 5000)
def test_documents_equal_those_of_json_loads(data: bytes) -> None:
    try:
        expected = json.loads(data.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        with pytest.raises(ValueError):
            read(data)
    else:
        assert json.dumps(read(data)[0]) == json.dumps(expected)


def test_halves_of_surrogate_pairs_are_replaced_for_parsers_that_refuse_them() -> None:
    assert encode_for_parsers({"a": "x\ud83d", "n": 2**70}) == b'{"a":"x\xef\xbf\xbd","n":%d}' % 2**70
    assert encode_for_parsers(["\ud83d\ude00"]) == '["😀"]'.encode()
