from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.redaction import Redactor, redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Incorrect API key provided: sk-proj-abc***XYZ.", "Incorrect API key provided: sk-***"),
        ("Rate limit reached in organization org-78asdf87asdf9aaa8976 on tokens", "Rate limit reached in organization org-*** on tokens"),
        ("in organization `org_01j9x2tz` service tier", "in organization `org_***` service tier"),
        ("Project `proj_JMo3Q9spNIEWhSxusokLegJY` does not have access", "Project `proj_***` does not have access"),
        ("key gsk_abcdefghijk was refused", "key gsk_*** was refused"),
        ("AIzaSyA1234567890abcdefghijklmn", "AIza***"),
    ],
)  # fmt: skip
def test_keys_and_account_names_are_masked(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "an org-wide setting",
        "the task-force-of-many",
        "ask-whoever-is-there",
        "project_manager",
        "a risk-free user-friendly way",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redacted(text) == text


def test_configured_keys_are_masked_verbatim_and_in_their_json_form() -> None:
    redact = Redactor(['my"key/1', "longer-secret", "longer-secret-still", "x"])
    assert redact('x my"key/1 longer-secret-still longer-secret') == "x *** *** ***"
    assert redact.body(json.dumps({"m": 'my"key/1'}).encode()) == b'{"m": "***"}'
    assert redact.body(b'{"m": "my\\"key\\/1"}') == b'{"m": "***"}'


def test_bytes_without_a_secret_are_the_same_object() -> None:
    body = b'{"m": "\xff\xfe nothing"}'
    assert Redactor(["secret-key"]).body(body) is body


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_the_rest_of_a_body_is_unchanged(before: bytes, after: bytes) -> None:
    body = before + b" \x00secret-key\x00 " + after
    assert Redactor(["secret-key"]).body(body).count(b"secret-key") == 0
    plain = b"e" + before.replace(b"-", b" ").replace(b"_", b" ").replace(b"A", b" ")
    assert redacted.body(plain) == plain
