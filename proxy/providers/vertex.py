"""Gemini and Claude on Google's cloud: the path names the publisher, the model and the method.

Sources: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://docs.claude.com/en/api/claude-on-vertex-ai, and ``lib/vertex/_client.py`` of anthropic-sdk-python.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct, field

from proxy.config.provider_schema import ProviderSettings, WireDialect
from proxy.dialects.call import Call
from proxy.dialects.gemini.call import COUNTED_REQUEST
from proxy.dialects.json_call import members_of
from proxy.providers.base import CallChanges, EmbeddingMethod, ProviderKind, safe_in_path
from proxy.providers.credential_source import CredentialSource
from proxy.providers.model_list import ModelList, ModelPage, decoded

MESSAGES: Final = "messages"
COUNT_TOKENS: Final = "messages/count_tokens"
COUNT_CONTENTS: Final = "countTokens"
# Members of a request of ``generateContent`` that ``countTokens`` has here:
# https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens
_COUNTED: Final = frozenset(
    ("contents", "systemInstruction", "system_instruction", "tools", "generationConfig", "generation_config")
)
_OWN_VERSION: Final = b'"vertex-2023-10-16"'  # of Anthropic's API, where the client has none that is newer
_OLD: Final = "2023-06-01"
_encode: Final = msgspec.json.Encoder().encode
_is_claude: Final = re.compile(r"publishers/anthropic/|(?:.*/)?claude-").match
# As in ``t_is_vertex_embed_content_model`` of google-genai 3.6.
_has_embed_content: Final = re.compile(r"(?:.*/)?[^/]*(?:gemini|maas)[^/]*").fullmatch
# What precedes the version in a base URL.
_before_version: Final = re.compile(r"(.*?)(?:/v1(?:beta1)?(?:/projects/.*)?)?").fullmatch


class VertexModels(ModelList):
    """Google's own models only. Those of a project are not among them."""

    query = "pageSize=100"
    complete = False

    def read(self, body: bytes) -> ModelPage:
        page = decoded(_decode, body)
        names = [entry.name.removeprefix("publishers/google/models/") for entry in page.models]
        return ModelPage(names, f"{self.query}&pageToken={quote(page.token, safe='')}" if page.token else "")


class Vertex(ProviderKind):
    """The base URL ends with ``/v1/projects/{project}/locations/{location}``.

    A key is one of Google's API keys. Without any, an access token is fetched.
    """

    credential = "x-goog-api-key"
    wires = frozenset({"gemini", "messages"})
    own = "gemini"
    model_list = VertexModels()
    in_path = True
    cloud = True

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        if path == "models":  # in this version of the API only
            found = _before_version(base)
            return f"{found[1] if found else ''}/v1beta1/publishers/google/models"
        if model is None:
            return f"{base}/{path}"
        if path == MESSAGES:
            return f"{base}/{_resource(model, 'anthropic')}:rawPredict"
        if path == COUNT_TOKENS:  # the body names the model
            return f"{base}/publishers/anthropic/models/count-tokens:rawPredict"
        return f"{base}/{_resource(model, 'google')}:{path}"

    def parameters(self, path: str) -> str:
        return "alt=sse" if path == "streamGenerateContent" else ""

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        # Google refuses parameters that it does not know, such as the ``beta`` of Anthropic's clients.
        return frozenset({"alt", "$alt", "callback", "beta"})

    def wires_of(self, model: str) -> frozenset[WireDialect]:
        return frozenset({"messages"} if _is_claude(model) else {"gemini"})

    def embeds_by(self, model: str) -> EmbeddingMethod:
        return "vertex" if _has_embed_content(model) else "predict"

    def counts_at(self, base_url: str) -> frozenset[WireDialect]:
        return self.wires

    def accepts_name(self, model: str) -> bool:
        return safe_in_path(model)

    def call_changes(self, path: str, call: Call, version: str) -> CallChanges | None:
        if path == COUNT_CONTENTS:
            return _unwrapped(call)
        if path not in (MESSAGES, COUNT_TOKENS):
            return None
        members: dict[str, bytes | None] = {}
        if "anthropic_version" not in call.members:
            members["anthropic_version"] = _OWN_VERSION if version in ("", _OLD) else _encode(version)
        if path == COUNT_TOKENS:
            return CallChanges(members)
        members["model"] = None
        return CallChanges(members, "streamRawPredict" if call.stream else "")

    def source(self, settings: ProviderSettings) -> CredentialSource:
        return CredentialSource("google", settings.cloud)

    def mistake(self, settings: ProviderSettings) -> str:
        for address in settings.addresses:
            if "/projects/" not in urlsplit(address).path:
                return ".baseUrl: must end with /v1/projects/PROJECT/locations/LOCATION"
        return ""


def _unwrapped(call: Call) -> CallChanges | None:
    """The members of a whole request, which only the Gemini API takes as one; ``None`` where there is none."""
    members = call.members
    name = next((name for name in COUNTED_REQUEST if members.first_byte(name) == b"{"), None)
    if name is None:
        return None
    request = members_of(members.raw(name) or b"", _COUNTED, checked=True)
    return CallChanges({name: None} | {each: request.raw(each) for each in _COUNTED if each in request})


def _resource(model: str, publisher: str) -> str:
    """The resource of a model: one of the publisher, unless the name says ``publishers/...`` or ``endpoints/ID``."""
    collection, _, _ = model.partition("/")
    if collection in ("publishers", "endpoints"):
        return quote(model, safe="/@")
    return f"publishers/{publisher}/models/{quote(model, safe='@')}"


class _PublisherModel(Struct):
    name: str = ""


class _PublisherPage(Struct):
    models: list[_PublisherModel] = field(name="publisherModels")
    token: str = field(name="nextPageToken", default="")


_decode: Final = msgspec.json.Decoder(_PublisherPage)
