"""Google's paths, its credential, and which addresses mean the kind."""

from __future__ import annotations

import pytest

from tests.providers.compiled import key_of, provider, target

BASE = "https://generativelanguage.googleapis.com/v1beta"


@pytest.mark.parametrize(
    ("model", "path", "found"),
    [
        ("gemini-2.5-flash", "generateContent", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("models/gemini-2.5-flash", "countTokens", "/v1beta/models/gemini-2.5-flash:countTokens"),
        ("tunedModels/mine-1", "generateContent", "/v1beta/tunedModels/mine-1:generateContent"),
        ("a/b c", "embedContent", "/v1beta/models/a%2Fb%20c:embedContent"),
        (None, "models", "/v1beta/models"),
    ],
)
def test_the_path_names_the_model_and_the_method(model: str | None, path: str, found: str) -> None:
    assert target(BASE, path, model) == found


@pytest.mark.parametrize("query", ["", "alt=json", "alt=sse", "$alt=proto", "%24alt=media"])
def test_a_stream_is_always_requested_as_events(query: str) -> None:
    found = target(BASE, "streamGenerateContent", "m", query)
    assert found == "/v1beta/models/m:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("base_url", "kind"),
    [
        (BASE, "gemini"),
        (f"{BASE}/openai", "openai"),
        (f"{BASE}/openai/", "openai"),
        ("https://generativelanguage.googleapis.com.evil.example/v1beta", "openai"),
    ],
)
def test_the_address_means_the_kind(base_url: str, kind: str) -> None:
    assert provider(base_url).settings.kind_name == kind


def test_the_key_is_sent_as_x_goog_api_key() -> None:
    compiled = provider(BASE)
    assert b"\r\nx-goog-api-key: secret-key\r\n" in compiled.sites[0].call_head("generateContent", key_of(compiled))


@pytest.mark.parametrize("name", ["..", "a/../b", "%2e%2e", "a%252f..%252fb"])
def test_a_clients_name_cannot_lead_to_another_path(name: str) -> None:
    assert not provider(BASE).kind.accepts_name(name)
