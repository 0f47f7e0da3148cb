"""Secrets are a type: no view, log or traceback shows one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from proxy.config.checks import SECRET, kinds
from proxy.config.secret import MASKED, Secret, SecretUrl, plain, secrets_in
from tests.support.gateway import to_config


def test_a_secret_is_a_text_whose_repr_is_three_stars() -> None:
    secret = Secret("hunter2")
    assert (repr(secret), f"{[secret]}", secret == "hunter2", f"Bearer {secret}") == (
        "***",
        "[***]",
        True,
        "Bearer hunter2",
    )
    assert {secret: 1}["hunter2"] == 1


def test_a_secret_in_a_response_is_an_error() -> None:
    class View(msgspec.Struct):
        key: str

    with pytest.raises(TypeError, match="Secret"):
        msgspec.json.encode(View(Secret("hunter2")))


def test_the_loader_wraps_every_kind_of_secret() -> None:
    good = {
        "key": "k",
        "key hash": "sha256:" + "ab" * 32,
        "header value": "v",
        "redis url": "redis://:pw@h/0",
        "database url": "postgresql://u:pw@h/x",
        "list url": "https://h/prices?key=s",
        "file or url": "https://h/list?key=s",
        "broker url": "amqp://u:pw@h,amqp://u:pw@i/v",
        "webhook url": "https://h/hooks/s",
        "webhook secret": "s",
    }
    checks = kinds(Path(), None)
    assert {kind: type(checks[kind](text)) for kind, text in good.items()} == SECRET


def test_every_secret_is_found_by_the_visitor() -> None:
    config = to_config(
        {
            "providers": {
                "a": {"baseUrl": "http://a/v1", "apiKeys": ["key-one", "key-two"], "headers": {"X-K": "key-three"}}
            },
            "admin": {"token": "key-four-of-the-admin"},
            "redis": {"url": "redis://user:key%2Dfive@127.0.0.1/0"},
            "database": {"url": "postgresql://user:key-six@127.0.0.1/x?password=key-seven"},
            "observe": {
                "tracing": {"headers": {"authorization": "key-eight"}},
                "sentry": {"dsn": "https://key-nine@s/1"},
            },
        }
    )
    found = secrets_in(config)
    names = ("one", "two", "three", "four-of-the-admin", "five", "six")
    assert {f"key-{name}" for name in names} | {"key%2Dfive", "password=key-seven", "key-eight"} <= found
    assert "https://key-nine@s/1" in found
    assert "key-" not in repr(config)
    assert "key-" not in json.dumps(plain(config, lambda secret: secret.shown))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:pw@host/0", f"redis://{MASKED}@host/0"),
        ("redis://:p@w@host/0", f"redis://{MASKED}@host/0"),
        ("https://a:b@host/list.yaml?token=x#part", f"https://{MASKED}@host/list.yaml?{MASKED}#part"),
        ("a file@address.of/no?url", "a file@address.of/no?url"),
        ("sqlite:///data/keys.db", "sqlite:///data/keys.db"),
    ],
)
def test_an_address_is_shown_without_credentials(text: str, expected: str) -> None:
    assert SecretUrl(text).shown == expected
