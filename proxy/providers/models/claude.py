"""Anthropic's models.

https://platform.claude.com/docs/en/about-claude/models/overview (most tokens of an answer),
https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting (types of thinking, by model),
https://platform.claude.com/docs/en/build-with-claude/effort,
https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages, all as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from proxy.dialects.translation.model_facts import ModelFacts

_TO_MAX: Final = ("low", "medium", "high", "xhigh", "max")

# Each generation as it differs from the one before.
_3: Final = ModelFacts(
    output_tokens=4096, efforts=(), thinking="none", prefill=True, late_system=False, structured=False
)
_3_5: Final = replace(_3, output_tokens=8192)
_3_7: Final = replace(_3, output_tokens=64_000, thinking="budget")
_4: Final = _3_7
_4_1: Final = replace(_4, output_tokens=32_000, structured=True)
_4_5: Final = replace(_4, structured=True)
# Prefill is refused from here on.
_4_6: Final = replace(
    _4_5,
    output_tokens=128_000,
    thinking="both",
    efforts=("low", "medium", "high", "max"),
    default_effort="high",
    prefill=False,
)
# Sampling, and thinking with a budget, are refused from here on.
_4_7: Final = replace(_4_6, thinking="adaptive", efforts=_TO_MAX, sampling=False)
_4_8: Final = replace(_4_7, late_system=True)
_FABLE_5: Final = replace(_4_8, thinking_off="no")
# A choice of tools that demands one is refused from here on.
_FABLE_5_1: Final = replace(_FABLE_5, forced_tools=False)

NEWEST: Final = _FABLE_5_1

CLAUDE: Final[Mapping[str, ModelFacts]] = {
    "claude-instant": _3,
    "claude-2": _3,
    "claude-3-haiku": _3,
    "claude-3-sonnet": _3,
    "claude-3-opus": _3,
    "claude-3-5-haiku": _3_5,
    "claude-3-5-sonnet": _3_5,
    "claude-3-7-sonnet": _3_7,
    "claude-sonnet-4": _4,
    "claude-sonnet-4-0": _4,
    "claude-4-sonnet": _4,
    "claude-opus-4": replace(_4, output_tokens=32_000),
    "claude-opus-4-0": replace(_4, output_tokens=32_000),
    "claude-4-opus": replace(_4, output_tokens=32_000),
    "claude-opus-4-1": _4_1,
    "claude-haiku-4-5": _4_5,
    "claude-sonnet-4-5": _4_5,
    "claude-opus-4-5": replace(_4_5, efforts=("low", "medium", "high"), default_effort="high"),
    "claude-sonnet-4-6": _4_6,
    "claude-opus-4-6": _4_6,
    "claude-mythos-preview": replace(_4_6, thinking_off="no"),
    "claude-opus-4-7": _4_7,
    "claude-opus-4-8": _4_8,
    # The page above excepts it; LangChain lists it since October 2026, so system messages are kept at the beginning.
    "claude-sonnet-5": _4_7,
    "claude-opus-5": replace(_4_8, thinking_off="to_high"),
    "claude-fable-5": _FABLE_5,
    "claude-mythos-5": _FABLE_5,
    "claude-fable-5-1": _FABLE_5_1,
    "claude-mythos-5-1": _FABLE_5_1,
    "claude-opus-5-5": replace(_FABLE_5_1, default_effort="medium"),
    "claude-sonnet-5-5": replace(_FABLE_5_1, thinking_off="between_tools"),
    "claude-haiku-5-5": replace(_FABLE_5_1, thinking_off="to_high", default_effort="medium"),
    "claude-fable-5-2": _FABLE_5_1,
    "claude-mythos-5-2": _FABLE_5_1,
}
