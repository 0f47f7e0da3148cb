"""The table of provider kinds, by their names in the configuration."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from proxy.providers.base import ProviderKind

_KINDS: Final = {
    "openai": "proxy.providers.openai:OpenAI",
    "azure": "proxy.providers.azure:Azure",
    "anthropic": "proxy.providers.anthropic:Anthropic",
    "gemini": "proxy.providers.gemini:Gemini",
    "vertex": "proxy.providers.vertex:Vertex",
    "bedrock": "proxy.providers.bedrock:Bedrock",
}


def kind_of(name: str) -> ProviderKind:
    """The kind with that name. Its module is imported when a configuration first uses it."""
    module, _, attribute = _KINDS[name].partition(":")
    found: ProviderKind = getattr(import_module(module), attribute)()
    return found
