from __future__ import annotations

import json

import pytest

from proxy.config.webhook_checks import WebhookUrl, signing_key, webhook_secret


@pytest.mark.parametrize("text", ["", "s3cret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a/b+c=~"])
def test_a_secret(text: str) -> None:
    assert webhook_secret(text) == text


@pytest.mark.parametrize("text", ["a b", "\t", "schlüssel", "whsec_", "whsec_!", "whsec_abc", "whsec_YQ==\n"])
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|ASCII") as complaint:
        webhook_secret(text)
    assert json.dumps(text)[1:-1] not in str(complaint.value) or text == "whsec_"


def test_the_key_is_what_base64_encodes_or_the_text() -> None:
    assert (signing_key("whsec_YWJj"), signing_key("abc")) == (b"abc", b"abc")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/hooks/T0KEN", "https://example.com/********"),
        ("https://example.com?key=T0KEN", "https://example.com/********"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_the_path_of_a_webhook_is_not_shown(url: str, shown: str) -> None:
    assert WebhookUrl(url).shown == shown
