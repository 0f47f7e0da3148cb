"""Google's Gemini API: the path names the model and the method.

Sources: https://ai.google.dev/api and https://ai.google.dev/api/models
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from proxy.config.provider_schema import WireDialect
from proxy.providers.base import ProviderKind, safe_in_path
from proxy.providers.model_list import ModelList, ModelPage, decoded

# Others have methods that the gateway does not serve: ``predict``, ``bidiGenerateContent``, ...
_SERVED: Final = frozenset({"generateContent", "countTokens", "embedContent", "batchEmbedContents"})


class GeminiModels(ModelList):
    """In pages of at most 1000; names begin with ``models/``."""

    query = "pageSize=1000"

    def read(self, body: bytes) -> ModelPage:
        page = decoded(_decode, body)
        names = [
            entry.name.removeprefix("models/")
            for entry in page.models
            if entry.methods is None or not _SERVED.isdisjoint(entry.methods)
        ]
        token = page.token
        return ModelPage(names, f"{self.query}&pageToken={quote(token, safe='')}" if token else "")


class Gemini(ProviderKind):
    """``{base}/models/{model}:{method}``; the base URL's path ends with the version."""

    credential = "x-goog-api-key"
    wires = frozenset({"gemini"})
    own = "gemini"
    model_list = GeminiModels()

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        return f"{base}/{path}" if model is None else f"{base}/{_resource(model)}:{path}"

    def parameters(self, path: str) -> str:
        # The other form is one JSON array, which no reader can follow as it arrives.
        return "alt=sse" if path == "streamGenerateContent" else ""

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        return frozenset({"alt", "$alt", "callback"})  # they choose another form of the answer

    def counts_at(self, base_url: str) -> frozenset[WireDialect]:
        return self.wires

    def accepts_name(self, model: str) -> bool:
        return safe_in_path(model)


def _resource(model: str) -> str:
    """``models/{model}``, where the name is not that of a tuned model or has the collection itself."""
    collection, slash, name = model.partition("/")
    if slash and collection in ("models", "tunedModels"):
        return f"{collection}/{quote(name, safe='')}"
    return f"models/{quote(model, safe='')}"


class _GeminiModel(Struct):
    name: str = ""
    methods: list[str] | None = field(name="supportedGenerationMethods", default=None)


class _GeminiPage(Struct):
    models: list[_GeminiModel]
    token: str = field(name="nextPageToken", default="")


_decode: Final = msgspec.json.Decoder(_GeminiPage)
