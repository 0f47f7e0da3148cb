from __future__ import annotations

import pytest

from proxy.config.provider_schema import CLOUD_KINDS, ProviderSettings
from proxy.dialects.table import CHAT
from proxy.providers.base import safe_in_path
from proxy.providers.kinds import _KINDS, kind_of


@pytest.mark.parametrize("name", _KINDS)
def test_a_kind_that_is_no_cloud_changes_no_request_and_needs_no_credential(name: str) -> None:
    kind = kind_of(name)
    assert kind.cloud is (name in CLOUD_KINDS)
    assert kind.own in kind.wires
    settings = ProviderSettings(base_url="https://host.example/v1")
    if not kind.cloud:
        assert kind.source(settings) is None
        assert kind.mistake(settings) == ""
        assert {kind.address("https://host.example/v1", wire) for wire in kind.wires} == {"https://host.example/v1"}
        assert kind.call_changes("messages", CHAT.requests.read(b'{"model":"m"}'), "2023-06-01") is None


@pytest.mark.parametrize("name", ["a", "a/b", "a:b", "a%20b", "..."])
def test_a_name_without_dot_segments_may_go_into_a_path(name: str) -> None:
    assert safe_in_path(name)


@pytest.mark.parametrize("name", [".", "..", "a/../b", "a\\..", "a%2F..%2Fb", "a%252F%252E%252E", "../x"])
def test_a_name_with_dot_segments_may_not(name: str) -> None:
    assert not safe_in_path(name)
