"""Providers as compiled from their settings."""

from __future__ import annotations

from typing import Any

from proxy.config.provider_schema import ProviderSettings as Settings
from proxy.providers.keys import Key
from proxy.providers.provider import Provider
from proxy.providers.state import state_of


def provider(base_url: str = "https://host.example/v1", **more: Any) -> Provider:
    settings = Settings(**{"base_url": base_url, "api_key": "secret-key"} | more)
    return Provider("p", settings, state_of(settings), version="1", any_model=True)


def key_of(compiled: Provider) -> Key:
    key = compiled.keys.take(0.0)
    assert key is not None
    return key


def target(base_url: str, path: str, model: str | None = "gpt-4o", query: str = "", **more: Any) -> str:
    return provider(base_url, **more).sites[0].target(path, model, query)
