"""Anthropic's paths, its credential, and which hosts mean the kind."""

from __future__ import annotations

import pytest

from tests.providers.compiled import key_of, provider, target


def test_endpoints_follow_the_versioned_base_url() -> None:
    base = "https://api.anthropic.com/v1"
    assert target(base, "messages") == "/v1/messages"
    assert target(base, "messages/count_tokens", query="beta=true") == "/v1/messages/count_tokens?beta=true"


@pytest.mark.parametrize(
    ("base_url", "kind"),
    [
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://res.services.ai.azure.com/anthropic/v1", "anthropic"),
        ("https://api.anthropic.com.evil.example/v1", "openai"),
    ],
)
def test_the_host_means_the_kind(base_url: str, kind: str) -> None:
    assert provider(base_url).settings.kind_name == kind


def test_the_key_is_sent_as_x_api_key() -> None:
    compiled = provider("https://api.anthropic.com/v1")
    head = compiled.sites[0].call_head("messages", key_of(compiled))
    assert b"\r\nx-api-key: secret-key\r\n" in head
    assert b"Authorization" not in head
