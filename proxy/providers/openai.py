"""The default kind of provider: OpenAI's paths below the base URL, and a bearer token.

Source: https://platform.openai.com/docs/api-reference/authentication
"""

from __future__ import annotations

from proxy.providers.base import ProviderKind


class OpenAI(ProviderKind):
    """Paths are appended to the base URL; the body names the model."""

    credential = "bearer"
    wires = frozenset({"chat", "responses"})

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        return f"{base}/{path}"

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        return frozenset({"api-version"})  # of clients made for Azure
