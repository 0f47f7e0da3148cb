"""The default kind of provider: OpenAI's paths below the base URL, and a bearer token.

Source: https://platform.openai.com/docs/api-reference/authentication
"""

from __future__ import annotations

from proxy.config.provider_schema import WireDialect
from proxy.providers.base import ProviderKind
from proxy.providers.models.servers import server_name


class OpenAI(ProviderKind):
    """Paths are appended to the base URL; the body names the model."""

    credential = "bearer"
    wires = frozenset({"chat", "responses"})

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        return f"{base}/{path}"

    # Others have the Responses API without it: https://github.com/vllm-project/vllm/issues/49533,
    # https://github.com/openai/openai-dotnet/issues/1165 (Azure)
    def counts_at(self, base_url: str) -> frozenset[WireDialect]:
        return frozenset({"responses"}) if server_name("", base_url) == "openai" else frozenset()

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        return frozenset({"api-version"})  # of clients made for Azure
