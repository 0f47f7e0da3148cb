"""Paths that are the API's own, so that no route to a service can take them."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from proxy.routing.endpoints import FORBIDDEN, STATEFUL, STATEFUL_BELOW, UNSUPPORTED

# The base paths of Azure's v1 API and of its versioned one, and what precedes a model's name in the latter:
# https://learn.microsoft.com/azure/ai-services/openai/reference
AZURE_BASES: Final = ("/openai/v1", "/openai")
AZURE_DEPLOYMENTS: Final = "/openai/deployments/"
# The base paths of Google's API beside ours, and its resources: https://ai.google.dev/api
GEMINI_BASES: Final = ("/v1beta/", "/v1alpha/")
resource = re.compile(r"(models|tunedModels)/(.+):([A-Za-z]+)").fullmatch
PINNED: Final = "/proxy/"  # precedes the name of a provider

_WHOLE: Final = (PINNED, AZURE_DEPLOYMENTS)
_FIRST: Final = frozenset({"models", *STATEFUL, *FORBIDDEN, *(path for path in UNSUPPORTED if "/" not in path)})


class OwnPaths:
    """``owns(path)`` is true for what ``endpoints.py`` lists, in each spelling that clients use: served, relayed to one
    provider, or refused. Anything else below a base path may be routed to a service.
    """

    def __init__(self, bases: tuple[str, ...], posted: Container[str]) -> None:
        """``bases`` end with a slash. ``posted``: exact paths of endpoints."""
        self._bases = bases
        self._posted = posted
        # The first segment says at once that most paths of services are not ours.
        self._firsts = frozenset(each.split("/")[1] for each in (*bases, *_WHOLE, *GEMINI_BASES))

    def owns(self, path: str) -> bool:
        if path[1:].partition("/")[0] not in self._firsts:
            return False
        if path in self._posted or path.startswith(_WHOLE) or f"{path}/" in _WHOLE:
            return True
        if path.startswith(GEMINI_BASES):
            return _is_model(path.split("/", 2)[2])
        return any(path.startswith(base) and self._below(base, path[len(base) :]) for base in self._bases)

    def _below(self, base: str, path: str) -> bool:
        """Whether what follows a base path is ours."""
        if path.endswith("/"):
            path = path[:-1]
        return (
            base + path in self._posted
            or path.partition("/")[0] in _FIRST
            or path in UNSUPPORTED
            or path.startswith(STATEFUL_BELOW)
            or resource(path) is not None
        )


def _is_model(path: str) -> bool:
    path = path.removesuffix("/")
    return path == "models" or path.startswith("models/") or resource(path) is not None
