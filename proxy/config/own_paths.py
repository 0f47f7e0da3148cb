"""Paths that are the gateway's own, so that no route to a service can take them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# -- the API ----------------------------------------------------------------------------------------

# What follows a base path; ``routing/endpoints.py`` says what each is.
ENDPOINT_PATHS: Final = (
    "chat/completions",
    "chat/completions/stream",
    "completions",
    "responses",
    "responses/input_tokens",
    "embeddings",
    "moderations",
    "images/generations",
    "images/edits",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "messages",
    "messages/count_tokens",
)
# Objects that OpenAI keeps between requests. Only the configured ``defaultProvider`` can serve these:
# https://platform.openai.com/docs/api-reference (files, batches, assistants, ...)
STATEFUL: Final = frozenset(
    ("assistants", "batches", "chatkit", "containers", "content_provenance_checks", "conversations", "evals",
     "files", "fine_tuning", "realtime", "skills", "threads", "uploads", "vector_stores", "videos")
)  # fmt: skip
# Stateless paths that the gateway does not serve itself; relayed to ``defaultProvider`` as well.
UNSUPPORTED: Final = frozenset(("images/variations", "responses/compact", "content_provenance_checks", "realtime"))
STATEFUL_BELOW: Final = (
    "responses/",
    "chat/completions/",
    "audio/voices",
    "audio/voice_consents",
    "images/variations",
    "models/",
)
# Administration of the provider's account: never relayed.
FORBIDDEN: Final = frozenset(("organization", "projects", "organizations", "compliance"))

# The base paths of Azure's v1 API and of its versioned one, and what precedes a model's name in the latter:
# https://learn.microsoft.com/azure/ai-services/openai/reference
AZURE_BASES: Final = ("/openai/v1", "/openai")
AZURE_DEPLOYMENTS: Final = "/openai/deployments/"
# The base path of clients made for Claude in Microsoft Foundry.
FOUNDRY_BASE: Final = "/anthropic/v1"
# The base paths of Google's API beside ours, and its resources: https://ai.google.dev/api
GEMINI_BASES: Final = ("/v1beta/", "/v1alpha/")
resource = re.compile(r"(models|tunedModels)/(.+):([A-Za-z]+)").fullmatch
PINNED: Final = "/proxy/"  # precedes the name of a provider

_WHOLE: Final = (PINNED, AZURE_DEPLOYMENTS)
_FIRST: Final = frozenset({"models", *STATEFUL, *FORBIDDEN, *(path for path in UNSUPPORTED if "/" not in path)})

# -- the control plane ------------------------------------------------------------------------------

# They belong to it whether or not there is such a page.
CONTROL_PREFIXES: Final = (
    "/admin/",
    "/auth/",
    "/health/",
    "/docs/",
    "/analytics/",
    "/billing/",
    "/orchestrator/",
    "/services/",
    "/routes/",
)
CONTROL_PATHS: Final = ("/admin", "/auth", "/health", "/ready", "/metrics", "/services", "/routes")
# Further pages. ``/`` is one, too, but a route to a service may have it.
CONTROL_PAGES: Final = ("/docs", "/redoc", "/openapi.json", "/api/hello")
_OWN_PREFIXES: Final = (*CONTROL_PREFIXES, *_WHOLE)
HEALTH: Final = "health"  # below the API's base paths


def bases_of(base_paths: Iterable[str]) -> tuple[str, ...]:
    """All base paths of the API, with a slash at the end. ``base_paths``: the configured one and ``/v1``."""
    return tuple(base.rstrip("/") + "/" for base in dict.fromkeys((*base_paths, *AZURE_BASES, FOUNDRY_BASE)))


class OwnPaths:
    """``owns(path)`` is true for the control plane's pages, and for what the API lists, in each spelling that clients
    use: served, relayed to one provider, or refused. Anything else below a base path may be routed to a service.
    """

    def __init__(self, base_path: str) -> None:
        """``base_path``: ``server.basePath``."""
        own = ("/v1", base_path)
        self._bases = bases_of(own)
        self._exact = {base + path for base in self._bases for path in ENDPOINT_PATHS}
        self._exact |= {base.rstrip("/") + f"/{HEALTH}" for base in own}
        self._exact |= {*CONTROL_PATHS, *CONTROL_PAGES, *(prefix[:-1] for prefix in _WHOLE)}
        # The first segment says at once that most paths of services are not ours.
        listed = (*self._exact, *self._bases, *_WHOLE, *GEMINI_BASES, *CONTROL_PREFIXES)
        self._firsts = frozenset(each.split("/")[1] for each in listed)

    def owns(self, path: str) -> bool:
        if path[1:].partition("/")[0] not in self._firsts:
            return False
        if path in self._exact or path.startswith(_OWN_PREFIXES):
            return True
        if path.endswith("/"):
            path = path[:-1]
            if path in self._exact:
                return True
        if path.startswith(GEMINI_BASES):
            return _is_model(path.split("/", 2)[2])
        return any(path.startswith(base) and _is_ours(path[len(base) :]) for base in self._bases)

    def shadowed(self, path: str) -> str:
        """The shortest of the gateway's own paths that lead to ``path``; ``""``: it is none, so a route may have it.

        With a slash at its end only what is below it is the gateway's own.
        """
        if not self.owns(path):
            return ""
        end = path.find("/", 1)
        while end >= 0:
            for shorter in (path[:end], path[: end + 1]):
                if self.owns(shorter):
                    return shorter
            end = path.find("/", end + 1)
        return path


def _is_model(path: str) -> bool:
    return path == "models" or path.startswith("models/") or resource(path) is not None


def _is_ours(path: str) -> bool:
    """Whether what follows a base path is ours, beside the endpoints."""
    return (
        path.partition("/")[0] in _FIRST
        or path in UNSUPPORTED
        or path.startswith(STATEFUL_BELOW)
        or resource(path) is not None
    )
