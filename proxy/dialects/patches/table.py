"""All patches, by the path of the endpoint whose bodies they change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.dialects.patches.base import Patch
from proxy.dialects.patches.blocks import BILLING, functions_only, no_billing_header
from proxy.dialects.patches.renames import left_out, renamed
from proxy.dialects.patches.roles import system_messages
from proxy.dialects.patches.tool_ids import short_ids

_STREAM_OPTIONS: Final = Patch("no-stream-options", "stream_options", left_out("stream_options"), "stream_options")
_SEED: Final = Patch("random-seed", "seed", renamed("seed", "random_seed"))
_BILLING: Final = Patch("no-billing-header", "system", no_billing_header, mark=BILLING)

PATCHES: Final[Mapping[str, tuple[Patch, ...]]] = {
    "chat/completions": (
        Patch("developer-as-system", "messages", system_messages("messages")),
        Patch("max-completion-tokens", "max_tokens", renamed("max_tokens", "max_completion_tokens")),
        Patch("max-tokens", "max_completion_tokens", renamed("max_completion_tokens", "max_tokens")),
        _STREAM_OPTIONS,
        _SEED,
        Patch("short-tool-ids", "messages", short_ids),
    ),
    "completions": (_STREAM_OPTIONS, _SEED),
    "responses": (
        Patch("developer-as-system", "input", system_messages("input")),
        Patch("function-tools-only", "tools", functions_only),
    ),
    "messages": (_BILLING,),
    "messages/count_tokens": (_BILLING,),
}
