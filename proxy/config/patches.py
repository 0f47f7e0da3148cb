"""Names of the patches: changes of a request body that a provider needs, by the dialect that it speaks.

What they do is in ``proxy/dialects/patches/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

PatchName = Literal[
    "developer-as-system",  # the role ``developer`` becomes ``system``
    "function-tools-only",  # tools of other types are left out
    "max-completion-tokens",  # ``max_tokens`` is renamed so
    "max-tokens",  # ``max_completion_tokens`` is renamed so
    "no-billing-header",  # Claude Code's first system block, which differs for each request, is left out
    "no-stream-options",  # ``stream_options`` is left out
    "random-seed",  # ``seed`` is renamed ``random_seed``
    "reasoning-with-calls",  # ``reasoning_content`` is added beside tool calls
    "short-tool-ids",  # ids of tool calls get 9 letters and digits
]

# One is always applied, and not configured: reasoning that another provider signed, in a translation, is left out.
AnyPatchName = PatchName | Literal["own-reasoning"]

# By dialect, of those in ``WireDialect``.
PATCHES: Final[Mapping[str, tuple[PatchName, ...]]] = {
    "chat": (
        "developer-as-system",
        "max-completion-tokens",
        "max-tokens",
        "no-stream-options",
        "random-seed",
        "reasoning-with-calls",
        "short-tool-ids",
    ),
    "responses": ("developer-as-system", "function-tools-only"),
    "messages": ("no-billing-header",),
    "gemini": (),
}


def usual_patches(dialect: str, base_url: str) -> tuple[PatchName, ...]:
    """The patches for a dialect at this address, if none are configured.

    Only Anthropic itself reads the billing header. Elsewhere it is text at the beginning of the prompt that differs for
    each request, so that no prompt cache is ever hit: https://github.com/anthropics/claude-code/issues/68900
    """
    if dialect != "messages":
        return ()
    host = urlsplit(base_url).hostname or ""
    return () if f".{host}".endswith(".anthropic.com") else ("no-billing-header",)
