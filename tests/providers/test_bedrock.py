from __future__ import annotations

import pytest
from msgspec import UNSET

from proxy.config.provider_schema import CloudSettings, Dialects, DialectSettings
from proxy.errors import ConfigError
from proxy.providers.bedrock import Bedrock, scope_of
from proxy.providers.credential_source import CredentialSource
from proxy.routing.service import service_of
from tests.providers.compiled import key_of, provider

RUNTIME = "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1"
MANTLE = "https://bedrock-mantle.us-east-1.api.aws"


@pytest.mark.parametrize(
    ("base", "chat", "messages"),
    [
        (RUNTIME, RUNTIME, f"{MANTLE}/anthropic/v1"),
        (f"{MANTLE}/v1", f"{MANTLE}/v1", f"{MANTLE}/anthropic/v1"),
        (f"{MANTLE}/openai/v1", f"{MANTLE}/openai/v1", f"{MANTLE}/anthropic/v1"),
        (f"{MANTLE}/anthropic/v1", f"{MANTLE}/openai/v1", f"{MANTLE}/anthropic/v1"),
        ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1", "http://127.0.0.1:9/anthropic/v1"),
    ],
)
def test_each_dialect_has_its_address(base: str, chat: str, messages: str) -> None:
    compiled = provider(base, kind="bedrock")
    found = compiled.sites[0].speaking
    assert (found["chat"].base_url, found["responses"].base_url) == (chat, chat)
    assert found["messages"].base_url == messages
    assert found["messages"].head("POST", "messages", key_of(compiled)).startswith(b"POST /anthropic/v1/messages ")
    assert b"Authorization: Bearer secret-key\r\n" in found["messages"].head("POST", "messages", key_of(compiled))


def test_the_host_suggests_the_kind() -> None:
    assert isinstance(provider(RUNTIME).kind, Bedrock)
    assert isinstance(provider(f"{MANTLE}/v1").kind, Bedrock)


def test_an_address_may_be_configured() -> None:
    dialects = Dialects(
        messages=DialectSettings(base_url="https://x.example/v1"), responses=DialectSettings(enabled=False)
    )
    found = provider(RUNTIME, dialects=dialects).sites[0].speaking
    assert found.keys() == {"chat", "messages"}
    assert found["messages"].base_url == "https://x.example/v1"


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("bedrock-mantle.us-east-1.api.aws", ("bedrock-mantle", "us-east-1")),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", ("bedrock", "cn-north-1")),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", ("bedrock", "us-gov-west-1")),
        ("vpce-1-a.bedrock-runtime.us-east-2.vpce.amazonaws.com", ("bedrock", "us-east-2")),
        ("my-bedrock-runtime.us-east-2.example", None),
        ("127.0.0.1", None),
    ],
)
def test_the_host_names_service_and_region(host: str, scope: tuple[str, str] | None) -> None:
    assert scope_of(host) == scope


def test_without_a_key_requests_are_signed_and_uploads_cannot_be() -> None:
    compiled = provider(RUNTIME, api_key=UNSET)
    assert key_of(compiled).source == CredentialSource("aws", CloudSettings())
    served = service_of(compiled.sites[0]).sites
    assert "audio/transcriptions" not in served
    assert {"chat/completions", "responses", "messages", "embeddings"} <= served.keys()
    assert "audio/transcriptions" in service_of(provider(RUNTIME).sites[0]).sites


def test_a_signature_needs_a_region() -> None:
    with pytest.raises(ConfigError) as caught:
        provider("https://front.example/openai/v1", kind="bedrock", api_key=UNSET)
    [mistake] = caught.value.mistakes
    assert mistake.startswith("providers.p.cloud.region: is missing: the host of baseUrl does not name the region")
    provider("https://front.example/v1", kind="bedrock", api_key=UNSET, cloud=CloudSettings(region="eu-west-1"))
