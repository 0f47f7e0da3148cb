"""The one table of what clients may ask for under the base paths (``/v1``, ``/api/v1``).

``replayable``: the request may be sent again after its bytes left for a provider, because running it
twice harms nobody but the bill. ``streams``: the answer may be an event stream. ``answer``: what else it
may be; ``json`` answers are collected and checked before they are sent.
Source: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import UNSET, Struct

from proxy.config.schema import EndpointName, Model

Dialect = Literal["openai.chat", "openai.completions", "openai.responses", "openai.other", "opaque"]
Kind = Literal["call", "models", "passthrough", "unrouted"]


class Endpoint(Struct, frozen=True):
    """``path`` is relative to a base path and also what follows a provider's base URL.

    ``kind`` is what a request to it counts as: a call to a model, or one of the others (``observe/metrics.py``).
    """

    path: str
    dialect: Dialect
    streams: bool
    replayable: bool
    body: Literal["json", "multipart", "opaque"]
    answer: Literal["json", "any"]
    force_stream: bool = False
    alias: str = ""  # what the client calls it, where that is not ``path``
    kind: Kind = "call"
    media: bool = False  # images, audio and unknown content: ``routing.timeoutSecs`` is not for them


ENDPOINTS: tuple[Endpoint, ...] = (
    #        path                    dialect               streams replay. body         answer
    Endpoint("chat/completions",     "openai.chat",        True,   True,   "json",      "json"),
    Endpoint("chat/completions",     "openai.chat",        True,   True,   "json",      "json",
             force_stream=True, alias="chat/completions/stream"),
    Endpoint("completions",          "openai.completions", True,   True,   "json",      "json"),
    Endpoint("responses",            "openai.responses",   True,   False,  "json",      "json"),
    Endpoint("embeddings",           "openai.other",       False,  True,   "json",      "json"),
    Endpoint("moderations",          "openai.other",       False,  True,   "json",      "json"),
    Endpoint("images/generations",   "openai.other",       True,   False,  "json",      "json", media=True),
    Endpoint("audio/speech",         "openai.other",       True,   False,  "json",      "any", media=True),
    Endpoint("audio/transcriptions", "openai.other",       True,   False,  "multipart", "any", media=True),
    Endpoint("audio/translations",   "openai.other",       False,  False,  "multipart", "any", media=True),
    Endpoint("images/edits",         "openai.other",       True,   False,  "multipart", "json", media=True),
)  # fmt: skip

PATHS: Final = tuple(dict.fromkeys(endpoint.path for endpoint in ENDPOINTS))

# What a model of a type serves; of any other type: text.
_OF_TYPE: Final[dict[str, tuple[EndpointName, ...]]] = {
    "embedding": ("embeddings",),
    "moderation": ("moderations",),
    "image": ("images",),
    "audio": ("audio",),
}
_TEXT: Final[tuple[EndpointName, ...]] = ("chat", "completions", "responses")


def _paths(names: Iterable[EndpointName]) -> frozenset[str]:
    return frozenset(path for path in PATHS for name in names if path == name or path.startswith(f"{name}/"))


TEXT: Final = _paths(_TEXT)


def served(model: Model | None) -> frozenset[str] | None:
    """The paths that a model serves; ``None`` where its configuration says neither ``type`` nor ``endpoints``."""
    if model is None or (model.type is UNSET and model.endpoints is UNSET):
        return None
    return _paths(_OF_TYPE.get(model.kind, _TEXT) if model.endpoints is UNSET else model.endpoints)


# Paths that belong to one provider as they are: never decoded, never sent twice.
OPAQUE = Endpoint("*", "opaque", True, False, "opaque", "any", kind="passthrough", media=True)

# The list of models, and a request whose path is none of these.
MODELS = Endpoint("models", "openai.other", False, True, "opaque", "json", kind="models")
UNROUTED = Endpoint("-", "opaque", False, False, "opaque", "any", kind="unrouted")

# What OpenAI keeps between requests. Only a provider named by ``defaultProvider`` can answer these:
# https://platform.openai.com/docs/api-reference (files, batches, assistants, ...)
STATEFUL = frozenset(
    ("assistants", "batches", "chatkit", "containers", "content_provenance_checks", "conversations", "evals",
     "files", "fine_tuning", "realtime", "skills", "threads", "uploads", "vector_stores", "videos")
)  # fmt: skip
# Paths of OpenAI that keep nothing, and that the gateway does not serve either: relayed like the others.
UNSUPPORTED = frozenset(
    ("images/variations", "responses/input_tokens", "responses/compact", "content_provenance_checks", "realtime")
)
STATEFUL_BELOW = (
    "responses/",
    "chat/completions/",
    "audio/voices",
    "audio/voice_consents",
    "images/variations",
    "models/",
)

# The account's own administration: no gateway client has business there.
FORBIDDEN = frozenset(("organization", "projects"))
