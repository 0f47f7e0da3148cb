"""The described bodies of the API-key routes against those that are read."""

from __future__ import annotations

import msgspec
import pytest

from proxy.control.keys.fields import read_change, read_grace, read_new_key
from proxy.control.keys.schemas import KeyChange, KeyRotation, NewKey
from proxy.errors import ClientFault

NOW = 1_000_000.0


def test_every_described_member_is_read() -> None:
    values = {
        "name": "a",
        "owner": "b",
        "team": "c",
        "project": "d",
        "labels": {"ticket": "ABC-1"},
        "enabled": False,
        "models": ["m"],
        "providers": ["p"],
        "scopes": ["passthrough"],
        "limits": {"requestsPerMinute": 5},
        "expires": "2030-01-01T00:00:00Z",
        "expiresIn": 60,
    }
    assert {field.encode_name for field in msgspec.structs.fields(KeyChange)} == values.keys()
    for name, value in values.items():
        msgspec.convert({name: value}, type=KeyChange, strict=True)
        assert read_change({name: value}, NOW)
        assert read_new_key({"name": "a", name: value}, NOW)
        msgspec.convert({"name": "a", name: value}, type=NewKey)
    with pytest.raises(ClientFault, match="known: " + ", ".join(values)):
        read_change({"qqq": 1}, NOW)
    assert read_grace(msgspec.to_builtins(KeyRotation())) == KeyRotation().grace_secs
