"""Models of other makers, and what is assumed of a version that no table has.

A family is no version: what it says holds for all of its models, or cannot be refused by any. Sources:
https://api-docs.deepseek.com/guides/thinking_mode, https://platform.moonshot.ai/docs (a guide for each model),
https://docs.z.ai/guides/capabilities/thinking-mode, https://platform.minimax.io/docs/guides/text-m2-function-call,
https://docs.x.ai/docs/guides/reasoning, as of November 2026.
Late system messages: the chat templates of the models, in their repositories at https://huggingface.co.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from proxy.dialects.translation.model_facts import ModelFacts
from proxy.providers.models import claude, gemini

# Any other model: no setting that some servers refuse. Servers that are compatible with Anthropic's API know thinking
# with a budget, and may not know ``adaptive``.
UNKNOWN: Final = ModelFacts(efforts=(), late_system=False, thinking="budget")

_REASONING: Final = replace(UNKNOWN, late_system=True, returned_reasoning="yes")
_DEEPSEEK: Final = replace(_REASONING, efforts=("low", "high", "max"), default_effort="high")
# Any other temperature than the usual one is an error.
_KIMI_K2_5: Final = replace(_REASONING, sampling=False)

OTHERS: Final[Mapping[str, ModelFacts]] = {
    "deepseek-chat": _DEEPSEEK,
    "deepseek-reasoner": _DEEPSEEK,
    "deepseek-flash": _DEEPSEEK,
    "deepseek-v4-flash": _DEEPSEEK,
    "deepseek-v4-pro": _DEEPSEEK,
    "kimi-k2.5": _KIMI_K2_5,
    "kimi-k2.6": _KIMI_K2_5,
    "kimi-k3": replace(_KIMI_K2_5, efforts=("low", "high", "max"), thinking="both"),
    "glm-5.3": replace(_REASONING, efforts=("low", "medium", "high", "max")),
    "grok-3-mini": replace(UNKNOWN, late_system=True, efforts=("low", "high")),
    "grok-4.6": replace(UNKNOWN, late_system=True, efforts=("low", "medium", "high", "xhigh")),
}

# By the beginning of the name, for versions that no table has.
FAMILIES: Final[Mapping[str, ModelFacts]] = {
    "claude-": claude.NEWEST,
    "deepseek-r1": UNKNOWN,  # refuses its reasoning: https://api-docs.deepseek.com/guides/reasoning_model
    "deepseek-v3": replace(UNKNOWN, late_system=True),
    "deepseek-": _REASONING,
    "kimi-": _REASONING,
    "glm-": _REASONING,
    "minimax-": replace(_REASONING, late_system=False),
    **gemini.GENERATIONS,
    "grok-": replace(UNKNOWN, late_system=True),
}
