"""Anthropic's API: ``messages`` below the base URL, whose path ends with the version.

Sources: https://docs.claude.com/en/api/overview and https://docs.claude.com/en/api/models-list
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from proxy.config.provider_schema import WireDialect
from proxy.providers.base import ProviderKind
from proxy.providers.model_list import ModelList, ModelPage, decoded


class AnthropicModels(ModelList):
    """In pages of at most 1000."""

    query = "limit=1000"
    headers = {"anthropic-version": "2023-06-01"}

    def read(self, body: bytes) -> ModelPage:
        page = decoded(_decode, body)
        names = [entry.id for entry in page.data]
        after = page.last_id or (names[-1] if names else "")
        return ModelPage(names, f"{self.query}&after_id={quote(after, safe='')}" if page.has_more and after else "")


class Anthropic(ProviderKind):
    """The body names the model. Clients send ``anthropic-version``, which passes."""

    credential = "x-api-key"
    wires = frozenset({"messages"})
    own = "messages"
    model_list = AnthropicModels()

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        return f"{base}/{path}"

    def counts_at(self, base_url: str) -> frozenset[WireDialect]:
        return self.wires


class _Model(Struct):
    id: str = ""


class _Models(Struct):
    data: list[_Model]
    has_more: bool = False
    last_id: str | None = None


_decode: Final = msgspec.json.Decoder(_Models)
