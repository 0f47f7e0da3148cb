"""Azure OpenAI: an ``api-key`` header, and the model in the path where the API has a version.

Three forms of the base URL are understood:

- ``https://{resource}.openai.azure.com/openai/v1``, or the resource alone: the v1 API; the body names the model;
- the resource with ``?api-version=...``: the versioned API, with ``/openai/deployments/{model}/`` in the path;
- a base URL with any other path, such as ``/openai/deployments/{name}?api-version=...``: paths are appended to it.

Sources: https://learn.microsoft.com/azure/ai-services/openai/api-version-lifecycle and
https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from proxy.providers.base import ProviderKind, safe_in_path
from proxy.providers.model_list import ModelList

# Endpoints of the versioned API that stand below a deployment, as in openai-python's ``lib/azure.py``.
_BELOW_DEPLOYMENT: Final = frozenset(
    {"chat/completions", "completions", "embeddings", "images/edits", "images/generations"}
    | {"audio/speech", "audio/transcriptions", "audio/translations"}
)


class AzureModels(ModelList):
    """The base models of the resource, which are no names of deployments."""

    complete = False


class Azure(ProviderKind):
    """Azure calls a deployment what the configuration calls the provider's model."""

    credential = "api-key"
    wires = frozenset({"chat", "responses"})
    model_list = AzureModels()

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        if base not in ("", "/openai"):
            return f"{base}/{path}"
        if "api-version=" not in query:
            return f"/openai/v1/{path}"
        if model is not None and path in _BELOW_DEPLOYMENT:
            return f"/openai/deployments/{quote(model, safe='')}/{path}"
        return f"/openai/{path}"

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        # The v1 API refuses the version that clients made for the other one always send:
        # https://learn.microsoft.com/azure/ai-services/openai/api-version-lifecycle
        return frozenset({"api-version"} if "/openai/v1/" in self.target(base, query, "models", None) else ())

    def accepts_name(self, model: str) -> bool:
        return safe_in_path(model)
