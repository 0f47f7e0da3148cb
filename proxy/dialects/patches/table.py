"""All patches, by the path of the endpoint whose bodies they change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from proxy.dialects.patches.base import Patch
from proxy.dialects.patches.blocks import BILLING, functions_only, no_billing_header
from proxy.dialects.patches.own_reasoning import MARK, own_blocks, own_items
from proxy.dialects.patches.own_signatures import SIGNED, own_parts
from proxy.dialects.patches.reasoning import with_reasoning
from proxy.dialects.patches.renames import left_out, renamed
from proxy.dialects.patches.roles import system_messages
from proxy.dialects.patches.tool_ids import short_ids

if TYPE_CHECKING:
    from proxy.dialects.call import Call

_STREAM_OPTIONS: Final = Patch("no-stream-options", "stream_options", left_out("stream_options"), "stream_options")
_SEED: Final = Patch("random-seed", "seed", renamed("seed", "random_seed"))
_BILLING: Final = Patch("no-billing-header", "system", no_billing_header, mark=BILLING)
_OWN_BLOCKS: Final = Patch("own-reasoning", "messages", own_blocks)
_OWN_PARTS: Final = Patch("own-reasoning", "contents", own_parts)

PATCHES: Final[Mapping[str, tuple[Patch, ...]]] = {
    "chat/completions": (
        Patch("developer-as-system", "messages", system_messages("messages")),
        Patch("max-completion-tokens", "max_tokens", renamed("max_tokens", "max_completion_tokens")),
        Patch("max-tokens", "max_completion_tokens", renamed("max_completion_tokens", "max_tokens")),
        _STREAM_OPTIONS,
        _SEED,
        Patch("reasoning-with-calls", "messages", with_reasoning),
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

# Those that are not configured: any provider may need them.
ALWAYS: Final[Mapping[str, Patch]] = {
    "messages": _OWN_BLOCKS,
    "messages/count_tokens": _OWN_BLOCKS,
    "responses": Patch("own-reasoning", "input", own_items),
    "generateContent": _OWN_PARTS,
    "streamGenerateContent": _OWN_PARTS,
}


def always(call: Call, path: str) -> tuple[Patch, ...]:
    """The patch that is not configured, if this body may need it. Few do, so this is one search in the usual case."""
    patch, known = ALWAYS[path], call.changes
    if known is None or patch not in known:
        return (patch,) if call.body.find(SIGNED if patch is _OWN_PARTS else MARK) >= 0 else ()
    return (patch,) if known[patch] is not None else ()
