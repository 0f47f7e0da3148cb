"""Paths of Google's and Anthropic's APIs that the gateway does not serve, and what clients can use instead.

They are about state at one provider. Sources: https://ai.google.dev/api, https://platform.claude.com/docs/en/api, and
the packages google-genai 3.6 and anthropic 2.14
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.errors import ClientFault

# Paths of Google's API that do not begin with the version: uploads, and the WebSocket of the Live API.
UPLOADS: Final = "/upload/"
LIVE: Final = "/ws/google."

_FILES: Final = "Files at Google are not served. Send the content in the request, as inlineData."
_BATCHES: Final = "Batches are not served. Send each request to generateContent or batchEmbedContents of a model."
_GOOGLES_AGENTS: Final = "Google's agents are not served. Use generateContent of a model, and run its tools yourself."
_LIVE: Final = "Google's Live API is not served. Use streamGenerateContent of a model."
# By the first segment behind the version, or by what follows the colon behind a model.
_GOOGLE: Final[Mapping[str, str]] = {
    "interactions": (
        "Google's Interactions API is not served. Use generateContent or streamGenerateContent of a model, and send the"
        " whole conversation in 'contents'."
    ),
    **dict.fromkeys(("agents", "environments", "triggers"), _GOOGLES_AGENTS),
    **dict.fromkeys(("files", "files:register", "fileSearchStores"), _FILES),
    "cachedContents": "Caches at Google are not served. Send the content with each request.",
    **dict.fromkeys(("batches", "batchGenerateContent", "asyncBatchEmbedContent"), _BATCHES),
    "auth_tokens": _LIVE,
}
_MANAGED_AGENTS: Final = "Anthropic's managed agents are not served. Use messages, and run the tools yourself."
# By the first segment, or the whole path.
_ANTHROPIC: Final[Mapping[str, str]] = {
    **dict.fromkeys(("agents", "sessions", "environments", "deployments", "deployment_runs"), _MANAGED_AGENTS),
    **dict.fromkeys(("vaults", "memory_stores", "dreams", "tunnels"), _MANAGED_AGENTS),
    "messages/batches": "Batches of messages are not served. Send each of them to messages.",
}


def of_google(path: str) -> ClientFault | None:
    """The 404 for what follows the version in a path of Google's API; ``None``: nothing is known of it."""
    return _fault(_GOOGLE.get(path.partition("/")[0]) or _GOOGLE.get(path.rpartition(":")[2]))


def beside_google(path: str) -> ClientFault | None:
    """The same for a whole path that does not begin with the version."""
    if path.startswith(UPLOADS):
        return _fault(_FILES)
    return _fault(_LIVE) if path.startswith(LIVE) else None


def of_anthropic(path: str) -> ClientFault | None:
    """The same for what follows a base path of Anthropic's API."""
    first, _, rest = path.partition("/")
    return _fault(_ANTHROPIC.get(first) or _ANTHROPIC.get(f"{first}/{rest.partition('/')[0]}"))


def _fault(sentence: str | None) -> ClientFault | None:
    return None if sentence is None else ClientFault(sentence, status=404, code="not_supported")
