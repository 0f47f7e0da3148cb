"""The effective configuration without its secrets."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from proxy.config.checks import SECRET
from proxy.config.schema import Config
from proxy.config.secret import MASKED
from proxy.control.settings.config import masked
from tests.control.admin import TWO, AdminServer
from tests.support.gateway import to_config

HASH = "sha256:" + "ab" * 32
FULL: dict[str, Any] = {
    "providers": {
        "up": {
            "baseUrl": "https://example.com/v1",
            "apiKeys": ["secret-one", "secret-two"],
            "headers": {"X-Token": "secret-three"},
        }
    },
    "models": [{"name": "m", "provider": "up"}],
    "admin": {"token": "secret-four-of-the-admin"},
    "redis": {"url": "redis://user:secret-five@127.0.0.1:6379/0"},
    "database": {"url": "postgresql://user:secret-six@127.0.0.1/x?password=secret-seven"},
    "auth": {"mode": "jwt", "jwt": {"secret": "secret-eight-which-is-long-enough-for-hmac", "algorithms": ["HS256"]}},
    "observe": {
        "tracing": {"headers": {"authorization": "secret-nine"}},
        "sentry": {"dsn": "https://secret-ten@sentry.example.com/1"},
    },
}


def test_only_secrets_are_masked() -> None:
    config = to_config(FULL)
    found = masked(config)
    assert "secret" not in json.dumps(found).replace('"secret":', "").replace('"secretAccessKey":', "")
    assert found["providers"]["up"]["apiKeys"] == [MASKED, MASKED]
    assert found["providers"]["up"]["headers"] == {"X-Token": MASKED}
    assert found["providers"]["up"]["baseUrl"] == "https://example.com/v1"
    assert found["admin"]["token"] == MASKED
    assert found["auth"]["jwt"]["secret"] == MASKED
    assert found["redis"]["url"] == f"redis://{MASKED}@127.0.0.1:6379/0"
    assert found["database"]["url"] == f"postgresql://{MASKED}@127.0.0.1/x?{MASKED}"
    assert found["models"][0]["name"] == "m"
    assert found["circuitBreaker"]["failureThreshold"] == 3


def test_hashes_of_keys_are_masked() -> None:
    auth = {"mode": "keys", "keys": [{"name": "k", "hash": HASH}]}
    (found,) = masked(to_config(TWO | {"auth": auth}))["auth"]["keys"]
    assert (found["name"], found["hash"]) == ("k", MASKED)


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert masked(Config())["admin"]["token"] == ""
    assert masked(Config())["auth"]["jwt"] is None


def test_every_field_that_is_named_like_a_secret_is_one() -> None:
    """A new field for a credential must have the type of a secret, so that it is masked."""
    suspicious = ("key", "token", "secret", "password", "dsn", "hash")
    harmless = {"key_file", "public_key_file", "token_estimate", "tokens_per_minute", "max_output_tokens"}
    open_ = [
        name
        for name, kind in _texts(msgspec.inspect.type_info(Config))
        if any(word in name for word in suspicious) and name not in harmless and kind not in SECRET
    ]
    assert open_ == []


def _texts(kind: msgspec.inspect.Type, name: str = "", description: str = "") -> list[tuple[str, str]]:
    """Every text field with its name and its description in the schema."""
    inspect = msgspec.inspect
    match kind:
        case inspect.Metadata():
            return _texts(kind.type, name, (kind.extra or {}).get("kind", ""))
        case inspect.StrType():
            return [(name, description)]
        case inspect.StructType():
            return [each for field in kind.fields for each in _texts(field.type, field.name)]
        case inspect.ListType():
            return _texts(kind.item_type, name)
        case inspect.DictType():
            return _texts(kind.value_type, name)
        case inspect.UnionType():
            return [each for one in kind.types for each in _texts(one, name)]
    return []


async def test_the_file_and_the_keys_that_wait_for_a_start_are_shown() -> None:
    async with AdminServer(TWO) as plane:
        assert (await plane.fetch("GET", "/admin/config")).status == 401
        answer = await plane.ask("GET", "/admin/config")
        assert answer.status == 200
        assert (answer.json["path"], answer.json["waitsForStart"]) == ("config/config.yaml", ["server.port"])
        assert answer.json["config"] == masked(plane.config)
        assert answer.json["config"]["providers"]["up"]["apiKey"] == MASKED


async def test_without_a_file_the_path_is_null() -> None:
    async with AdminServer(TWO) as plane:
        plane.config_path, plane.waiting = "", ()
        answer = await plane.ask("GET", "/admin/config")
        assert (answer.json["path"], answer.json["waitsForStart"]) == (None, [])
