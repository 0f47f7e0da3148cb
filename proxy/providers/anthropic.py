"""Anthropic's API: ``messages`` below the base URL, whose path ends with the version.

Source: https://docs.claude.com/en/api/overview
"""

from __future__ import annotations

from proxy.providers.base import ProviderKind


class Anthropic(ProviderKind):
    """The body names the model. Clients send ``anthropic-version``, which passes."""

    credential = "x-api-key"
    wires = frozenset({"messages"})

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        return f"{base}/{path}"
