from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import UNSET

from proxy.config.provider_schema import CloudSettings, ProviderSettings
from proxy.errors import ConfigError
from proxy.providers import credential_source
from proxy.providers.credential_source import CredentialSource
from proxy.providers.state import state_of
from tests.providers.compiled import provider

RUNTIME = "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1"
BASE = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"


def without(*modules: str) -> Callable[[str], Any]:
    def found(name: str) -> Any:
        if name in modules:
            raise ModuleNotFoundError(name)
        return importlib.util.find_spec(name)

    return found


@pytest.mark.parametrize(
    ("base", "gone", "mistake"),
    [
        (BASE, "google.auth", "needs google-auth, which is not installed: pip install 'sluice-gateway[google]'"),
        (BASE, "requests", "needs google-auth, which is not installed: pip install 'sluice-gateway[google]'"),
        (RUNTIME, "botocore", "needs botocore, which is not installed: pip install 'sluice-gateway[aws]'"),
    ],
)
def test_a_missing_package_is_one_readable_mistake(
    base: str, gone: str, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_source, "find_spec", without(gone))
    with pytest.raises(ConfigError) as caught:
        provider(base, api_key=UNSET)
    assert caught.value.mistakes == [f"providers.p: without apiKey it {mistake}"]
    provider(base)  # with a key nothing is needed


def test_keys_are_not_shown() -> None:
    source = CredentialSource("aws", CloudSettings(access_key_id="AKIDEXAMPLE", secret_access_key="hidden"))
    assert "hidden" not in repr(source)
    assert "AKIDEXAMPLE" not in repr(source)


def test_a_configured_header_replaces_the_issued_credential() -> None:
    state = state_of(ProviderSettings(base_url=BASE, headers={"Authorization": "Bearer mine"}))
    assert state.keys.source is None


def test_a_reload_keeps_the_key_of_an_equal_source() -> None:
    before = state_of(ProviderSettings(base_url=BASE, cloud=CloudSettings(credentials_file="a")))
    [key] = before.keys._keys
    same = state_of(ProviderSettings(base_url=BASE, cloud=CloudSettings(credentials_file="a")), before)
    other = state_of(ProviderSettings(base_url=BASE, cloud=CloudSettings(credentials_file="b")), before)
    assert same.keys.take(0.0) is key
    assert other.keys.take(0.0) is not key
