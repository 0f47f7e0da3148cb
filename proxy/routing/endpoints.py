"""Table of the endpoints: OpenAI's and Anthropic's under the base paths (``/v1``, ``/api/v1``), and Google's methods.

``replayable``: the request may be sent again after it was sent once; running it twice only costs tokens.
``streams``: the response may be an event stream. ``answer``: what else it may be; ``json`` responses are collected and
checked before they are sent.
Sources: https://platform.openai.com/docs/api-reference, https://docs.claude.com/en/api/messages,
https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, Literal

from msgspec import UNSET, Struct

from proxy.config.provider_schema import EndpointName, ModelSettings, WireDialect
from proxy.dialects import table
from proxy.dialects.table import (
    ANTHROPIC_OTHER,
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    GEMINI,
    GEMINI_BATCH_EMBED,
    GEMINI_COUNT,
    GEMINI_EMBED,
    GEMINI_OTHER,
    MESSAGES,
    MESSAGES_COUNT,
    OTHER,
    RESPONSES,
    RESPONSES_COUNT,
    VERTEX_BATCH_EMBED,
    VERTEX_EMBED,
    VERTEX_PREDICT,
    Dialect,
)

Kind = Literal["call", "models", "passthrough", "unrouted"]


class Endpoint(Struct, frozen=True):
    """One endpoint. ``path`` follows both our base path and a provider's base URL. ``dialect`` is the client's.

    ``wire``: what a provider must speak to serve it. ``in_path``: the path names the model and says whether the answer
    is a stream, so the body has neither. ``kind``: label of its requests in metrics.
    """

    path: str
    dialect: Dialect
    streams: bool
    replayable: bool
    body: Literal["json", "multipart", "opaque"]
    answer: Literal["json", "any"]
    force_stream: bool = False
    alias: str = ""  # path for clients, if not ``path``
    wire: WireDialect = "chat"
    in_path: bool = False
    kind: Kind = "call"
    media: bool = False  # images, audio and unknown content: ``routing.timeoutSecs`` does not apply


ENDPOINTS: tuple[Endpoint, ...] = (
    #        path                    dialect               streams replay. body         answer
    Endpoint("chat/completions",     CHAT,        True,   True,   "json",      "json"),
    Endpoint("chat/completions",     CHAT,        True,   True,   "json",      "json",
             force_stream=True, alias="chat/completions/stream"),
    Endpoint("completions",          COMPLETIONS, True,   True,   "json",      "json"),
    Endpoint("responses",            RESPONSES,   True,   False,  "json",      "json", wire="responses"),
    Endpoint("responses/input_tokens", RESPONSES_COUNT, False, True, "json",   "json", wire="responses"),
    Endpoint("embeddings",           EMBEDDINGS,  False,  True,   "json",      "json"),
    Endpoint("moderations",          OTHER,       False,  True,   "json",      "json"),
    Endpoint("images/generations",   OTHER,       True,   False,  "json",      "json", media=True),
    Endpoint("audio/speech",         OTHER,       True,   False,  "json",      "any", media=True),
    Endpoint("audio/transcriptions", OTHER,       True,   False,  "multipart", "any", media=True),
    Endpoint("audio/translations",   OTHER,       False,  False,  "multipart", "any", media=True),
    Endpoint("images/edits",         OTHER,       True,   False,  "multipart", "json", media=True),
    Endpoint("messages",             MESSAGES,    True,   True,   "json",      "json", wire="messages"),
    Endpoint("messages/count_tokens", MESSAGES_COUNT, False, True, "json",     "json", wire="messages"),
    Endpoint("generateContent",      GEMINI,      False,  True,   "json",      "json", wire="gemini", in_path=True),
    Endpoint("streamGenerateContent", GEMINI,     True,   True,   "json",      "json", wire="gemini", in_path=True,
             force_stream=True),
    Endpoint("countTokens",          GEMINI_COUNT, False, True,   "json",      "json", wire="gemini", in_path=True),
    Endpoint("embedContent",         GEMINI_EMBED, False, True,   "json",      "json", wire="gemini", in_path=True),
    Endpoint("batchEmbedContents",   GEMINI_BATCH_EMBED, False, True, "json",  "json", wire="gemini", in_path=True),
)  # fmt: skip

# Endpoints of Vertex AI that calls for embeddings are translated to; no client's request has them.
_ONE_ON_VERTEX: Final = Endpoint("embedContent", VERTEX_EMBED, False, True, "json", "json", wire="gemini", in_path=True)
BATCH_ON_VERTEX: Final = Endpoint(
    "batchEmbedContents", VERTEX_BATCH_EMBED, False, True, "json", "json", wire="gemini", in_path=True
)
PREDICT: Final = Endpoint("predict", VERTEX_PREDICT, False, True, "json", "json", wire="gemini", in_path=True)

_STREAM: Final = next(endpoint for endpoint in ENDPOINTS if endpoint.in_path and endpoint.force_stream)


def streamed(endpoint: Endpoint) -> Endpoint:
    """The endpoint for the same answer as a stream; the same one where the body says that it is one."""
    return _STREAM if endpoint.path == "generateContent" else endpoint


def embedding(endpoint: Endpoint, texts: int) -> Endpoint:
    """The endpoint for so many texts. Vertex AI has one for a single text, which is older than that for several."""
    return _ONE_ON_VERTEX if endpoint is BATCH_ON_VERTEX and texts == 1 else endpoint


PATHS: Final = tuple(dict.fromkeys(endpoint.path for endpoint in ENDPOINTS))
WIRES: Final[Mapping[str, WireDialect]] = {endpoint.path: endpoint.wire for endpoint in ENDPOINTS}

# Endpoints by model type; any other type serves text.
_OF_TYPE: Final[dict[str, tuple[EndpointName, ...]]] = {
    "embedding": ("embeddings",),
    "moderation": ("moderations",),
    "image": ("images",),
    "audio": ("audio",),
}
_TEXT: Final[tuple[EndpointName, ...]] = ("chat", "completions", "responses", "messages", "gemini")
# Google's methods, by the names that they have in the configuration.
_METHODS: Final[Mapping[EndpointName, tuple[str, ...]]] = {
    "gemini": ("generateContent", "streamGenerateContent", "countTokens"),
    "embeddings": ("embedContent", "batchEmbedContents"),
}


def _paths(names: Iterable[EndpointName]) -> frozenset[str]:
    found = {path for path in PATHS for name in names if path == name or path.startswith(f"{name}/")}
    return frozenset(found.union(*(_METHODS.get(name, ()) for name in names)))


TEXT: Final = _paths(_TEXT)


def served(model: ModelSettings | None) -> frozenset[str] | None:
    """Paths that a model serves; ``None`` if neither ``type`` nor ``endpoints`` is configured."""
    if model is None or (model.type is UNSET and model.endpoints is UNSET):
        return None
    return _paths(_OF_TYPE.get(model.kind, _TEXT) if model.endpoints is UNSET else model.endpoints)


# Passthrough to one provider: never decoded, never sent twice.
OPAQUE = Endpoint("*", table.OPAQUE, True, False, "opaque", "any", kind="passthrough", media=True)

# Lists of models, and requests with an unknown path, by the API that the client speaks.
MODELS = Endpoint("models", OTHER, False, True, "opaque", "json", kind="models")
ANTHROPIC_MODELS = Endpoint("models", ANTHROPIC_OTHER, False, True, "opaque", "json", kind="models")
GEMINI_MODELS = Endpoint("models", GEMINI_OTHER, False, True, "opaque", "json", kind="models")
UNROUTED = Endpoint("-", table.OPAQUE, False, False, "opaque", "any", kind="unrouted")
ANTHROPIC_UNROUTED = Endpoint("-", ANTHROPIC_OTHER, False, False, "opaque", "any", kind="unrouted")
GEMINI_UNROUTED = Endpoint("-", GEMINI_OTHER, False, False, "opaque", "any", kind="unrouted")


@cache
def paths_of(wire: WireDialect) -> frozenset[str]:
    """The paths of the endpoints that need this dialect."""
    return frozenset(endpoint.path for endpoint in ENDPOINTS if endpoint.wire == wire)
