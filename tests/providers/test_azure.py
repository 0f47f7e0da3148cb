"""Azure's addresses and its header, and how a kind of provider is chosen."""

from __future__ import annotations

import pytest

from proxy.providers.kinds import kind_of
from tests.providers.compiled import provider, target

RESOURCE = "https://res.openai.azure.com"
VERSION = "api-version=2024-10-21"


@pytest.mark.parametrize(
    ("base_url", "path", "found"),
    [
        (f"{RESOURCE}/openai/v1", "chat/completions", "/openai/v1/chat/completions"),
        (RESOURCE, "chat/completions", "/openai/v1/chat/completions"),
        (f"{RESOURCE}/openai", "responses", "/openai/v1/responses"),
        (f"{RESOURCE}?{VERSION}", "chat/completions", f"/openai/deployments/gpt-4o/chat/completions?{VERSION}"),
        (f"{RESOURCE}/openai?{VERSION}", "images/edits", f"/openai/deployments/gpt-4o/images/edits?{VERSION}"),
        (f"{RESOURCE}?{VERSION}", "responses", f"/openai/responses?{VERSION}"),
        (f"{RESOURCE}?{VERSION}", "models", f"/openai/models?{VERSION}"),
        (f"{RESOURCE}/openai/v1?api-version=preview", "embeddings", "/openai/v1/embeddings?api-version=preview"),
        (
            f"{RESOURCE}/openai/deployments/mine?{VERSION}",
            "embeddings",
            f"/openai/deployments/mine/embeddings?{VERSION}",
        ),
    ],
)
def test_the_path_is_appended_according_to_the_base_url(base_url: str, path: str, found: str) -> None:
    assert target(base_url, path) == found


def test_a_model_name_in_the_path_is_percent_encoded() -> None:
    assert target(f"{RESOURCE}?{VERSION}", "embeddings", "a/b c?") == (
        f"/openai/deployments/a%2Fb%20c%3F/embeddings?{VERSION}"
    )


def test_without_a_model_in_the_path_the_body_must_name_it() -> None:
    assert target(f"{RESOURCE}?{VERSION}", "chat/completions", None) == f"/openai/chat/completions?{VERSION}"


@pytest.mark.parametrize(
    ("base_url", "kind"),
    [
        (RESOURCE, "azure"),
        ("https://res.cognitiveservices.azure.com/openai/v1", "azure"),
        ("https://res.services.ai.azure.com/openai/v1", "azure"),
        ("https://api.openai.com/v1", "openai"),
        ("https://openai.azure.com.evil.example/v1", "openai"),
    ],
)
def test_a_host_of_azure_means_the_kind_azure(base_url: str, kind: str) -> None:
    assert type(provider(base_url).kind) is type(kind_of(kind))


def test_a_configured_kind_wins_over_the_host() -> None:
    assert target("http://127.0.0.1:1", "embeddings", kind="azure") == "/openai/v1/embeddings"
    assert target(f"{RESOURCE}/v1", "embeddings", kind="openai") == "/v1/embeddings"


def test_the_key_is_sent_in_the_header_of_azure() -> None:
    head = provider(RESOURCE).sites[0].call_head("chat/completions", provider(RESOURCE).keys._keys[0])
    assert b"\r\napi-key: secret-key\r\n" in head
    assert b"Authorization" not in head


@pytest.mark.parametrize("name", ["api-key", "Authorization"])
def test_a_configured_credential_header_replaces_the_key(name: str) -> None:
    [key] = provider(RESOURCE, headers={name: "own"}).keys._keys
    assert key.secret == ""


def test_an_api_version_is_sent_to_azure_only() -> None:
    assert target("https://host.example/v1", "models", query="api-version=1&x=1&y") == "/v1/models?x=1&y"
    assert target("https://host.example/v1", "models", query="api-version=1") == "/v1/models"
    assert target(f"{RESOURCE}/openai/deployments/mine", "embeddings", query="api-version=1") == (
        "/openai/deployments/mine/embeddings?api-version=1"
    )


@pytest.mark.parametrize("base_url", [RESOURCE, f"{RESOURCE}/openai", f"{RESOURCE}/openai/v1"])
def test_azures_v1_api_gets_no_version_of_a_client(base_url: str) -> None:
    assert target(base_url, "models", query="api-version=2024-10-21&x=1") == "/openai/v1/models?x=1"


@pytest.mark.parametrize("name", ["..", "a/../b", "a\\..\\b", "./a", "a%2F..%2Fb", "%252e%252e"])
def test_a_name_with_dot_segments_is_not_accepted(name: str) -> None:
    assert not kind_of("azure").accepts_name(name)
    assert kind_of("openai").accepts_name(name)


@pytest.mark.parametrize("name", ["gpt-4.1", "a/b", "...", "a..b"])
def test_any_other_name_is_accepted(name: str) -> None:
    assert kind_of("azure").accepts_name(name)
