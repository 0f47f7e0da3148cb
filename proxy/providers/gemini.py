"""Google's Gemini API: the path names the model and the method.

Source: https://ai.google.dev/api
"""

from __future__ import annotations

from urllib.parse import quote

from proxy.providers.base import ProviderKind, safe_in_path


class Gemini(ProviderKind):
    """``{base}/models/{model}:{method}``; the base URL's path ends with the version."""

    credential = "x-goog-api-key"
    wires = frozenset({"gemini"})

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        return f"{base}/{path}" if model is None else f"{base}/{_resource(model)}:{path}"

    def parameters(self, path: str) -> str:
        # The other form is one JSON array, which no reader can follow as it arrives.
        return "alt=sse" if path == "streamGenerateContent" else ""

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        return frozenset({"alt", "$alt", "callback"})  # they choose another form of the answer

    def accepts_name(self, model: str) -> bool:
        return safe_in_path(model)


def _resource(model: str) -> str:
    """``models/{model}``, where the name is not that of a tuned model or has the collection itself."""
    collection, slash, name = model.partition("/")
    if slash and collection in ("models", "tunedModels"):
        return f"{collection}/{quote(name, safe='')}"
    return f"models/{quote(model, safe='')}"
